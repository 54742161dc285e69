"""The schedule: when which count of servers has to run.

Up before the first of the crowd, in batches; down along the upper band of the demand, step by step,
each count within the same policy as the whole fleet at the peak.
"""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise

import numpy as np

from capplan.plan.schema import Plan
from capplan.recommend.options import Decider
from capplan.results.recommendation import Step
from capplan.results.window import LEAD_S
from capplan.units import format_duration, format_rate

_LEAST_STEP = 0.1
"""Of the fleet: a smaller step down is not worth the hand that makes it."""


def schedule(decider: Decider, servers: int, own: Decider | None = None) -> tuple[Step, ...]:
    """Return the steps: start the fleet, and go back to today's; none when today's is enough.

    ``own`` decides for today's kind of server where the fleet is of another, which takes its place:
    all of it is started, and it stays whole to the end.
    """
    if servers <= decider.plan.servers.today and own is None:
        return ()
    return (*_up(decider, servers, own), *_down(decider, servers, own))


def cost_usd(steps: tuple[Step, ...], until: datetime, price_usd_per_h: float) -> float:
    """Return what all servers cost from the first step on, each from its order on.

    Counted ``until`` a time, so that it compares with the whole fleet over the same time: today's
    servers, to which the last step returns, cost as well.
    """
    times = [*(step.at for step in steps), max(until, steps[-1].at)]
    hours = [(b - a).total_seconds() / 3600 for a, b in pairwise(times)]
    return sum(step.servers * h for step, h in zip(steps, hours, strict=True)) * price_usd_per_h


def _up(decider: Decider, servers: int, own: Decider | None) -> list[Step]:
    """Start the servers, the last batch so early that all are ready and one may fail to boot."""
    plan, today = decider.plan, decider.plan.servers.today
    running = 0 if own else today
    ready_s = plan.servers.boot + plan.servers.warmup
    size, every_s = servers - running, 0.0
    if plan.servers.batch:
        # steps are on full minutes, each on one of its own
        size, every_s = plan.servers.batch.servers, 60 * math.ceil(plan.servers.batch.every / 60)
    batches = math.ceil((servers - running) / size)
    steps = []
    for i in range(batches):
        count = servers if i == batches - 1 else running + size * (i + 1)
        at = _minute(decider.basis.window.up - timedelta(seconds=every_s * (batches - 1 - i)))
        why = f"batch {i + 1} of {batches}"
        if i == batches - 1:
            why = (f"{why}: " if batches > 1 else "") + _waits(plan)
        if own:
            why = f"{decider.basis.kind} in place of today's {today}; {why}"
        steps.append(_step(decider, at, count, why, ready_s))
    return steps


def _waits(plan: Plan) -> str:
    return (
        f"boot {format_duration(plan.servers.boot)}, warm-up {format_duration(plan.servers.warmup)}"
        f", and {format_duration(LEAD_S)} for a server that fails to start"
    )


def _down(decider: Decider, servers: int, own: Decider | None) -> list[Step]:
    """Follow the upper band down to today's servers, at the end of the window at the latest."""
    plan, window, today = decider.plan, decider.basis.window, decider.plan.servers.today
    band = _Band(decider)
    least, hold = max(1, round(_LEAST_STEP * servers)), max(60.0, plan.servers.hold)
    moment, last = _next_minute(band.peak_at + timedelta(seconds=hold)), _next_minute(window.down)
    steps, count = [], servers
    while count > today and own is None:
        fewer = max(today, count - least)
        at = band.first_within(fewer, moment, last)
        if at is None:
            break
        count = max(today, band.smallest(at))
        below = format_rate(band.high_rps(at))
        why = f"from here on 95% of the cases stay below {below}: {count} keep the policy"
        if count == today:
            why = f"95% of the cases now fit on today's {today}"
        steps.append(_step(decider, at, count, why))
        moment = at + timedelta(seconds=hold)
    if count > today or own is not None:
        why = f"95% of the cases now fit on today's {today}"
        if not window.settled:
            enough = "is enough" if today == 1 else "are enough"
            why = f"the estimate ends here: make sure first that today's {today} {enough}"
        steps.append(_step(own or decider, last, today, why))
    return steps


class _Band:
    """The most that still comes: the upper band of λ(t), from a moment on.

    As a share of its maximum, it scales the possible peaks: so each count along the band keeps the
    policy as the whole fleet keeps it at the peak.
    """

    def __init__(self, decider: Decider) -> None:
        profile = decider.demand.profile
        high = np.asarray(profile.rps_p95)
        self._decider, self._start = decider, decider.plan.sale.start
        self._t, self._high, self._top = np.asarray(profile.t_s), high, float(high.max())
        self._ahead = np.maximum.accumulate(high[::-1])[::-1]
        at_top = int(np.flatnonzero(high == self._top)[-1])
        self.peak_at = self._start + timedelta(seconds=max(0.0, float(self._t[at_top])))

    def high_rps(self, at: datetime) -> float:
        """Return the most that comes from a moment on, in 95 % of the cases."""
        t = (at - self._start).total_seconds()
        later = self._ahead[np.searchsorted(self._t, t) :]
        now = float(np.interp(t, self._t, self._high))
        return max(now, float(later[0])) if len(later) else now

    def smallest(self, at: datetime) -> int:
        """Return the smallest count that keeps the policy from a moment on."""
        return self._scaled(at).smallest()

    def first_within(self, servers: int, after: datetime, before: datetime) -> datetime | None:
        """Return the first minute from which so many keep the policy; None when there is none."""
        minutes = math.ceil((before - after).total_seconds() / 60)
        if minutes <= 0 or not self._keeps(servers, before - timedelta(minutes=1)):
            return None
        early, late = -1, minutes - 1
        while late - early > 1:
            middle = (early + late) // 2
            if self._keeps(servers, after + timedelta(minutes=middle)):
                late = middle
            else:
                early = middle
        return after + timedelta(minutes=late)

    def _keeps(self, servers: int, at: datetime) -> bool:
        return self._scaled(at).keeps(servers)

    def _scaled(self, at: datetime) -> Decider:
        """Judge as if the peak were only as high as the band still is."""
        basis, share = self._decider.basis, self.high_rps(at) / self._top if self._top else 0.0
        peaks = replace(basis.peaks, values_rps=basis.peaks.values_rps * share)
        return replace(self._decider, basis=replace(basis, peaks=peaks))


def _step(decider: Decider, at: datetime, servers: int, why: str, ready_s: float = 0.0) -> Step:
    return Step(
        at=at,
        ready_at=at + timedelta(seconds=ready_s),
        servers=servers,
        fleet_rps=decider.basis.middle_rps(servers),
        why=why,
    )


def _minute(moment: datetime) -> datetime:
    return moment.replace(second=0, microsecond=0)


def _next_minute(moment: datetime) -> datetime:
    return _minute(moment + timedelta(seconds=59, microseconds=999_999))
