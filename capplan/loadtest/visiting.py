"""Visits as the parent sees them: how long they are, and what that asks of a trial. Pure.

In unit ``visit`` the shop has to be as full as it is in the long run before measuring starts, and a
trial has to be long against a visit, or it would see one crowd only.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from capplan.errors import UsageError
from capplan.loadtest.recording import VisitRows
from capplan.results.base import Note
from capplan.results.capacity import Trial, VisitStats
from capplan.units import format_duration

VISITS_PER_TRIAL = 3.0
"""A trial measures for so many times the 95th percentile of a visit's length."""

FEWEST_TRIALS = 4
"""Fewer cannot find a rate that holds and one that fails, refine the answer, and confirm it."""

USUAL_TRIALS = 10
_ENOUGH = 30  # visits by which a length that was measured replaces the one before
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Pace:
    """The length of visits, in seconds: mean, 95th and 99th percentile."""

    mean_s: float
    p95_s: float
    p99_s: float

    @property
    def prefill_s(self) -> float:
        """How long visits are issued before measuring starts.

        After the 99th percentile of their length, 99 of 100 visits that began at first have ended:
        as many end as begin, and fewer than 1 % of the steady number are missing.
        """
        return self.p99_s

    @property
    def measured_s(self) -> float:
        """How long a trial measures at least."""
        return VISITS_PER_TRIAL * self.p95_s

    @property
    def trial_s(self) -> float:
        """How long a trial lasts at least."""
        return self.prefill_s + self.measured_s


def pace(lengths_s: Mapping[str, Sequence[float]], weights: Mapping[str, float]) -> Pace:
    """Return the pace of a mix of user classes, from some visits of each.

    >>> pace({"Buyer": [4.0, 6.0], "Looker": [1.0, 1.0]}, {"Buyer": 1.0, "Looker": 3.0})
    Pace(mean_s=2.0, p95_s=6.0, p99_s=6.0)
    """
    values = np.array([s for name, own in lengths_s.items() for s in own])
    share = np.array([weights[name] / len(own) for name, own in lengths_s.items() for _ in own])
    order = np.argsort(values)
    reached = np.cumsum(share[order]) / share.sum()

    def at(quantile: float) -> float:
        return float(values[order][np.searchsorted(reached, quantile - 1e-9)])

    return Pace(float((values * share).sum() / share.sum()), at(0.95), at(0.99))


def paced_by(before: Pace, trial: Trial) -> Pace:
    """Return the pace after a trial: what it measured, where it saw enough visits to their end."""
    seen = trial.visits
    if trial.ended_early or trial.outcome == "invalid" or seen is None or seen.counted < _ENOUGH:
        return before
    mean_s, p95_s = seen.length_s_mean, seen.length_s_p95
    if mean_s is None or p95_s is None:
        return before
    return Pace(mean_s, p95_s, max(seen.length_s_p99 or 0.0, p95_s))


def require_time(known: Pace, time_budget_s: float) -> tuple[Note, ...]:
    """Raise when the time budget does not hold enough trials; note when it holds few."""
    trials = int(time_budget_s / known.trial_s)
    minutes = math.ceil(USUAL_TRIALS * known.trial_s / 60)
    visit = (
        f"a visit lasts {format_duration(known.mean_s)} on average and up to "
        f"{format_duration(known.p95_s)} (p95), so a trial lasts {format_duration(known.trial_s)}"
    )
    if trials < FEWEST_TRIALS:
        raise UsageError(
            f"{visit}, and a time budget of {format_duration(time_budget_s)} holds {trials} trials "
            f"where {FEWEST_TRIALS} are the fewest",
            f"say --time-budget {minutes}min, or use service.unit: task, which waits for no visit",
        )
    if trials < USUAL_TRIALS:
        return (
            Note(
                code="few_trials",
                message=f"{visit}: about {trials} trials fit, and the interval will be wide",
                advice=f"say --time-budget {minutes}min",
            ),
        )
    return ()


def visit_stats(rows: VisitRows, held_s: float, warmup_s: float) -> VisitStats | None:
    """Summarise the visits of a trial that was held for ``held_s``. None in unit ``task``.

    Those that began within the last ``warmup_s``, a long visit, had no time to end.
    """
    if not len(rows.intended_s):
        return None
    early = rows.intended_s < held_s - warmup_s
    length_s, requests = np.sort(rows.length_s[early]), rows.requests[early]
    ended = np.isfinite(length_s)

    def at(quantile: float) -> float | None:
        if not len(length_s):
            return None
        value = float(length_s[min(len(length_s) - 1, math.ceil(quantile * len(length_s)) - 1)])
        return value if math.isfinite(value) else None

    return VisitStats(
        issued=len(early),
        counted=len(length_s),
        ended=int(ended.sum()),
        offered_per_s=_offered_per_s(rows, held_s, warmup_s),
        requests_mean=float(requests.mean()) if len(requests) else 0.0,
        requests_sd=float(requests.std()) if len(requests) else 0.0,
        length_s_mean=float(length_s[ended].mean()) if ended.any() else None,
        length_s_p50=at(0.5),
        length_s_p95=at(0.95),
        length_s_p99=at(0.99),
    )


def _offered_per_s(rows: VisitRows, held_s: float, warmup_s: float) -> float | None:
    """Return the visits/s whose requests came in the time that counts.

    A visit's requests come half its length after its start, on average. So the visits that count
    are those that began half a mean length before the time in which requests do.
    """
    ended = np.isfinite(rows.length_s)
    if held_s <= warmup_s or not ended.any():
        return None
    earlier_s = min(float(rows.length_s[ended].mean()) / 2, warmup_s)
    start_s = rows.intended_s + earlier_s
    return float(np.count_nonzero((start_s >= warmup_s) & (start_s < held_s))) / (held_s - warmup_s)
