"""What the target used near the answer, and what that says about the limit. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from capplan.loadtest.probes.readings import Seen
from capplan.loadtest.search.levels import Level
from capplan.model.line import through
from capplan.results.base import Note
from capplan.results.capacity import Criterion, Trial
from capplan.results.resources import CpuAtRate, Resources, ResourceUse

CONFIDENCE = 0.95
_AROUND = 0.5, 1.1  # of the answer: trials whose CPU lies on one line with that at the answer
_NEAR = 1.1
_UNKNOWN_STDERR = 0.01  # of a level whose spread was not measured
_FULL = 0.97  # CPU that is used up no longer rises with the load


def with_use(
    trial: Trial, use: ResourceUse | None, limits: Mapping[str, float], missing: Sequence[Note]
) -> Trial:
    """Add to a judged trial what the target used, and judge it against the plan's limits on that.

    A trial in which a limited resource could not be seen is judged without it, with a note;
    ``missing`` says why something could not be seen.
    """
    criteria = [_criterion(name, limit, use) for name, limit in limits.items()]
    unseen = [c.name for c in criteria if c.measured is None]
    notes = list(missing)
    if unseen:
        notes.append(
            Note(
                code="limit_not_checked",
                message=f"service.max.{unseen[0]} was not checked: it was not seen",
                advice="see that the target's processes, or its Prometheus, can be read throughout",
            )
        )
    over = trial.outcome == "pass" and not all(c.held for c in criteria)
    return trial.model_copy(
        update={
            "resources": use,
            "criteria": (*trial.criteria, *criteria),
            "outcome": "fail" if over else trial.outcome,
            "notes": (*trial.notes, *notes),
        }
    )


def level(criterion: Criterion) -> Level:
    """Return what the target used, as the search sees it."""
    seen = criterion.measured is not None
    return Level(criterion.limit, criterion.exceedance if seen else None, criterion.variance**0.5)


def _criterion(name: str, limit: float, use: ResourceUse | None) -> Criterion:
    measured: float | None = getattr(use, name) if use else None
    stderr = (use.cpu_stderr if use and name == "cpu" else None) or _UNKNOWN_STDERR
    return Criterion(
        endpoint=None,
        name=name,
        limit=limit,
        measured=measured,
        allowed=limit,
        exceedance=measured or 0.0,
        variance=stderr**2,
        held=measured is None or measured <= limit,
    )


def target_side(trials: Sequence[Trial], rate_rps: float | None, seen: Seen) -> Resources | None:
    """Sum up the target's side at the sustained rate; None where nothing of it was seen."""
    samples = sum(t.resources.samples for t in trials if t.resources)
    if not seen.by or not samples:
        return None
    return Resources(
        seen_by=seen.by,
        processes=seen.processes,
        cores=seen.ceilings.cores if seen.ceilings else None,
        memory_limit_bytes=seen.ceilings.memory_bytes if seen.ceilings else None,
        samples=samples,
        cpu_at_sustained=cpu_at(trials, rate_rps) if rate_rps else None,
        at_sustained=use_at(trials, rate_rps) if rate_rps else None,
    )


def cpu_at(trials: Sequence[Trial], rate_rps: float) -> CpuAtRate | None:
    """Return the CPU share at a rate, by a line through the trials around it; None if unseen.

    The line is CPU against requests/s that were sent, each trial with its length as its weight.
    Trials from half the rate to 1.1 of it count, or all where these are fewer than three: far below
    a request may cost more or less, and above the CPU is used up.
    """
    seen = [t for t in _seen(trials) if _cpu(t) is not None]
    rising = [t for t in seen if not t.ended_early and (_cpu(t) or 0.0) < _FULL] or seen
    low, high = _AROUND
    near = [t for t in rising if low * rate_rps <= t.achieved_rps <= high * rate_rps]
    chosen = near if len(near) > 2 else rising
    if not chosen:
        return None
    line = through(
        [t.achieved_rps for t in chosen],
        [_cpu(t) or 0.0 for t in chosen],
        [t.duration_s - t.warmup_s for t in chosen],
    )
    middle, reach = line.at(rate_rps), line.reach(rate_rps, CONFIDENCE)
    return CpuAtRate(
        rate_rps=rate_rps,
        low=None if reach is None else max(0.0, middle - reach),
        mid=min(1.0, max(0.0, middle)),
        high=None if reach is None else min(1.0, middle + reach),
        confidence=CONFIDENCE,
        idle=line.intercept,
        per_rps=line.slope,
        trials=len(chosen),
    )


def use_at(trials: Sequence[Trial], rate_rps: float) -> ResourceUse | None:
    """Return what was used near a rate: the mean over the trials within 10 %, or of the nearest."""
    seen = _seen(trials)
    if not seen:
        return None
    whole = [t for t in seen if not t.ended_early] or seen
    near = [t for t in whole if rate_rps / _NEAR <= t.achieved_rps <= rate_rps * _NEAR]
    if not near:
        near = [min(whole, key=lambda t: abs(t.achieved_rps - rate_rps))]
    return mean_use(near)


def mean_use(trials: Sequence[Trial]) -> ResourceUse | None:
    """Return the mean of what trials used, weighted by their length; None if none was seen."""
    pairs = [(t.resources, t.duration_s - t.warmup_s) for t in trials if t.resources]
    if not pairs:
        return None

    def mean(get: Callable[[ResourceUse], float | None]) -> float | None:
        known = [(value, w) for use, w in pairs if (value := get(use)) is not None]
        total = sum(w for _, w in known)
        return sum(value * w for value, w in known) / total if total else None

    def field(name: str) -> float | None:
        return mean(lambda use: getattr(use, name))

    def metric(name: str) -> float | None:
        return mean(lambda use: use.metrics.get(name))

    plain = [n for n in ResourceUse.model_fields if n not in ("samples", "metrics", "cpu_stderr")]
    names = dict.fromkeys(name for use, _ in pairs for name in use.metrics)
    return ResourceUse(
        **{name: field(name) for name in plain},
        samples=sum(use.samples for use, _ in pairs),
        metrics={name: metric(name) for name in names},
    )


def _cpu(trial: Trial) -> float | None:
    return trial.resources.cpu if trial.resources else None


def _seen(trials: Sequence[Trial]) -> list[Trial]:
    return [t for t in trials if t.outcome != "invalid" and t.resources and t.achieved_rps > 0]
