"""Compare two capacities that were measured apart: by their intervals, never by their middles.

The two runs are independent, so the interval of the ratio is wider than that of either. For a
change of a few percent use pairs: ``capplan loadtest --paired``.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from capplan.errors import UsageError
from capplan.loadtest.observed import observation
from capplan.loadtest.pairing import CONFIDENCE
from capplan.loadtest.protocol import NOT_STARTED
from capplan.loadtest.search.policy import known_bounds
from capplan.model.ratio import Ratio, independent, paired
from capplan.results.base import Note, Provenance
from capplan.results.capacity import Capacity, Trial
from capplan.results.comparison import Compared, Comparison, Difference, EndpointComparison
from capplan.results.paired import RatioRange

SMALL = 0.15  # a loss that is small enough to be ruled out, and too large to be missed
_SAME_RATE = 0.05
_BELOW = 0.8  # of the sustained rate: latency hardly depends on the rate down there
_FEWEST_PAIRS = 3
_MACHINE = ("platform", "cpus")


def compare(old: Capacity, new: Capacity, provenance: Provenance) -> Comparison:
    """Compare two capacities of one service.

    Raises ``UsageError`` when they answer different questions: another SLA, unit or number of
    servers.
    """
    _refuse_other_questions(old, new)
    notes = tuple(_doubts(old, new))
    ratio = independent(_known(old), _known(new))
    return Comparison(
        **dict(provenance),
        verdict="cannot_tell" if notes else judged(ratio),
        ratio=_range(ratio),
        old=_compared(old),
        new=_compared(new),
        endpoints=tuple(_endpoints(old, new, alike=not notes)),
        notes=notes,
    )


def judged(ratio: Ratio) -> Difference:
    """Say what an interval is good for.

    ``no_difference`` needs more than containing 1: it has to rule out a change by ``SMALL``.

    >>> judged(Ratio(0.7, 0.8, 0.9)), judged(Ratio(0.9, 1.0, 1.1)), judged(Ratio(0.8, 1.0, 1.2))
    ('different', 'no_difference', 'cannot_tell')
    """
    low, high = ratio.low or 0.0, ratio.high or math.inf
    if low > 1 or high < 1:
        return "different"
    return "no_difference" if low >= 1 - SMALL and high <= 1 / (1 - SMALL) else "cannot_tell"


def _refuse_other_questions(old: Capacity, new: Capacity) -> None:
    asked = {
        "SLA": (old.identity.sla, new.identity.sla),
        "unit": (old.identity.unit, new.identity.unit),
        "number of servers": (old.identity.servers, new.identity.servers),
    }
    for what, (before, after) in asked.items():
        if before != after:
            raise UsageError(
                f"the two results differ in their {what}: {before} and {after}",
                "compare results that answer the same question",
            )


def _doubts(old: Capacity, new: Capacity) -> Iterator[Note]:
    """Find what else differs and could be the reason for any difference."""
    before, after = old.identity, new.identity
    if (before.locustfile_hash, before.arguments) != (after.locustfile_hash, after.arguments):
        yield Note(
            code="other_script",
            message="the script or its options changed between the two: a difference may be that "
            "of the load",
            advice="measure both with the same script",
        )
    machines = [tuple(result.environment.get(key) for key in _MACHINE) for result in (old, new)]
    if machines[0] != machines[1]:
        yield Note(
            code="other_machine",
            message="the two were measured from different machines: absolute rates cannot be "
            "compared",
            advice="measure both on one, best in turns: capplan loadtest --paired",
        )


def _endpoints(old: Capacity, new: Capacity, *, alike: bool) -> Iterator[EndpointComparison]:
    own = {c.endpoint for trial in new.trials for c in trial.criteria if c.endpoint}
    for name in new.mix:
        if name not in old.mix or name == NOT_STARTED:
            continue
        if name in own:
            ratio, trials = independent(_of_endpoint(old, name), _of_endpoint(new, name)), 0
        else:
            ratio, trials = _latency(old, new, name)
        yield EndpointComparison(
            endpoint=name,
            measure="sustained_rps" if name in own else "latency_s_p95",
            ratio=_range(ratio),
            verdict=judged(ratio) if alike else "cannot_tell",
            trials=trials,
        )


def _of_endpoint(capacity: Capacity, endpoint: str) -> Ratio:
    """Return the rate of the mix at which the endpoint's own SLA would just hold.

    The same model of misses as that of the whole, learnt from this endpoint's criteria alone.
    """
    seen = []
    for trial in capacity.trials:
        criteria = tuple(c for c in trial.criteria if c.endpoint == endpoint)
        if trial.outcome == "invalid" or not criteria:
            continue
        part = min(1.0, trial.duration_s / trial.planned_s) if trial.ended_early else 1.0
        missed = any(c.exceedance * part > c.allowed for c in criteria)
        if missed or not trial.ended_early:  # one that ended for another reason tells nothing
            judged_alone = {"criteria": criteria, "outcome": "fail" if missed else "pass"}
            seen.append(observation(trial.model_copy(update=judged_alone)))
    if not seen:
        return Ratio(None, None, None)
    known, made = known_bounds(seen), capacity.requests_per_arrival or 1.0
    return Ratio(*(rate and rate * made for rate in (known.low, known.mid, known.high)))


def _latency(old: Capacity, new: Capacity, endpoint: str) -> tuple[Ratio, int]:
    """Compare the p95 of an endpoint at rates that both held, each trial used once.

    Near saturation latency says how near it is, and nothing else: only rates below 80 % of what
    both sustain count. Pairs of trials at one rate have Student's interval.
    """
    lows = [result.sustained_rps.low or 0.0 for result in (old, new)]
    left = list(_calm(old, endpoint, min(lows)))
    logs: list[tuple[float, float]] = []
    for rate, p95 in _calm(new, endpoint, min(lows)):
        near = [one for one in left if abs(math.log(one[0] / rate)) <= _SAME_RATE]
        if near:
            left.remove(near[0])
            logs.append((math.log(near[0][1]), math.log(p95)))
    if len(logs) < _FEWEST_PAIRS:
        return Ratio(None, None, None), len(logs)
    before, after = zip(*logs, strict=True)
    return paired(before, after, CONFIDENCE), len(logs)


def _calm(capacity: Capacity, endpoint: str, sustained: float) -> Iterator[tuple[float, float]]:
    for trial in capacity.trials:
        if trial.outcome == "pass" and trial.rate_rps <= _BELOW * sustained:
            p95 = _p95(trial, endpoint)
            if p95:
                yield trial.rate_rps, p95


def _p95(trial: Trial, endpoint: str) -> float | None:
    return next((e.latency_s.p95 for e in trial.endpoints if e.name == endpoint), None)


def _known(capacity: Capacity) -> Ratio:
    known = capacity.sustained_rps
    return Ratio(known.low, known.mid, known.high)


def _range(ratio: Ratio) -> RatioRange:
    return RatioRange(low=ratio.low, mid=ratio.mid, high=ratio.high, confidence=CONFIDENCE)


def _compared(capacity: Capacity) -> Compared:
    return Compared(
        identity=capacity.identity,
        verdict=capacity.verdict,
        sustained_rps=capacity.sustained_rps,
        made_at=capacity.made_at,
    )
