"""When to start and to stop servers, and what an autoscaler would lose, for the terminal."""

from __future__ import annotations

from rich.console import Group

from capplan.render.parts import table, titled
from capplan.results.recommendation import Alone, Recommendation
from capplan.units import format_count, format_duration, format_money


def schedule(result: Recommendation) -> Group | None:
    """Show the steps, and what they cost against the whole fleet all the time."""
    if not result.schedule:
        return None
    return titled(
        f"Schedule{costs(result)}",
        table(
            ("at", "servers", "<why"),
            [
                (f"{step.at:%a %d %b %H:%M}", str(step.servers), step.why)
                for step in result.schedule
            ],
        ),
    )


def costs(result: Recommendation) -> str:
    """Say what the steps cost against the whole fleet all the time; empty where no price tells."""
    along, hold = result.schedule_cost, result.hold_cost
    if not along or not hold:
        return ""
    said = f": costs {format_money(along)}"
    if along >= hold:  # steps are on full minutes, so that it may even cost a little more
        return said
    return f"{said}; with all {result.servers:,} the whole time {format_money(hold)}"


def autoscaling(result: Recommendation) -> Group | None:
    """Show what autoscalers alone would lose along the upper band, beside the schedule."""
    found = result.autoscaling
    if found is None or not any(one.short_s for one in found.alone):
        return None
    return titled(
        "Autoscaling alone, along the upper band (p95) of the demand",
        table(
            (
                "<",
                "lost visits",
                *["worth"] * _priced(found.alone),
                "too small for",
                "until",
                "most",
            ),
            [
                (
                    one.name,
                    format_count(round(one.lost_visits)),
                    *([] if one.lost_value is None else [format_money(one.lost_value)]),
                    format_duration(one.short_s) if one.short_s else "-",
                    f"{one.short_until:%H:%M:%S}" if one.short_until else "-",
                    str(one.most_servers),
                )
                for one in found.alone
            ],
        ),
    )


def _priced(alone: tuple[Alone, ...]) -> bool:
    return any(one.lost_value is not None for one in alone)
