"""What a number of trials amounts to, in words and shares. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from capplan.loadtest.endpoints import excess
from capplan.results.base import Note
from capplan.results.capacity import Criterion, Trial
from capplan.units import format_duration, format_rate, format_share


def describe(criterion: Criterion) -> str:
    """Say what a criterion measured, against its limit."""
    where = f" of {criterion.endpoint}" if criterion.endpoint else ""
    if criterion.of_target:
        name = {"cpu": "CPU"}.get(criterion.name, criterion.name)
        used, limit = format_share(criterion.exceedance), format_share(criterion.limit)
        return f"the {name} was {used} in use, over the {limit} of the plan"
    if criterion.name == "failures":
        return f"{format_share(criterion.exceedance)} of the requests{where} failed"
    if criterion.measured is None:
        return f"{criterion.name}{where} had no upper bound (timeouts)"
    return (
        f"{criterion.name}{where} was {format_duration(criterion.measured)}, "
        f"over {format_duration(criterion.limit)}"
    )


def lowest_miss(trials: Sequence[Trial]) -> str:
    """Say what was missed at the lowest rate that failed; nothing where none did."""
    missed = [t for t in trials if t.outcome == "fail"]
    if not missed:
        return ""
    lowest = min(missed, key=lambda t: t.rate_rps)
    worst = max(lowest.criteria, key=excess)
    text = f"{describe(worst)} at {format_rate(lowest.rate_rps)}"
    if worst.name == "failures" and lowest.errors:
        text += f" ({next(iter(lowest.errors))})"
    return text


def mix(trials: Sequence[Trial]) -> dict[str, float]:
    """Return the share of each endpoint in the requests of all trials, the largest first."""
    counts: dict[str, int] = {}
    for trial in trials:
        for endpoint in trial.endpoints:
            counts[endpoint.name] = counts.get(endpoint.name, 0) + endpoint.requests
    total = sum(counts.values())
    return {name: count / total for name, count in sorted(counts.items(), key=lambda c: -c[1])}


def trial_notes(trials: Sequence[Trial]) -> tuple[Note, ...]:
    """Return one note per kind of doubt, with the number of trials it concerns."""
    by_code: dict[str, list[Note]] = {}
    for trial in trials:
        for note in trial.notes:
            by_code.setdefault(note.code, []).append(note)
    return tuple(
        notes[-1].model_copy(
            update={"message": f"in {len(notes)} of {len(trials)} trials: {notes[-1].message}"}
        )
        for notes in by_code.values()
    )
