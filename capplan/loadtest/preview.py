"""What the visits without load say before the load: what an arrival is, and whether it can work.

Pure: what was checked in, errors and a first idea of the load out.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from capplan.errors import UsageError
from capplan.loadtest.endpoints import misspelt
from capplan.loadtest.generators.engine import CheckedVisit
from capplan.loadtest.protocol import Unit
from capplan.loadtest.visiting import Pace, pace

_HOW = "run it alone: capplan loadtest --check; the generator's log: {log}"


@dataclass(frozen=True, slots=True)
class Preview:
    """Requests per arrival, and in unit ``visit`` how long visits are."""

    per_arrival: float
    pace: Pace | None


def preview(
    visits: Sequence[CheckedVisit], weights: Mapping[str, float], unit: Unit, log: Path
) -> Preview:
    """Return the first idea of the load; raise when no arrival would get through."""
    for visit in visits:
        if visit.tasks == 0:
            raise UsageError(
                f"no user of class {visit.user_class} got through its first task"
                + (f": {visit.error}" if visit.error else ""),
                _HOW.format(log=log),
            )
        if unit == "visit" and weights[visit.user_class] and not np.isfinite(visit.lengths_s).all():
            raise UsageError(
                f"a visit by a user of class {visit.user_class} has no end: {visit.error}",
                "in service.unit: visit, let a flow end or interrupt itself, or a task raise "
                "StopUser; or use service.unit: task",
            )
    each = {visit.user_class: _requests(visit, unit) for visit in visits}
    total = sum(weights.values())
    expected = sum(each[name] * weight for name, weight in weights.items()) / total
    if expected == 0:
        raise UsageError(
            "the tasks of the locustfile made no request",
            "look at what it calls: capplan loadtest --check",
        )
    if unit == "task":
        return Preview(expected, None)
    counted = {name: weight for name, weight in weights.items() if weight}
    lengths_s = {v.user_class: v.lengths_s for v in visits if v.user_class in counted}
    return Preview(expected, pace(lengths_s, counted))


def require_names(planned: Collection[str], visits: Sequence[CheckedVisit], key: str) -> None:
    """Raise when a name of an endpoint in the plan's ``key`` is surely a slip."""
    called = {call["name"] for visit in visits for call in visit.calls}
    called |= {name for visit in visits for name in visit.names}
    for name, right in misspelt(planned, called).items():
        raise UsageError(
            f"no request of the script is named {name!r}, as {key} says",
            f"did you mean {right!r}? See all names with: capplan loadtest --check",
        )


def _requests(visit: CheckedVisit, unit: Unit) -> float:
    if unit == "visit":
        return float(np.mean(visit.requests))
    return float(sum(call["in_task"] for call in visit.calls)) / visit.tasks
