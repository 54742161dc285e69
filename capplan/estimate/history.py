"""What earlier forecasts were worth: the error of one's own estimates, learned from their outcomes.

The logarithms rᵢ = ln(actual/forecast) of n earlier sales are taken as normal, with an unknown mean
b (a habit of forecasting too low or too high) and an unknown variance s². Before any outcome is
known, the best guess is that the range of the plan is right: b around 0, and a next sale that
spreads as the range does. This guess counts as much as k = ``PRIOR_SALES`` sales. With the
conjugate prior (normal and inverse gamma; Gelman et al., Bayesian Data Analysis, section 3.3)

    b  = Σrᵢ/(k+n)
    s² = [k·s₀² + Σ(rᵢ-r̄)² + r̄²·kn/(k+n)]/(k+n)

and the next r spreads with variance s²·(1 + 1/(k+n)) around b; s₀² is chosen such that n = 0 gives
the range of the plan. So one good forecast narrows the range a little, and many make it what
history says.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from capplan.plan.schema import PastSale

Floats = NDArray[np.float64]

PRIOR_SALES = 3
_LOG_WIDTH_IN_SD = 2 * 1.6448536269514722  # from the 5th to the 95th percentile of a normal


@dataclass(frozen=True, slots=True)
class Learned:
    """What history says: move the estimate by ``shift`` and let it spread with ``sd``, in logs.

    ``range_sd`` is how the plan's ranges alone spread the peak; ``sales`` is the number of sales.
    """

    sales: int
    shift: float
    sd: float
    range_sd: float


def learn(history: Sequence[PastSale], peaks: Floats) -> Learned | None:
    """Compare earlier outcomes with the spread of ``peaks``; None without history."""
    if not history:
        return None
    p5, p95 = np.quantile(peaks, [0.05, 0.95])
    range_sd = float(np.log(p95 / p5) / _LOG_WIDTH_IN_SD)
    ratios = np.log([past.actual / past.forecast for past in history])
    count, k = len(ratios), PRIOR_SALES
    total, mean = k + count, float(ratios.mean())
    prior_variance = range_sd**2 / (1 + 1 / k)
    squares = float(((ratios - mean) ** 2).sum()) + mean**2 * k * count / total
    variance = (k * prior_variance + squares) / total * (1 + 1 / total)
    return Learned(count, mean * count / total, float(np.sqrt(variance)), range_sd)


def correct(values: Floats, learned: Learned | None, noise: Floats) -> Floats:
    """Return one value per draw as history corrects it.

    A spread that is too wide is drawn together round the median; one that is too narrow gets a
    random factor on top, by ``noise``, standard normal and the same for everything in one draw.
    """
    if learned is None:
        return values
    if learned.sd < learned.range_sd:
        median = float(np.median(values))
        factor = (values / median) ** (learned.sd / learned.range_sd - 1)
    else:
        factor = np.exp(np.sqrt(learned.sd**2 - learned.range_sd**2) * noise)
    return np.asarray(values * factor * np.exp(learned.shift))
