"""When an autoscaler should add servers, and what it would lose if nothing else did."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from capplan.model.autoscaler import HPA, TARGET_TRACKING
from capplan.model.autoscaling import Shortfall, follow, shortfall
from capplan.recommend.options import Decider, first
from capplan.results.capacity import Capacity
from capplan.results.recommendation import Alone, Autoscaling, Metric, Step
from capplan.results.resources import CpuAtRate
from capplan.units import format_count, format_duration, format_money, format_number, format_share

Floats = NDArray[np.float64]

SCHEDULE = "schedule"

_LONGEST_S = 86_400.0
_ROOM = 2
_LEAST_CPU = 0.2
_ROUNDING = 1e-9


def telling(capacity: Capacity | None) -> CpuAtRate | None:
    """Return the CPU at the sustained rate, where it was seen and rises with the load.

    A server that waits for something else hardly uses its CPU: that would be no trigger.
    """
    resources = capacity.resources if capacity else None
    cpu = resources.cpu_at_sustained if resources else None
    return (
        cpu if cpu and cpu.mid >= _LEAST_CPU and cpu.per_rps * cpu.rate_rps >= _LEAST_CPU else None
    )


@dataclass(frozen=True)
class Scaler:
    """The trigger of a recommended fleet. ``cpu`` is that of one server at its sustained rate.

    ``own`` decides for today's kind of server, where the fleet is of another. That other kind comes
    with the schedule: an autoscaler alone has today's.
    """

    decider: Decider
    servers: int
    cpu: CpuAtRate | None
    own: Decider | None = None

    def result(self, steps: tuple[Step, ...]) -> Autoscaling:
        """Return the trigger, and what it would lose alone beside what the schedule loses."""
        servers = self.decider.plan.servers
        free = 1 - servers.headroom
        one_rps = self._fleet_rps(self.servers) / self.servers
        value, at_sustained = one_rps * free, one_rps
        if self.cpu:
            at_sustained = self.cpu.mid
            value = self.cpu.mid - self.cpu.per_rps * self.cpu.rate_rps * servers.headroom
        return Autoscaling(
            metric="cpu" if self.cpu else "requests",
            value=value,
            at_sustained=at_sustained,
            headroom=servers.headroom,
            requests_per_server_rps=one_rps * free,
            least_servers=self.today,
            most_servers=self.most,
            alone=self._alone(steps),
        )

    @property
    def most(self) -> int:
        """The quota, or twice the fleet where none is known."""
        return max(self.decider.plan.servers.limit or _ROOM * self.servers, self.servers)

    @property
    def today(self) -> int:
        """How many servers of this kind carry what today's do."""
        count = self.decider.plan.servers.today
        return count if self.own is None else self._as_many(self._todays_rps(count), self.decider)

    def _as_many(self, rate_rps: float, decider: Decider) -> int:
        """Return the smallest count of a kind that carries a rate, rounding errors apart."""
        return first(
            lambda servers: decider.basis.middle_rps(servers) >= rate_rps * (1 - _ROUNDING),
            decider.most,
        )

    def _alone(self, steps: tuple[Step, ...]) -> tuple[Alone, ...]:
        t_s, high_rps = self._busy()
        servers = self.decider.plan.servers
        todays, fleet = (lru_cache(maxsize=None)(of) for of in (self._todays_rps, self._fleet_rps))
        found = []
        # CPU that was not measured is taken to be full at the sustained rate
        full = 1 / self.cpu.mid if self.cpu else 1.0
        for rule, cap in ((HPA, full), (HPA, math.inf), (TARGET_TRACKING, full)):
            path = follow(
                t_s,
                high_rps,
                todays,
                rule,
                target=max(1 - servers.headroom, 0.01),
                start_s=servers.boot + servers.warmup,
                least=servers.today,
                most=max(self._most_of_todays(), servers.today),
                cap=cap,
            )
            metric: Metric = "requests" if cap == math.inf else "cpu"
            found.append(self._lost(rule.name, metric, path, max(path.servers)))
        if steps:
            start = self.decider.plan.sale.start
            changes = [(float(t_s[0]), self.today)]
            changes += [((step.ready_at - start).total_seconds(), step.servers) for step in steps]
            changes[-1] = changes[-1][0], self.today
            lost = shortfall(t_s, high_rps, fleet, changes)
            found.append(self._lost(SCHEDULE, "none", lost, self.servers))
        return tuple(found)

    def _busy(self) -> tuple[Floats, Floats]:
        """Return the upper band from when it asks for more than today's servers, for a day."""
        demand = self.decider.demand
        t_s, high_rps = np.asarray(demand.profile.t_s), np.asarray(demand.profile.rps_p95)
        # the profile is in requests/s of the plan's visits, the fleet in those of the load test's
        high_rps = high_rps * (self.decider.basis.peaks.per_visit / demand.requests_per_visit.p50)
        servers = self.decider.plan.servers
        asked = (1 - servers.headroom) * self._todays_rps(servers.today)
        busy = np.flatnonzero(high_rps > asked)
        if not len(busy):
            return np.array([t_s[0], t_s[0] + 1.0]), np.array([0.0, 0.0])
        begin = max(0, busy[0] - 1)
        end = min(busy[-1] + 2, np.searchsorted(t_s, t_s[begin] + _LONGEST_S) + 1)
        t_s, high_rps = t_s[begin:end], high_rps[begin:end]
        if len(t_s) < 2:  # a profile of one moment
            return np.array([t_s[0], t_s[0] + 1.0]), np.repeat(high_rps, 2)
        return t_s, high_rps

    def _most_of_todays(self) -> int:
        """How many of today's kind an autoscaler may have, as ``most`` is of the fleet's."""
        if self.own is None:
            return self.most
        as_many = self._as_many(self._fleet_rps(self.servers), self.own)
        return max(self.own.plan.servers.limit or _ROOM * as_many, as_many)

    def _fleet_rps(self, servers: int) -> float:
        return self.decider.basis.middle_rps(servers)

    def _todays_rps(self, servers: int) -> float:
        return (self.own or self.decider).basis.middle_rps(servers)

    def _lost(self, rule: str, metric: Metric, path: Shortfall, most: int) -> Alone:
        visits = path.lost_requests / self.decider.basis.peaks.per_visit
        value, until_s = self.decider.plan.policy.value_per_visit, path.short_until_s
        start = self.decider.plan.sale.start
        return Alone(
            rule=rule,
            metric=metric,
            lost_visits=visits,
            lost_value=None if value is None else visits * value,
            short_s=path.short_s,
            short_until=None if until_s is None else start + timedelta(seconds=until_s),
            most_servers=most,
        )


