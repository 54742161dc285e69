"""Gusts: arrivals that spread more than Poisson from one window to the next.

The arrivals of a window of length w are Poisson with a random mean λ·w·G, G lognormal with mean 1
and coefficient of variation c, independent from window to window: a Poisson mixture (G. Jongbloed,
G. Koole, *Managing uncertainty in call centres using Poisson mixtures*, 2001). Poisson's own
variance is not added, for the measured capacity already contains it. So the peak is the largest
λᵢ·Gᵢ, and

    P(peak ≤ x) = Πᵢ Φ([ln(x/λᵢ) + σ²/2]/σ),    σ² = ln(1 + c²)

over all windows i. Those far from the highest one stand in for their neighbours.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_ndtr, ndtri_exp

Floats = NDArray[np.float64]

_AWAY = 2.0 ** np.arange(10)
AWAY_IN_WINDOWS = np.concatenate([-_AWAY[::-1], [0.0], _AWAY])
"""Where to look, in windows before and after the highest one."""

_COUNT = np.concatenate([[1.0], np.maximum(0.75 * _AWAY[1:], 1.0)])
COUNTS = np.concatenate([_COUNT[::-1], [1.0], _COUNT])
"""How many windows each of them stands for: 1, 1, 3, 6, 12 … up to 767 windows away."""

_STEPS = 4
_CALM = 1e-9
_FARTHEST = 12.0  # standard deviations; a window farther below plays no part
_LEAST_SLOPE = 1e-300


def gusty(peaks: Floats, rates: Floats, spread: Floats, luck: Floats) -> Floats:
    """Return the peak with gusts, one value per draw.

    ``peaks`` and ``rates``, of shape (draws,) and (draws, windows), are the highest rate without
    gusts and the rates at ``AWAY_IN_WINDOWS`` from it; ``spread`` is c, ``luck`` the probability at
    which the distribution is read.

    Newton's method on ln P, which is concave and rises: from below it never overshoots, and the
    solution for the windows of one place alone is below that for all.
    """
    gusty_ones = (spread > _CALM) & (peaks > 0)
    if not gusty_ones.any():
        return peaks
    sigma = np.sqrt(np.log1p(spread[gusty_ones] ** 2))[:, None]
    with np.errstate(divide="ignore"):
        below = np.log(peaks[gusty_ones, None]) - np.log(rates[gusty_ones])
    offset = np.maximum(below, 0.0) / sigma + sigma / 2
    wanted = np.log(luck[gusty_ones])
    z = (ndtri_exp(wanted[:, None] / COUNTS) - offset).max(axis=1)
    row, window = np.nonzero(offset < _FARTHEST)
    offset, counts = offset[row, window], COUNTS[window]
    for _ in range(_STEPS):
        at = z[row] + offset
        log_p = log_ndtr(at)
        slope = np.exp(-(at**2) / 2 - log_p) / np.sqrt(2 * np.pi)
        short = wanted - np.bincount(row, log_p * counts, len(z))
        z = z + short / np.maximum(np.bincount(row, slope * counts, len(z)), _LEAST_SLOPE)
    found = peaks.copy()
    found[gusty_ones] *= np.exp(z * sigma[:, 0])
    return found
