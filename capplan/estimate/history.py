"""What earlier forecasts were worth: the error of one's own estimates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from capplan.plan.schema import PastSale

PRIOR_SD = 0.7
"""Spread of log(actual/forecast) before any sale is known: within a factor of 3 in 9 of 10 cases.

Wide, because published forecasts of surprising days were off by 4 to 10 times.
"""


@dataclass(frozen=True, slots=True)
class ForecastError:
    """A normal distribution of log(actual/forecast)."""

    mean: float
    sd: float


def forecast_error(history: Sequence[PastSale]) -> ForecastError | None:
    """Learn the error of earlier forecasts, shrunk towards none when there are few.

    The prior counts as one sale that came as forecast with the spread ``PRIOR_SD``: with n sales of
    log ratios rᵢ the mean is Σrᵢ/(n+1), and the variance the mean of the prior's and of the squared
    deviations, enlarged by 1 + 1/(n+1) for the doubt about the mean. None without history.
    """
    if not history:
        return None
    ratios = np.log([past.actual / past.forecast for past in history])
    count = len(ratios)
    mean = float(ratios.sum() / (count + 1))
    variance = (PRIOR_SD**2 + float(((ratios - mean) ** 2).sum())) / (count + 1)
    return ForecastError(mean, float(np.sqrt(variance * (1 + 1 / (count + 1)))))
