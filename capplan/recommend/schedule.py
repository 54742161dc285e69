"""When the servers have to be there, and for how many hours they are paid."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from capplan.plan.schema import Plan
from capplan.results.basis import Basis
from capplan.results.demand import Demand
from capplan.results.recommendation import Step
from capplan.units import format_duration

LEAD_S = 900.0
"""Kept free between the last server's warm-up and the start, for one that fails to boot."""


@dataclass(frozen=True, slots=True)
class Window:
    """The time for which the fleet is paid."""

    up: datetime
    down: datetime

    @property
    def hours(self) -> float:
        """Its length."""
        return (self.down - self.up).total_seconds() / 3600


def window(plan: Plan, demand: Demand, basis: Basis) -> Window:
    """Return from when to when the larger fleet runs.

    Up: boot, warm-up and a safety lead before the start. Down: when the upper band of the demand
    has fallen for good below what today's fleet surely carries, and not before the sale ends.
    """
    servers = plan.servers
    up = plan.sale.start - timedelta(seconds=servers.boot + servers.warmup + LEAD_S)
    carried = float(np.quantile(basis.fleet.rates(servers.today), 0.05))
    busy = [t for t, rps in zip(demand.profile.t_s, demand.profile.rps_p95, strict=True)
            if rps > carried]  # fmt: skip
    end_s = max(plan.sale.duration, busy[-1] if busy else 0.0)
    down = plan.sale.start + timedelta(seconds=end_s)
    return Window(_minute(up), _minute(down + timedelta(seconds=59)))


def schedule(plan: Plan, servers: int, times: Window) -> tuple[Step, ...]:
    """Return the steps: start the fleet, and go back to today's."""
    today = plan.servers.today
    if servers <= today:
        return ()
    wait = (
        f"boot {format_duration(plan.servers.boot)}, warm-up {format_duration(plan.servers.warmup)}"
        f", and {format_duration(LEAD_S)} for a server that fails to start"
    )
    return (
        Step(at=times.up, servers=servers, why=wait),
        Step(
            at=times.down,
            servers=today,
            why=f"95% of the cases now fit on today's {today}",
        ),
    )


def _minute(moment: datetime) -> datetime:
    return moment.replace(second=0, microsecond=0)
