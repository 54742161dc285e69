"""What the user allows at most: a rate and a number of requests. Pure.

Both count requests, and a load is asked for in arrivals: what an arrival makes is only estimated.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from capplan.results.base import Note
from capplan.results.capacity import Trial

_SURE = 2.0  # standard errors
_SAME = 1.1  # a limit that rises by less stays


def counted(trial: Trial) -> int:
    """Return of how many arrivals it is known how many requests they made."""
    return trial.visits.counted if trial.visits else trial.health.tickets_issued


def pooled(trials: Sequence[Trial]) -> float | None:
    """Return the mean number of requests per arrival over all trials; None without arrivals."""
    arrivals = sum(counted(t) for t in trials)
    if not arrivals:
        return None
    return max(sum(t.requests_per_arrival * counted(t) for t in trials) / arrivals, 1e-6)


def surely_at_most(trials: Sequence[Trial]) -> float | None:
    """Return what the mean number of requests per arrival surely does not exceed.

    m + 2·s/√n: m is the pooled mean of n arrivals, s their pooled standard deviation.
    """
    mean, arrivals = pooled(trials), sum(counted(t) for t in trials)
    if mean is None:
        return None
    squares = sum(counted(t) * _sd(t) ** 2 for t in trials)
    return mean + _SURE * math.sqrt(squares) / arrivals


def allowed(max_rate_rps: float | None, per_arrival: float, before: float | None) -> float | None:
    """Return the highest rate in arrivals/s; None where any is allowed.

    As the requests per arrival are better known the limit rises by little. It stays what it was
    ``before`` then: a load that was held at the limit would have to be held again.

    >>> allowed(120.0, 1.2, None), allowed(120.0, 1.15, 100.0), allowed(120.0, 1.0, 100.0)
    (100.0, 100.0, 120.0)
    """
    if max_rate_rps is None:
        return None
    limit = max_rate_rps / per_arrival
    return before if before is not None and before <= limit <= _SAME * before else limit


def affordable(arrivals: float, per_arrival: float, left: float) -> bool:
    """Return whether a load surely makes no more requests than are ``left``.

    A Poisson number of arrivals with mean a stays below a + 2·√a + 2.

    >>> affordable(100, 2.0, 300), affordable(100, 2.0, 200)
    (True, False)
    """
    return (arrivals + _SURE * math.sqrt(arrivals) + _SURE) * per_arrival <= left


def cap_note(max_requests: int, made: int) -> Note:
    """Say that the number of requests ended the search."""
    return Note(
        code="request_cap",
        message=f"{made:,} of at most {max_requests:,} requests were made, too few are left for "
        "another trial",
        advice="allow more with --max-requests, and go on with --resume",
    )


def _sd(trial: Trial) -> float:
    return trial.visits.requests_sd if trial.visits else trial.requests_per_arrival_sd
