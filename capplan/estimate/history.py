"""What earlier forecasts were worth: the error of one's own estimates, learned from their outcomes.

The logarithms rᵢ = ln(actual/forecast) of n earlier sales are taken as normal, with an unknown mean
b (a habit of forecasting too low or too high) and an unknown variance s². Before any outcome is
known, the best guess is b around 0, and a next sale that spreads as the range of the plan does, but
no less than ``PRIOR_FACTOR`` times either way: a few sales do not show that somebody forecasts
better than that. This guess counts as much as k = ``PRIOR_SALES`` sales. With the conjugate prior
(normal and inverse gamma; Gelman et al., Bayesian Data Analysis, section 3.3)

    b  = Σrᵢ/(k+n)
    s² = [k·s₀² + Σ(rᵢ-r̄)² + r̄²·kn/(k+n)]/(k+n)

and the next r spreads with variance s²·(1 + 1/(k+n)) around b; s₀² is chosen such that n = 0 gives
the guess. So one good forecast narrows a wide range a little, and many make it what history says.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from capplan.plan.schema import PastSale
from capplan.results.demand import Confidence, History, PastRatio

Floats = NDArray[np.float64]

PRIOR_SALES = 3
PRIOR_FACTOR = 2.0
_REACH = 1.6448536269514722  # from the median of a normal to its 95th percentile, in sd
PRIOR_SD = float(np.log(PRIOR_FACTOR)) / _REACH


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
    range_sd = float(np.log(p95 / p5) / (2 * _REACH))
    ratios = np.log([past.actual / past.forecast for past in history])
    count, k = len(ratios), PRIOR_SALES
    total, mean = k + count, float(ratios.mean())
    prior_variance = max(range_sd, PRIOR_SD) ** 2 / (1 + 1 / k)
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


def shown(history: Sequence[PastSale], learned: Learned | None) -> History | None:
    """Return the distribution of errors for the result, and what it was learned from."""
    if learned is None:
        return None
    low, middle, high = np.exp(learned.shift + learned.sd * _REACH * np.array([-1.0, 0.0, 1.0]))
    return History(
        outcomes=tuple(PastRatio(name=p.name, ratio=p.actual / p.forecast) for p in history),
        error=Confidence(p5=float(low), p50=float(middle), p95=float(high)),
        prior_sales=PRIOR_SALES,
        prior_factor=float(np.exp(max(learned.range_sd, PRIOR_SD) * _REACH)),
        factor_before=float(np.exp(learned.range_sd * _REACH)),
        factor=float(np.exp(learned.sd * _REACH)),
    )
