"""Endpoints with an SLA of their own: are they named right, requested enough, and which one binds.

Pure: trials and names in, findings out.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from difflib import SequenceMatcher

from capplan.plan.sla import Sla
from capplan.results.base import Note
from capplan.results.capacity import Binding, Criterion, Trial
from capplan.units import format_number

_NEAR = 1.25  # trials between answer / _NEAR and answer · _NEAR tell what limits it
_PER_SLIP = 4  # characters of a name for each that may be wrong in it, up to two


def misspelt(planned: Iterable[str], called: Collection[str]) -> dict[str, str]:
    """Return the names in the plan that no request had, each with the name that was surely meant.

    Names that differ only in a number are different pages, not a slip; and a name that resembles
    none may belong to a rare request.

    >>> misspelt(["POST /chekout", "/cart", "GET /page/2", "GET /rare"],
    ...          ["POST /checkout", "GET /cart", "GET /page/1"])
    {'POST /chekout': 'POST /checkout', '/cart': 'GET /cart'}
    """
    planned = list(planned)
    others = sorted(set(called) - set(planned))
    return {
        name: meant
        for name in planned
        if name not in called
        for meant in [next((other for other in others if _alike(name, other)), None)]
        if meant is not None
    }


def _alike(name: str, other: str) -> bool:
    plain, known = (" ".join(text.casefold().split()).rstrip("/") for text in (name, other))
    if plain in (known, known.partition(" ")[2]):
        return True
    differing = [
        max(plain[a:b], known[c:d], key=len)
        for tag, a, b, c, d in SequenceMatcher(None, plain, known, autojunk=False).get_opcodes()
        if tag != "equal"
    ]
    slips = "".join(differing)
    most = min(2, len(plain.partition(" ")[2]) // _PER_SLIP)
    return len(slips) <= most and not any(c.isdigit() for c in slips)


def enough(allowed: float) -> int:
    """Return how many requests, all within a limit, show that it holds, with 95 % confidence.

    The smallest n with (1 - allowed)^n ≤ 0.05: fewer could all be within the limit by chance even
    if more than ``allowed`` of all requests are not.

    >>> enough(0.01), enough(0.05), enough(0.0)
    (299, 59, 0)
    """
    return math.ceil(math.log(0.05) / math.log1p(-allowed)) if 0 < allowed < 1 else 0


def unjudged(
    trials: Sequence[Trial], sla: Sla, endpoints: Mapping[str, Sla], answer_rps: float | None
) -> tuple[Note, ...]:
    """Note what cannot be judged: a high percentile of few requests, an endpoint that is too rare.

    What counts are the requests in valid trials near the answer, or in all where there is none.
    """
    if not trials:
        return ()
    near = around(trials, answer_rps)
    found = [
        _too_few(sla, near),
        *(_unjudged(n, own, trials, near) for n, own in endpoints.items()),
    ]
    return tuple(note for note in found if note is not None)


def _too_few(sla: Sla, near: Sequence[Trial]) -> Note | None:
    if not sla.latency:
        return None
    limit, count = sla.latency[-1], sum(trial.requests for trial in near)
    needed = enough(1 - limit.quantile)
    if count >= needed:
        return None
    return Note(
        code="few_requests",
        message=f"{limit.name} takes {needed:,} requests to judge, and there were {count:,} near "
        "the answer",
        advice="raise --time-budget, or judge a lower percentile",
    )


def _unjudged(name: str, sla: Sla, trials: Sequence[Trial], near: Sequence[Trial]) -> Note | None:
    if not _requests(name, trials):
        made = sum(trial.requests for trial in trials)
        return Note(
            code="endpoint_not_seen",
            message=f"none of {format_number(made)} requests was {name}: its SLA was not judged",
            advice="compare its name in service.endpoints with those of: capplan loadtest --check",
        )
    if not sla.latency:
        return None
    limit = sla.latency[-1]
    count, needed = _requests(name, near), enough(1 - limit.quantile)
    if count >= needed:
        return None
    return Note(
        code="endpoint_rare",
        message=f"{name} was requested {count} times near the answer, and its {limit.name} takes "
        f"{needed} to judge",
        advice="raise --time-budget, or measure it alone with a higher share in the script",
    )


def _requests(name: str, trials: Sequence[Trial]) -> int:
    return sum(e.requests for trial in trials for e in trial.endpoints if e.name == name)


def find_binding(trials: Sequence[Trial], answer_rps: float | None) -> Binding | None:
    """Return the criterion of the SLA that was missed most around the answer, None when all held.

    Without an answer it is the one that was missed most in the lowest failed trial.
    """
    failed = [trial for trial in trials if trial.outcome == "fail"]
    if not failed:
        return None
    near = around(trials, answer_rps)
    if answer_rps is None or all(trial.outcome == "pass" for trial in near):
        near = [min(failed, key=lambda trial: trial.rate_rps)]
    answers = ([c for c in trial.criteria if not c.of_target] for trial in near)
    by_criterion = zip(*answers, strict=True)
    pooled = [_pool(criteria, near) for criteria in by_criterion]
    worst = max(pooled, key=excess)
    if worst.exceedance == 0:
        return None
    return Binding(
        endpoint=worst.endpoint,
        name=worst.name,
        limit=worst.limit,
        allowed=worst.allowed,
        exceedance=worst.exceedance,
        from_rps=min(trial.rate_rps for trial in near),
        to_rps=max(trial.rate_rps for trial in near),
    )


def excess(criterion: Criterion) -> float:
    """Return how many times the allowed share missed the limit."""
    return criterion.exceedance / max(criterion.allowed, 1e-9)


def around(trials: Sequence[Trial], answer_rps: float | None) -> list[Trial]:
    """Return the valid trials that tell what limits an answer, all of them where there is none."""
    valid = [trial for trial in trials if trial.outcome != "invalid"]
    if answer_rps is None:
        return valid
    near = [t for t in valid if answer_rps / _NEAR <= t.rate_rps <= answer_rps * _NEAR]
    return near or valid


def _pool(criteria: Sequence[Criterion], trials: Sequence[Trial]) -> Criterion:
    counts = [
        trial.requests if c.endpoint is None else _requests(c.endpoint, [trial])
        for c, trial in zip(criteria, trials, strict=True)
    ]
    missed = sum(c.exceedance * count for c, count in zip(criteria, counts, strict=True))
    return criteria[0].model_copy(update={"exceedance": missed / max(sum(counts), 1)})
