"""The schedule: when which count of servers has to run."""

from __future__ import annotations

from datetime import datetime, timedelta

from capplan.plan.schema import Plan
from capplan.results.recommendation import Step
from capplan.results.window import LEAD_S, Window
from capplan.units import format_duration


def schedule(
    plan: Plan, servers: int, window: Window, other: str | None = None
) -> tuple[Step, ...]:
    """Return the steps: start the fleet, and go back to today's; none when today's is enough.

    ``other`` names a kind of server that takes the place of today's.
    """
    today = plan.servers.today
    if servers <= today and other is None:
        return ()
    wait = (
        f"boot {format_duration(plan.servers.boot)}, warm-up {format_duration(plan.servers.warmup)}"
        f", and {format_duration(LEAD_S)} for a server that fails to start"
    )
    if other is not None:
        wait = f"{other} in place of today's {today}; {wait}"
    if window.settled:
        back = f"95% of the cases now fit on today's {today}"
    else:
        back = f"the estimate ends here: make sure first that today's {today} are enough"
    return (
        Step(at=_minute(window.up), servers=servers, why=wait),
        Step(at=_minute(window.down + timedelta(seconds=59)), servers=today, why=back),
    )


def _minute(moment: datetime) -> datetime:
    return moment.replace(second=0, microsecond=0)
