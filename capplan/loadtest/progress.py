"""What a running load test shows while it runs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from capplan.loadtest.evaluate import summarise
from capplan.loadtest.protocol import SUCCESS
from capplan.loadtest.recording import Recording
from capplan.loadtest.search.policy import Bounds
from capplan.results.capacity import LatencySummary


@dataclass(frozen=True, slots=True)
class Progress:
    """One moment of a trial. Rates are in requests/s, times in seconds.

    ``predicted_s`` is how much load the whole search was expected to need before it began, None
    where there is no search.
    """

    trial: int
    purpose: str
    asked_rps: float
    served_rps: float
    latency_s: LatencySummary
    failures: int
    requests: int
    lateness_s: float
    bounds_rps: Bounds
    trial_left_s: float
    left_s: float
    predicted_s: float | None = None


def snapshot(
    recording: Recording,
    purpose: str,
    asked_rps: float,
    bounds_rps: Bounds,
    left_s: float,
    predicted_s: float | None = None,
    *,
    latest: int | None = None,
) -> Progress:
    """Summarise a recording that still grows; ``left_s`` counts from the start of the trial.

    Of a long one only the ``latest`` messages are summed up, about those of the last second.
    """
    rows = recording.rows(latest)
    elapsed_s = max(recording.elapsed_s, 1e-3)
    late = rows.lateness_s[rows.lateness_s > 0]
    summed_s = elapsed_s if latest is None else min(elapsed_s, 1.0)
    return Progress(
        trial=recording.spec.index + 1,
        purpose=purpose,
        asked_rps=asked_rps,
        served_rps=float(np.count_nonzero(rows.ending == SUCCESS)) / summed_s,
        latency_s=summarise(rows.sojourn_s, rows.ending),
        failures=recording.failures,
        requests=recording.count,
        lateness_s=float(np.quantile(late, 0.99)) if len(late) else 0.0,
        bounds_rps=bounds_rps,
        trial_left_s=max(0.0, recording.spec.duration_s - elapsed_s),
        left_s=max(0.0, left_s - elapsed_s),
        predicted_s=predicted_s,
    )
