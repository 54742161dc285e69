"""A straight line through weighted points, and how sure it is at a place."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit


@dataclass(frozen=True, slots=True)
class Line:
    """y = ``intercept`` + ``slope``·x through ``count`` points.

    ``scatter`` is the residual variance of a point of mean weight, None for two points or fewer;
    ``middle`` the weighted mean of x, ``spread`` Σw(x - middle)² with weights of mean 1.
    """

    intercept: float
    slope: float
    count: int
    middle: float
    spread: float
    scatter: float | None

    def at(self, x: float) -> float:
        """Return the height of the line at ``x``."""
        return self.intercept + self.slope * x

    def reach(self, x: float, confidence: float) -> float | None:
        """Return half the width of the interval for the mean at ``x``; None for too few points.

        t·√(scatter·(1/n + (x - middle)²/spread)) with Student's t of n - 2 degrees of freedom
        (N. Draper, H. Smith, *Applied Regression Analysis*, section 3.1).
        """
        if self.scatter is None:
            return None
        leverage = 1 / self.count + (x - self.middle) ** 2 / self.spread
        return float(stdtrit(self.count - 2, 0.5 + confidence / 2)) * math.sqrt(
            self.scatter * leverage
        )


def through(x: Sequence[float], y: Sequence[float], weights: Sequence[float]) -> Line:
    """Lay a line through points by weighted least squares.

    Where x does not vary it goes through the origin: what is measured is taken as proportional.

    >>> line = through([1.0, 2.0, 3.0], [3.0, 5.0, 7.0], [1.0, 1.0, 2.0])
    >>> round(line.intercept, 9), round(line.slope, 9), round(line.at(10.0), 9)
    (1.0, 2.0, 21.0)
    """
    xs, ys, w = np.asarray(x, float), np.asarray(y, float), np.asarray(weights, float)
    w = w / w.mean()
    middle = float(np.average(xs, weights=w))
    level = float(np.average(ys, weights=w))
    spread = float(w @ (xs - middle) ** 2)
    if spread <= 1e-9 * float(w @ xs**2):
        slope = level / middle if middle else 0.0
        return Line(0.0, slope, len(xs), middle, spread, None)
    slope = float(w @ ((xs - middle) * (ys - level))) / spread
    residuals = ys - level - slope * (xs - middle)
    scatter = float(w @ residuals**2) / (len(xs) - 2) if len(xs) > 2 else None
    return Line(level - slope * middle, slope, len(xs), middle, spread, scatter)
