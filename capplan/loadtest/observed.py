"""A trial as the search sees it. Pure."""

from __future__ import annotations

from capplan.loadtest.observation import Misses, Observation
from capplan.loadtest.resources import level
from capplan.results.capacity import Criterion, Trial


def observation(trial: Trial) -> Observation:
    """Return a valid trial as the search sees it."""
    return Observation(
        rate=trial.arrivals_per_s,
        offered=_offered(trial),
        measured_s=trial.duration_s - trial.warmup_s,
        purpose=trial.purpose,
        start_s=trial.warmup_s,
        passed=trial.outcome == "pass",
        at_least=trial.ended_early,
        misses=tuple(_misses(c, trial) for c in trial.criteria if not c.of_target),
        served=trial.successes > 0,
        levels=tuple(level(c) for c in trial.criteria if c.of_target),
    )


def _offered(trial: Trial) -> float:
    if trial.ended_early or not trial.requests_per_arrival:
        return trial.arrivals_per_s
    if trial.visits and trial.visits.offered_per_s:  # held up by the target, visitors send less
        return trial.visits.offered_per_s
    return trial.achieved_rps / trial.requests_per_arrival


def _misses(criterion: Criterion, trial: Trial) -> Misses:
    latency = criterion.name != "failures"
    limit_s = criterion.limit if latency else None
    counts = {None: trial.requests} | {e.name: e.requests for e in trial.endpoints}
    requests = counts.get(criterion.endpoint, 0)
    return Misses(criterion.allowed, criterion.exceedance, requests, criterion.variance, limit_s)
