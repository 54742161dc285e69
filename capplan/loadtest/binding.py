"""What limits the answer: a criterion of the SLA, or the CPU or memory of the target. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from capplan.loadtest.endpoints import around, find_binding
from capplan.loadtest.search import levels
from capplan.loadtest.search.belief import at_loads, posterior
from capplan.loadtest.search.observation import Observation
from capplan.results.capacity import Binding, Criterion, Trial


def what_binds(
    trials: Sequence[Trial], answer_rps: float | None, seen: Sequence[Observation]
) -> Binding | None:
    """Return the criterion whose own limit is reached at the lowest load; None when all held.

    Without an answer it is one that was missed in the lowest failed trial. ``seen`` are the valid
    trials as the search sees them.
    """
    of_sla = find_binding(trials, answer_rps)
    failed = [trial for trial in trials if trial.outcome == "fail"]
    if not failed or not seen or not seen[0].levels:
        return of_sla
    if answer_rps is None:
        lowest = min(failed, key=lambda trial: trial.rate_rps)
        missed = [c for c in lowest.criteria if not c.held]
        if any(not c.of_target for c in missed) or not missed:
            return of_sla
        return _binding(missed[0], [lowest])
    names = [c for c in failed[0].criteria if c.of_target]
    limits = [levels.median(at_loads(seen, index)) for index in range(len(names))]
    least = min(limits)
    (of_answers,) = posterior([replace(o, levels=()) for o in seen]).quantiles(0.5)
    if least > of_answers:
        return of_sla
    return _binding(names[limits.index(least)], around(trials, answer_rps))


def _binding(criterion: Criterion, near: Sequence[Trial]) -> Binding:
    """Return the level of the target with its mean over trials, each weighted by its length."""
    name = criterion.name
    measured = [
        (c.exceedance, t.duration_s - t.warmup_s)
        for t in near
        for c in t.criteria
        if c.name == name and c.of_target and c.measured is not None
    ]
    total_s = sum(weight for _, weight in measured)
    return Binding(
        endpoint=None,
        name=name,
        limit=criterion.limit,
        allowed=criterion.allowed,
        exceedance=sum(share * weight for share, weight in measured) / max(total_s, 1e-9),
        from_rps=min(t.rate_rps for t in near),
        to_rps=max(t.rate_rps for t in near),
    )
