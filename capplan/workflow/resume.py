"""Going on with a load test that was broken off: whose trials may be used, and how many remain."""

from __future__ import annotations

from capplan.errors import UsageError
from capplan.loadtest.job import Earlier
from capplan.results.base import Provenance
from capplan.results.capacity import Capacity, Identity, ScalePoint
from capplan.results.store import read_result
from capplan.units import format_duration
from capplan.workflow.changes import changed
from capplan.workflow.shelf import Shelf, shown

_LEAST_S = 2.0  # less load time is not worth another start


def broken_off(shelf: Shelf, identity: Identity, origin: Provenance) -> Earlier | None:
    """Return what the last load test of the plan left; None when there was none.

    A run that was broken off left its trials beside the answers. One that came to an end, without
    an answer or with too wide a one, is in the answers themselves. Raises ``UsageError`` that names
    what differs when they were measured for something else.
    """
    partial, kept = shelf.partial(Capacity), shelf.path(Capacity)
    if partial is None or kept is None:
        raise UsageError(
            "a plan from standard input keeps no trials that could be resumed",
            "write the plan to a file",
        )
    path = partial if partial.exists() else kept
    if not path.exists():
        return None
    stored = read_result(path, Capacity)
    run = _run_of(stored, identity.servers)
    differs = [
        f"{name} was {then}, is {now}"
        for name, then, now in _differences(stored.identity, identity, run)
    ]
    if not differs:
        differs = list(changed(stored.plan.sections, origin.plan.sections))
    if differs or run is None:
        raise UsageError(
            f"the trials in {shown(path)} are of something else: {'; '.join(differs)}",
            "bring back what it was, or measure anew, without --resume",
        )
    made = stored.requests_made if isinstance(run, Capacity) else 0
    return Earlier(run.trials, run.load_time_s, made)


def require_time_left(earlier: Earlier, time_budget_s: float) -> None:
    """Raise when the trials so far have used up the load time, which is that of all runs."""
    if earlier.load_time_s > time_budget_s - _LEAST_S:
        used, budget = (format_duration(round(s)) for s in (earlier.load_time_s, time_budget_s))
        raise UsageError(
            f"the trials so far took {used} of load, and all may take {budget}",
            f"give the search more: --time-budget {2 * time_budget_s:.0f}s",
        )


def _run_of(stored: Capacity, servers: int) -> Capacity | ScalePoint | None:
    if stored.identity.servers == servers:
        return stored
    points = stored.scaling.points if stored.scaling else ()
    return next((point for point in points if point.servers == servers), None)


def _differences(
    then: Identity, now: Identity, run: Capacity | ScalePoint | None
) -> list[tuple[str, str, str]]:
    target = run.target if isinstance(run, ScalePoint) else then.target
    servers = then.servers if run is None else now.servers
    before = then.model_copy(update={"target": target, "servers": servers})
    if before.locustfile_hash != now.locustfile_hash:
        before = before.model_copy(update={"locustfile": f"{before.locustfile} as it was then"})
    else:
        before = before.model_copy(update={"locustfile": now.locustfile})
    return [
        (name, _said(getattr(before, name)), _said(getattr(now, name)))
        for name in ("target", "locustfile", "arguments", "sla", "unit", "servers")
        if getattr(before, name) != getattr(now, name)
    ]


def _said(value: object) -> str:
    return " ".join(value) or "none" if isinstance(value, tuple) else str(value)
