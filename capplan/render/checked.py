"""What ``capplan loadtest --check`` saw: one visit of each user class, request by request."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean

from rich.console import Group, RenderableType
from rich.text import Text

from capplan.loadtest.generators.engine import CheckedVisit
from capplan.render.parts import answer, next_step, table, titled
from capplan.units import format_count, format_duration, format_number


def checked(visits: Sequence[CheckedVisit], plan: str) -> RenderableType:
    """Show what was called, the failures first in words."""
    calls = [call for visit in visits for call in visit.calls]
    failed = sum(call["error"] is not None for call in calls)
    broken = [visit for visit in visits if visit.error or not visit.tasks]
    headline = (
        f"The script works: {len(calls)} requests by {len(visits)} user classes, none failed."
        if not failed and not broken
        else f"The script has problems: {failed} of {len(calls)} requests failed."
    )
    return answer(
        headline,
        *(_visit(visit) for visit in visits),
        next_step("capplan loadtest", plan),
        style="bold red" if failed or broken else "bold",
    )


def _visit(visit: CheckedVisit) -> Group:
    blocks: list[RenderableType] = [
        titled(
            f"{visit.user_class}: {visit.tasks} tasks",
            table(
                ("request", "latency", "size", "<"),
                [
                    (
                        call["name"],
                        format_duration(call["latency_s"]),
                        format_count(call["bytes"]),
                        call["error"] or ("" if call["in_task"] else "on_start, not counted"),
                    )
                    for call in visit.calls
                ],
            ),
        )
    ]
    lengths_s = sorted(visit.lengths_s)
    if lengths_s and math.isfinite(lengths_s[-1]):
        mean_s, requests = fmean(lengths_s), format_number(fmean(visit.requests))
        blocks.append(
            Text(
                f"{len(lengths_s)} visits: {format_duration(mean_s)} on average, "
                f"{format_duration(lengths_s[-1])} the longest, with their waits; "
                f"{requests} requests each"
            )
        )
    if visit.error:
        blocks.append(Text(f"a task raised {visit.error}", style="red"))
    return Group(*blocks)
