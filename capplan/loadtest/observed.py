"""A trial as the search sees it. Pure."""

from __future__ import annotations

from capplan.loadtest.resources import level
from capplan.loadtest.search.observation import Misses, Observation
from capplan.results.capacity import Criterion, LatencySummary, Trial


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
    own = {e.name: e for e in trial.endpoints}
    stats = trial if criterion.endpoint is None else own.get(criterion.endpoint)
    requests = stats.requests if stats else 0
    told = criterion.allowed, criterion.exceedance, requests, criterion.variance
    if criterion.name == "failures":
        return Misses(*told, limit_s=None)
    if stats is None:
        return Misses(*told, criterion.limit)
    return Misses(*told, criterion.limit, stats.latency_s.mean, _slower(stats.latency_s, criterion))


def _slower(latency_s: LatencySummary, criterion: Criterion) -> tuple[tuple[float, float], ...]:
    points = [
        (latency_s.p50, 0.5),
        (latency_s.p75, 0.25),
        (latency_s.p90, 0.1),
        (latency_s.p95, 0.05),
        (latency_s.p99, 0.01),
        (latency_s.p999, 0.001),
        (latency_s.max, 0.0),
        (criterion.limit, criterion.exceedance),
    ]
    known = [(at_s, share) for at_s, share in points if at_s is not None]
    return tuple(sorted(known, key=lambda point: (point[0], -point[1])))
