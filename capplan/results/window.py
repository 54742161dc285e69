"""The time for which the larger fleet runs, and is paid."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from capplan.plan.schema import Plan
from capplan.results.demand import Demand

LEAD_S = 900.0
"""Kept free between the last server's warm-up and the demand, for one that fails to boot."""


@dataclass(frozen=True, slots=True)
class Window:
    """From when to when the fleet runs, in the sale's own zone.

    ``settled`` is false when the demand is still too much for today's servers at ``down``, because
    the profile ends there.
    """

    up: datetime
    down: datetime
    settled: bool

    @property
    def hours(self) -> float:
        """Its length."""
        return (self.down - self.up).total_seconds() / 3600

    def cost_usd(self, servers: int, price_usd_per_h: float) -> float:
        """Return what ``servers`` cost, all of them, over the whole time."""
        return servers * price_usd_per_h * self.hours


def window(plan: Plan, demand: Demand, today_rps: float) -> Window:
    """Return the window, given what today's servers surely carry.

    Up: boot, warm-up and a safety lead before the start, or before that rate is exceeded when this
    is earlier. Down: when the upper band of the demand has fallen below that rate for good, and not
    before the sale ends.
    """
    t_s, high_rps = demand.profile.t_s, demand.profile.rps_p95
    busy = [i for i, rate in enumerate(high_rps) if rate > today_rps]
    settled = not busy or busy[-1] + 1 < len(t_s)
    first_s = min(0.0, t_s[busy[0]]) if busy else 0.0
    last_s = t_s[min(busy[-1] + 1, len(t_s) - 1)] if busy else 0.0
    ready_s = plan.servers.boot + plan.servers.warmup + LEAD_S
    return Window(
        up=plan.sale.start + timedelta(seconds=first_s - ready_s),
        down=plan.sale.start + timedelta(seconds=max(plan.sale.duration, last_s)),
        settled=settled,
    )
