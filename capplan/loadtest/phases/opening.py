"""The first seconds of a sale against the steady state at the same rate.

Several openings are pooled: one first second is a single draw, and holds few requests.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from capplan.loadtest.evaluate import summarise
from capplan.loadtest.protocol import FAILURE, SUCCESS, TIMEOUT
from capplan.loadtest.recording import Connects, Recording, Rows
from capplan.plan.sla import Sla
from capplan.results.phases import OpeningCheck, OpeningWindow

OPENING_S = 3
_SURE = 1.96
_MISSES_EXPECTED = 3.0  # at the limit itself: with none seen, the true share is below it at 95 %
Outcome = Literal["held", "missed", "unclear"]
Span = tuple[float, float]


def window(recordings: Sequence[Recording], start_s: float, end_s: float | None) -> OpeningWindow:
    """Pool what was meant to start from ``start_s`` to ``end_s`` in each of the recordings."""
    span = (start_s, math.inf if end_s is None else end_s)
    rows = [_within(r.rows(), span) for r in recordings]
    ending = np.concatenate([r.ending for r in rows])
    connects = [_connects_within(r.connects(), span) for r in recordings]
    failed = np.concatenate([c.failed for c in connects])
    took_s = np.concatenate([c.took_s for c in connects])[~failed]
    return OpeningWindow(
        start_s=start_s,
        end_s=end_s,
        requests=len(ending),
        failures=int(np.count_nonzero(ending == FAILURE)),
        timeouts=int(np.count_nonzero(ending == TIMEOUT)),
        latency_s=summarise(np.concatenate([r.sojourn_s for r in rows]), ending),
        connects=len(failed),
        connects_failed=int(np.count_nonzero(failed)),
        connect_s_p50=float(np.quantile(took_s, 0.5)) if len(took_s) else None,
        connect_s_p95=float(np.quantile(took_s, 0.95)) if len(took_s) else None,
    )


def judged_s(recordings: Sequence[Recording], sla: Sla) -> float:
    """Return how many first seconds hold enough requests to judge the SLA by, at most all.

    Enough is when three misses are expected at the limit itself.
    """
    strictest = min(
        [1 - limit.quantile for limit in sla.latency]
        + ([sla.failures] if sla.failures > 0 else []),
        default=1.0,
    )
    for seconds in range(1, OPENING_S):
        if sum(len(_within(r.rows(), (0, seconds))) for r in recordings) * strictest >= (
            _MISSES_EXPECTED
        ):
            return float(seconds)
    return float(OPENING_S)


def checks(recordings: Sequence[Recording], sla: Sla, seconds: float) -> tuple[OpeningCheck, ...]:
    """Judge each limit of the SLA over the first ``seconds`` of all openings."""
    rows = [_within(r.rows(), (0.0, seconds)) for r in recordings]
    answered = [r.where(r.ending != FAILURE) for r in rows]
    judged = [
        _check(limit.name, 1 - limit.quantile, [a.sojourn_s > limit.limit_s for a in answered])
        for limit in sla.latency
    ]
    return (*judged, _check("failures", sla.failures, [r.ending != SUCCESS for r in rows]))


def outcome(judged: Sequence[OpeningCheck]) -> Outcome:
    """Sum the checks up: one limit that is surely missed is a miss.

    >>> check = OpeningCheck(name="p95", allowed=0.05, share=0.01, stderr=0.01, outcome="held")
    >>> outcome([check, check.model_copy(update={"outcome": "unclear"})])
    'unclear'
    """
    found = {check.outcome for check in judged}
    return "missed" if "missed" in found else "unclear" if "unclear" in found else "held"


def _check(name: str, allowed: float, missed: Sequence[NDArray[np.bool_]]) -> OpeningCheck:
    """Compare a share of misses with what is allowed; each opening is one independent batch."""
    sizes = np.array([len(m) for m in missed], float)
    sums = np.array([np.count_nonzero(m) for m in missed], float)
    total = max(sizes.sum(), 1.0)
    share = float(sums.sum() / total)
    near = (sums.sum() + 0.5) / (total + 1)  # no miss seen does not mean no doubt
    variance = near * (1 - near) / total
    if len(missed) > 1:
        residual = sums - share * sizes
        batched = float(residual @ residual) * len(sizes) / (len(sizes) - 1) / total**2
        variance = max(variance, batched)
    stderr = float(np.sqrt(variance))
    clear = allowed == 0 or abs(share - allowed) >= _SURE * stderr
    if share == 0:
        clear = allowed == 0 or total * allowed >= _MISSES_EXPECTED
    verdict: Outcome = "unclear" if not clear else "held" if share <= allowed else "missed"
    return OpeningCheck(name=name, allowed=allowed, share=share, stderr=stderr, outcome=verdict)


def _within(rows: Rows, span: Span) -> Rows:
    return rows.where((rows.intended_s >= span[0]) & (rows.intended_s < span[1]))


def _connects_within(connects: Connects, span: Span) -> Connects:
    mask = (connects.start_s >= span[0]) & (connects.start_s < span[1])
    return Connects(connects.start_s[mask], connects.took_s[mask], connects.failed[mask])