def trigger_reasons(found: Autoscaling, servers: int, *, scheduled: bool) -> tuple[str, ...]:
    """Say in words when to scale, beside the schedule if there is one, and what that alone does."""
    kept = format_share(1 - found.headroom)
    if found.metric == "cpu":
        rule = f"{format_share(found.value)} CPU"
        full = format_share(found.at_sustained)
        why = f"what {kept} of the sustained rate uses, at which it is {full}"
    else:
        rule = f"{format_number(found.value)} requests/s per server"
        why = f"{kept} of what " + (
            f"each of {servers:,} sustains" if servers > 1 else "one sustains"
        )
    trigger = f"{'beside the schedule, ' if scheduled else ''}let an autoscaler keep {rule}: {why}"
    best = min((one for one in found.alone if one.rule != SCHEDULE), key=lambda a: a.lost_visits)
    lost = f"{format_count(round(best.lost_visits))} visits"
    if best.lost_value is not None:
        lost += f" worth {format_money(best.lost_value)}"
    if best.short_s <= 0:
        return (trigger, "an autoscaler alone would keep up with the upper band of this demand")
    return (
        trigger,
        f"without a schedule even the best of them ({best.name}) would be short for "
        f"{format_duration(best.short_s)} and lose {lost} along the upper band of the demand: "
        "servers that are ordered when the crowd is there come too late",
    )
