"""The options: what each server count would cost and risk, and why it was not chosen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np

from capplan.model.fitted import Fitted
from capplan.model.losses import Loss, Losses, losses
from capplan.model.overload import left_after_zone_loss
from capplan.model.queueing import erlang_c
from capplan.plan.schema import Plan
from capplan.results.basis import Basis
from capplan.results.demand import Demand
from capplan.results.recommendation import Option
from capplan.units import format_money, format_share

MOST_SERVERS = 1_000_000
MULTIPLES = (1, 3, 5, 10)


@dataclass(frozen=True)
class Decider:
    """Judges any count of servers by the plan's policy.

    ``server`` is the queue that one measured server is; None where no load test tells. ``table`` is
    what the demand loses, where it was tabulated before.
    """

    plan: Plan
    demand: Demand
    basis: Basis
    server: Fitted | None = None
    table: Losses | None = None

    def complaint(self, servers: int) -> str:
        """Say why a count does not meet the policy; empty when it does."""
        policy = self.plan.policy
        if beyond := self.basis.beyond(servers):
            return beyond
        if risk := self._above(self.basis.overload(servers), policy.overload_risk):
            return f"overload {risk}"
        zone = self.basis.zone_loss(servers)
        if zone is not None and (risk := self._above(zone, policy.zone_loss_risk)):
            left = left_after_zone_loss(servers, self.plan.servers.zones)
            return f"a lost zone leaves {left}: {risk}"
        return self.beyond_reach(servers)

    def beyond_reach(self, servers: int) -> str:
        """Say whether a count is above the quota or the budget, or its scaling is not known."""
        if beyond := self.basis.beyond(servers):
            return beyond
        limit, budget = self.plan.servers.limit, self.plan.policy.budget
        if limit is not None and servers > limit:
            return f"above the limit of {limit}"
        cost = self.basis.cost_usd(servers)
        if budget is not None and cost > budget:
            return f"over the budget of {format_money(budget)}: {format_money(cost)}"
        return ""

    def smallest(self) -> int:
        """Return the smallest count whose risks meet the policy, whatever it costs.

        A policy below the resolution is met as nearly as can be told. ``MOST_SERVERS`` when no
        smaller count does, or the largest count whose scaling is known.
        """
        return first(self.keeps, self.most)

    def keeps(self, servers: int) -> bool:
        """Say whether the risks of a count meet the policy, as nearly as can be told."""
        finest, policy = self.basis.peaks.resolution, self.plan.policy
        if self.basis.overload(servers) > max(policy.overload_risk, finest):
            return False
        zone = self.basis.zone_loss(servers)
        return zone is None or zone <= max(policy.zone_loss_risk, finest)

    @property
    def most(self) -> int:
        """The largest count that is considered."""
        return min(self.basis.most or MOST_SERVERS, MOST_SERVERS)

    def reachable(self, wanted: int) -> int:
        """Return ``wanted``, or the largest count below it that quota and budget allow, if any."""
        if not self.beyond_reach(wanted):
            return wanted
        return max(1, first(lambda servers: bool(self.beyond_reach(servers)), wanted) - 1)

    def option(self, servers: int) -> Option:
        """Describe one count, as yet beside no other."""
        carried = self.basis.fleet.rates(servers)
        low, middle, high = np.quantile(carried, [0.05, 0.5, 0.95])
        lost, lost_unshed = self._visits(self.loss(servers))
        saved, saved_unshed = self.saved(servers)
        return Option(
            servers=servers,
            instance=self.basis.kind,
            multiple=servers / self.plan.servers.today,
            cost=self.basis.cost_usd(servers),
            fleet_rps=float(middle),
            fleet_rps_p5=float(low),
            fleet_rps_p95=float(high),
            overload_probability=self.basis.overload(servers),
            zone_loss_probability=self.basis.zone_loss(servers),
            expected_overload_s=self.loss(servers).seconds_over,
            expected_lost_visits=lost,
            expected_lost_value=self._worth(lost),
            expected_lost_visits_unshed=lost_unshed,
            expected_lost_value_unshed=self._worth(lost_unshed),
            marginal_value=self._worth(saved),
            marginal_value_unshed=self._worth(saved_unshed),
            slots=None if self.server is None else servers * self.server.slots,
            wait_probability_p50=self._wait(servers, self.basis.peaks.quantile(0.5)),
            wait_probability_p95=self._wait(servers, self.basis.peaks.quantile(0.95)),
        )

    def loss(self, servers: int) -> Loss:
        """Return what is lost with a count, in requests."""
        return self._loss(servers)

    def saved(self, servers: int) -> tuple[float, float]:
        """Return how many visits one server more would save, with shedding and without."""
        now, then = self._visits(self.loss(servers)), self._visits(self.loss(servers + 1))
        return max(0.0, now[0] - then[0]), max(0.0, now[1] - then[1])

    @cached_property
    def losses(self) -> Losses:
        """What the demand loses in a fleet of any size."""
        profile = self.demand.profile
        return self.table or losses(np.asarray(profile.t_s), np.asarray(profile.rps_p50))

    @cached_property
    def _loss(self) -> Callable[[int], Loss]:
        @cache
        def of(servers: int) -> Loss:
            rates = self.basis.fleet.rates(servers)
            return self.losses.expected(self.basis.peaks.values_rps, rates)

        return of

    def _visits(self, loss: Loss) -> tuple[float, float]:
        per_visit = self.basis.peaks.per_visit
        return loss.excess / per_visit, loss.unserved / per_visit

    def _wait(self, servers: int, rate_rps: float) -> float | None:
        """Return the share of requests that wait at a rate: M/M/c with c slots in one pool."""
        if self.server is None:
            return None
        service_s = self.server.service_s / self.basis.efficiency(servers)
        return erlang_c(servers * self.server.slots, rate_rps * service_s)

    def _worth(self, visits: float) -> float | None:
        value = self.plan.policy.value_per_visit
        return None if value is None else visits * value

    def _above(self, risk: float, accepted: float) -> str:
        if risk <= accepted:
            return ""
        shown = self.basis.peaks.show(risk, accepted)
        if risk <= self.basis.peaks.resolution:
            return f"{shown}, finer than that cannot be told"
        return shown if shown.startswith("just") else f"{shown} > {format_share(accepted)}"


def counts(plan: Plan, chosen: int, wanted: int) -> list[int]:
    """Return the counts worth showing: multiples of today, the plan's, those around the choice."""
    step = max(1, round(chosen * 0.1))
    shown = {multiple * plan.servers.today for multiple in MULTIPLES}
    shown |= {chosen - 2 * step, chosen - 1, chosen, chosen + step, chosen + 2 * step}
    if plan.servers.planned is not None:
        shown.add(plan.servers.planned)
    if wanted < MOST_SERVERS:
        shown.add(wanted)
    return sorted(count for count in shown if count >= 1)


def first(holds: Callable[[int], bool], most: int) -> int:
    """Return the smallest count from 1 for which ``holds``, given that it holds from there on.

    ``most`` when it does not hold before.

    >>> first(lambda count: count >= 37, 1000), first(lambda count: False, 1000)
    (37, 1000)
    """
    high = 1
    while high < most and not holds(high):
        high = min(2 * high, most)
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle, high)
    return high
