"""Whether something drifts: a line through batch means, with an interval that can be trusted.

What follows each other is alike: a queue remembers, and so does memory. Least squares on single
samples would find a drift in any quiet series. Samples are averaged into batches of equal time
first; what the residuals of neighbouring batches still have in common widens the interval.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from capplan.results.phases import Drift

Floats = NDArray[np.float64]

CONFIDENCE = 0.95
BATCHES = 40
LEAST_BATCHES = 8  # a line through fewer says nothing
_MOST_ALIKE = 0.9
_HOUR_S = 3600.0
_ROUNDING = 1e-12


def drift(
    quantity: Literal["latency_s", "memory_bytes"], at_s: Floats, value: Floats
) -> Drift | None:
    """Return the slope per hour of samples taken at ``at_s`` seconds; None for too few of them.

    Least squares on m batch means ȳ at the times t: slope b = Σ(t - t̄)(y - ȳ)/Σ(t - t̄)². With the
    lag-1 correlation r of the residuals, as in an AR(1) process, its variance is that of
    independent errors times (1 + r)/(1 - r), and as many batches as m(1 - r)/(1 + r) count as
    independent (Bayley and Hammersley, 1946). A line through few points bends the residuals to
    alternate, which makes r too small by about (2 + 4r)/m; that is put back.
    """
    times, means = batch_means(at_s, value)
    count = len(means)
    if count < LEAST_BATCHES:
        return None
    centred = times - times.mean()
    spread = float(centred @ centred)
    level = float(means.mean())
    apart = means - level
    apart[abs(apart) < _ROUNDING * abs(level)] = 0.0
    slope = float(centred @ apart) / spread
    residuals = apart - slope * centred
    squares = float(residuals @ residuals)
    alike = float(residuals[1:] @ residuals[:-1]) / squares if squares > 0 else 0.0
    alike = float(np.clip(alike + (2 + 4 * alike) / count, 0.0, _MOST_ALIKE))
    inflation = (1 + alike) / (1 - alike)
    free = max(count / inflation - 2, 1.0)
    # the residuals of n correlated points spread less than the errors: n - 2·inflation are free
    error = np.sqrt(squares / max(count - 2 * inflation, 1.0) * inflation / spread)
    reach = float(stdtrit(free, 0.5 + CONFIDENCE / 2)) * float(error)
    return Drift(
        quantity=quantity,
        mean=level,
        slope_per_h=slope * _HOUR_S,
        low_per_h=(slope - reach) * _HOUR_S,
        high_per_h=(slope + reach) * _HOUR_S,
        confidence=CONFIDENCE,
        batches=count,
    )


def batch_means(at_s: Floats, value: Floats) -> tuple[Floats, Floats]:
    """Average samples over spans of equal time; an empty span is left out.

    >>> batch_means(np.array([0.0, 1.0, 30.0]), np.array([1.0, 3.0, 7.0]))[1].tolist()
    [1.0, 3.0, 7.0]
    """
    if not len(at_s):
        return np.empty(0), np.empty(0)
    first, length_s = at_s.min(), max(float(np.ptp(at_s)), 1e-9)
    batch = np.minimum((at_s - first) / length_s * BATCHES, BATCHES - 1).astype(int)
    sizes = np.bincount(batch, minlength=BATCHES)
    sums = np.bincount(batch, weights=value, minlength=BATCHES)
    centres = np.bincount(batch, weights=at_s, minlength=BATCHES)
    full = sizes > 0
    return centres[full] / sizes[full], sums[full] / sizes[full]
