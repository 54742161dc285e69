"""From a recording to a judged trial: whether the SLA held; ``validity`` says whom to blame."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import bdtrc

from capplan.loadtest.endpoints import enough
from capplan.loadtest.protocol import FAILURE, NOT_ASKED, NOT_STARTED, SUCCESS, TASK_FAILED, TIMEOUT
from capplan.loadtest.recording import Recording, Rows
from capplan.loadtest.validity import Held, Usage, judge
from capplan.loadtest.visiting import visit_stats
from capplan.plan.sla import Sla
from capplan.results.base import Note
from capplan.results.capacity import (
    Criterion,
    EndpointStats,
    Health,
    LatencySummary,
    Trial,
)

BATCHES = 10
_TOO_FEW = 5  # requests of which nothing can be said
HOPELESS = 4.0
_DOUBT = 0.05  # misses of a rare endpoint that are no less likely than this may be chance
Purpose = Literal["probe", "bisect", "refine", "confirm"]


def evaluate(
    recording: Recording,
    purpose: Purpose,
    warmup_s: float,
    sla: Sla,
    endpoints: Mapping[str, Sla],
    usage: Usage,
) -> Trial:
    """Judge one trial against the SLA of the mix and of each endpoint that has its own.

    Requests whose intended start lies within the first ``warmup_s`` seconds are left out.
    """
    spec, everything = recording.spec, recording.rows()
    planned_s, planned_warmup_s = spec.duration_s - warmup_s, warmup_s
    held_s = spec.duration_s
    if recording.ended_early:
        # overload from the first second on: there is no steady state to wait for
        held_s, warmup_s = min(max(recording.each("held_s")), spec.duration_s), 0.0
    rows = everything.where((everything.intended_s >= warmup_s) & (everything.intended_s < held_s))
    measured_s = max(held_s - warmup_s, 1e-9)
    criteria = _criteria(rows, recording.endpoints, sla, endpoints, rows.sojourn_s)
    health = _health(recording, rows, usage)
    held = _held(recording, rows, sla, endpoints, criteria, health.lateness_s_p99)
    outcome, notes = judge(held, health, recording.lost, recording.ended_early)
    arrivals = int(recording.state.get("issued", 0))
    visits = visit_stats(recording.visits(), max(recording.each("held_s")), planned_warmup_s)
    started = int(np.count_nonzero(~_named(NOT_STARTED, everything, recording)))
    squares = float(recording.state.get("requests_squared", 0.0)) / max(arrivals, 1)
    per_arrival = visits.requests_mean if visits else started / max(arrivals, 1)
    return Trial(
        purpose=purpose,
        rate_rps=0.0,  # known once the whole run says how many requests an arrival makes
        arrivals_per_s=spec.arrivals_per_s,
        planned_s=planned_s,
        duration_s=held_s,
        warmup_s=warmup_s,
        achieved_rps=len(rows) / measured_s,
        served_rps=float(np.count_nonzero(rows.ending == SUCCESS)) / measured_s,
        requests=len(rows),
        successes=int(np.count_nonzero(rows.ending == SUCCESS)),
        failures=int(np.count_nonzero(rows.ending == FAILURE)),
        timeouts=int(np.count_nonzero(rows.ending == TIMEOUT)),
        latency_s=summarise(rows.sojourn_s, rows.ending),
        latency_actual_s=summarise(rows.latency_s, rows.ending),
        endpoints=_by_endpoint(rows, recording.endpoints),
        criteria=criteria,
        requests_per_arrival=per_arrival,
        requests_per_arrival_sd=max(0.0, squares - per_arrival**2) ** 0.5,
        ended_early=recording.ended_early,
        errors=dict(sorted(recording.state.get("errors", {}).items(), key=lambda e: -e[1])[:5]),
        health=health,
        outcome=outcome,
        visits=visits,
        notes=notes + _raised(recording.state.get("errors", {})),
    )


def _held(
    recording: Recording,
    rows: Rows,
    sla: Sla,
    endpoints: Mapping[str, Sla],
    criteria: Collection[Criterion],
    lateness_s: float,
) -> Held:
    """Say whether the SLA was held, and whether it would have been but for the generator."""

    def holds(some: Rows, sojourn_s: NDArray[np.float64]) -> bool:
        judged = _criteria(some, recording.endpoints, sla, endpoints, sojourn_s)
        return all(criterion.held for criterion in judged)

    served = rows.where(~_named(NOT_STARTED, rows, recording) & ~_named(NOT_ASKED, rows, recording))
    return Held(
        all(criterion.held for criterion in criteria),
        holds(rows, rows.latency_s),
        holds(rows, rows.latency_s - lateness_s),
        nothing=not len(rows),
        served=holds(served, served.latency_s),
    )


def _raised(errors: Mapping[str, int]) -> tuple[Note, ...]:
    """Say that tasks of the script raised: what they would have sent next is missing."""
    raised = {text: n for text, n in errors.items() if text.startswith(f"{TASK_FAILED}: ")}
    if not raised:
        return ()
    most = max(raised, key=lambda text: raised[text]).removeprefix(f"{TASK_FAILED}: ")
    return (
        Note(
            code="tasks_raised",
            message=f"tasks raised {sum(raised.values())} times, as in {most}",
            advice="what such a task would have sent next is missing from the load",
        ),
    )


def summarise(sojourn_s: NDArray[np.float64], ending: NDArray[np.int64]) -> LatencySummary:
    """Summarise latency over successes and timeouts; a timeout is slower than any limit."""
    answered = np.sort(sojourn_s[ending != FAILURE])

    def at(quantile: float) -> float | None:
        value = _quantile(answered, quantile)
        return value if value is not None and np.isfinite(value) else None

    finite = answered[np.isfinite(answered)]
    return LatencySummary(
        p50=at(0.5),
        p75=at(0.75),
        p90=at(0.9),
        p95=at(0.95),
        p99=at(0.99),
        p999=at(0.999),
        mean=float(finite.mean()) if len(finite) else None,
        max=at(1.0),
    )


def _quantile(ordered: NDArray[np.float64], quantile: float) -> float | None:
    """Return the smallest value that at least ``quantile`` of the sample does not exceed."""
    if not len(ordered):
        return None
    return float(ordered[min(len(ordered) - 1, max(0, int(np.ceil(quantile * len(ordered))) - 1))])


def _criteria(
    rows: Rows,
    names: list[str],
    sla: Sla,
    endpoints: Mapping[str, Sla],
    sojourn_s: NDArray[np.float64],
) -> tuple[Criterion, ...]:
    criteria = list(_judge(None, sla, rows, sojourn_s))
    for name, own in endpoints.items():
        mask = rows.endpoint == (names.index(name) if name in names else -1)
        criteria += _judge(name, own, rows.where(mask), sojourn_s[mask])
    return tuple(criteria)


def _judge(
    endpoint: str | None, sla: Sla, rows: Rows, sojourn_s: NDArray[np.float64]
) -> list[Criterion]:
    """Judge one SLA on latency percentiles (successes and timeouts) and on the failed share."""
    answered = rows.ending != FAILURE
    slow = sojourn_s[answered]
    ordered = np.sort(slow)
    criteria = []
    for limit in sla.latency:
        measured = _quantile(ordered, limit.quantile)
        over = slow > limit.limit_s
        allowed, when = 1 - limit.quantile, rows.intended_s[answered]
        criteria.append(
            _criterion(endpoint, limit.name, limit.limit_s, measured, allowed, over, when)
        )
    failed = rows.ending != SUCCESS
    share = float(failed.mean()) if len(failed) else 0.0
    criteria.append(
        _criterion(endpoint, "failures", sla.failures, share, sla.failures, failed, rows.intended_s)
    )
    return criteria


def _criterion(
    endpoint: str | None,
    name: str,
    limit: float,
    measured: float | None,
    allowed: float,
    missed: NDArray[np.bool_],
    intended_s: NDArray[np.float64],
) -> Criterion:
    finite = measured is not None and np.isfinite(measured)
    exceedance = float(missed.mean()) if len(missed) else 0.0
    held = exceedance <= allowed + 1e-12
    if endpoint is not None and not held and len(missed) < enough(allowed):
        # one slow answer of fifty is over 1 % and says little; it counts in the pooled trials
        held = bool(bdtrc(int(missed.sum()) - 1, len(missed), allowed) >= _DOUBT)
    return Criterion(
        endpoint=endpoint,
        name=name,
        limit=limit,
        measured=measured if finite else None,
        allowed=allowed,
        exceedance=exceedance,
        variance=_batch_variance(missed, intended_s),
        held=held,
    )


def _batch_variance(missed: NDArray[np.bool_], intended_s: NDArray[np.float64]) -> float:
    """Return the variance of the share of misses, by means of batches of equal time.

    Latencies near saturation are strongly correlated; the binomial variance would be far too
    small. It is the floor here, with half a miss added so that no misses does not mean no doubt,
    and all there is where the batches would be nearly empty.
    """
    count = len(missed)
    if count < _TOO_FEW:
        return 0.25
    share = (missed.sum() + 0.5) / (count + 1)
    binomial = float(share * (1 - share) / count)
    if count < 2 * BATCHES:
        return binomial
    span = intended_s.max() - intended_s.min()
    batch = np.minimum(((intended_s - intended_s.min()) / max(span, 1e-9) * BATCHES), BATCHES - 1)
    sizes = np.bincount(batch.astype(int), minlength=BATCHES)
    sums = np.bincount(batch.astype(int), weights=missed, minlength=BATCHES)
    # ratio estimator: the batches differ in size because arrivals are Poisson
    residual = sums - missed.mean() * sizes
    batched = float((residual**2).sum() * BATCHES / (BATCHES - 1) / count**2)
    return max(binomial, batched)


def _health(recording: Recording, rows: Rows, usage: Usage) -> Health:
    state = recording.state
    return Health(
        tickets_due=recording.tickets_due,
        tickets_issued=int(state.get("issued", 0)),
        starved=int(state.get("starved", 0)),
        lateness_s_p99=float(state.get("lateness_s_p99", 0.0)),
        generator_cpu=float(state.get("generator_cpu", 0.0)),
        steal=usage.steal,
        users=int(state.get("users", 0)),
        held_up=float(state.get("held_up", 0.0)),
        processes=recording.workers,
        generator_cpus=recording.each("generator_cpu"),
        cores=usage.cores,
        idle_cores=usage.idle_cores,
        most_users=recording.spec.most_users,
        failed_starts=int(state.get("failed_starts", 0)),
        start_error=state.get("start_error"),
        unasked=int(np.count_nonzero(_named(NOT_ASKED, rows, recording))),
    )


def _by_endpoint(rows: Rows, names: list[str]) -> tuple[EndpointStats, ...]:
    stats = []
    for index, name in enumerate(names):
        own = rows.where(rows.endpoint == index)
        if len(own):
            stats.append(
                EndpointStats(
                    name=name,
                    requests=len(own),
                    failures=int(np.count_nonzero(own.ending == FAILURE)),
                    timeouts=int(np.count_nonzero(own.ending == TIMEOUT)),
                    latency_s=summarise(own.sojourn_s, own.ending),
                )
            )
    return tuple(stats)


def _named(name: str, rows: Rows, recording: Recording) -> NDArray[np.bool_]:
    index = recording.endpoints.index(name) if name in recording.endpoints else -1
    return np.asarray(rows.endpoint == index)


def hopeless_share(allowed: float, purpose: Purpose) -> float:
    """Return the share of a trial's planned requests that may miss a limit before it is ended.

    Four times what is allowed fails for certain. A trial that refines the answer runs on until half
    of its requests missed: just above the answer it tells most.
    """
    return max(HOPELESS * allowed, 0.5 if purpose in ("refine", "confirm") else 0.0)


def watch_for_hopeless(
    slow_allowed: float, failures_allowed: float, planned: float, purpose: Purpose
) -> Callable[[Recording], bool]:
    """Return a watcher that ends a trial of ``planned`` requests which can no longer pass."""
    slow_budget = hopeless_share(slow_allowed, purpose) * planned
    failure_budget = max(hopeless_share(failures_allowed, purpose) * planned, 10)

    def hopeless(recording: Recording) -> bool:
        overdue = int(recording.state.get("overdue", 0))
        return recording.misses + overdue > slow_budget or recording.failures > failure_budget

    return hopeless
