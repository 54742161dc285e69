"""How much more or less: the ratio of two rates, with an interval.

Ratios are estimated on a log scale, where the two directions are alike and errors are factors.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import stdtrit


@dataclass(frozen=True, slots=True)
class Ratio:
    """An interval of a ratio; a bound that is not known is None."""

    low: float | None
    mid: float | None
    high: float | None


def paired(base_logs: ArrayLike, head_logs: ArrayLike, confidence: float) -> Ratio:
    """Return head/base from pairs of logarithms that share their noise.

    exp(m ± t·s/√n) with m and s the mean and standard deviation of the n differences, and t the
    quantile of Student's t with n-1 degrees of freedom. What a pair has in common cancels. Raises
    ``ValueError`` for fewer than two pairs.

    >>> found = paired([0.0, 0.5, 1.0], [-0.1, 0.4, 0.9], 0.95)
    >>> round(found.mid, 4), round(found.high, 4)
    (0.9048, 0.9048)
    """
    differences = np.asarray(head_logs, dtype=float) - np.asarray(base_logs, dtype=float)
    count = len(differences)
    if count < 2:
        raise ValueError(f"{count} pairs tell nothing about their spread")
    error = float(differences.std(ddof=1)) / math.sqrt(count)
    return _around(float(differences.mean()), error, count - 1, confidence)


def unpaired(base_logs: ArrayLike, head_logs: ArrayLike, confidence: float) -> Ratio:
    """Return head/base from two independent samples of logarithms (B. L. Welch, 1947).

    Raises ``ValueError`` for fewer than two values on a side.
    """
    base, head = np.asarray(base_logs, dtype=float), np.asarray(head_logs, dtype=float)
    if min(len(base), len(head)) < 2:
        raise ValueError("one value tells nothing about its spread")
    parts = [float(side.var(ddof=1)) / len(side) for side in (base, head)]
    squares = [part**2 / (len(side) - 1) for part, side in zip(parts, (base, head), strict=True)]
    freedom = sum(parts) ** 2 / max(sum(squares), 1e-300)
    difference = float(head.mean() - base.mean())
    return _around(difference, math.sqrt(sum(parts)), max(freedom, 1.0), confidence)


def independent(old: Ratio, new: Ratio) -> Ratio:
    """Return new/old from two independent intervals of the same confidence.

    With the logs m and the distances l and u to the ends, the difference has the lower end
    m₂ - m₁ - √(l₂² + u₁²), and the upper one alike: the method of variance estimates recovery
    (G. Y. Zou, A. Donner, 2008), exact for normal errors and good for skewed ones. Where a middle
    is not known the ends are divided crosswise, which errs to the wide side.

    >>> found = independent(Ratio(95, 100, 105), Ratio(80, 90, 100))
    >>> round(found.low, 3), round(found.mid, 3), round(found.high, 3)
    (0.792, 0.9, 1.012)
    """
    mid = new.mid / old.mid if new.mid and old.mid else None
    if mid is None:
        low = new.low / old.high if new.low and old.high else None
        high = new.high / old.low if new.high and old.low else None
        return Ratio(low, None, high)
    low = high = None
    if new.low and old.high:
        low = mid * math.exp(-math.hypot(_log(new.mid, new.low), _log(old.high, old.mid)))
    if new.high and old.low:
        high = mid * math.exp(math.hypot(_log(new.high, new.mid), _log(old.mid, old.low)))
    return Ratio(low, mid, high)


def _log(above: float | None, below: float | None) -> float:
    return math.log(above / below) if above and below else 0.0


def _around(middle: float, error: float, freedom: float, confidence: float) -> Ratio:
    reach = float(stdtrit(freedom, 0.5 + confidence / 2)) * error
    return Ratio(math.exp(middle - reach), math.exp(middle), math.exp(middle + reach))
