"""A range as a distribution: ``low to high`` are its 5th and 95th percentile.

Amounts (counts, rates, durations, factors) are lognormal: positive, and doubt about them is a
factor. Shares are logit-normal: between 0 and 1, and doubt is a factor of the odds; unlike for a
Beta, both percentiles give its parameters without a solver. A share whose range touches 0 or 1
cannot have that end as a percentile of a continuous variable; there the one-sided Beta(1, b) takes
its place, highest at the end itself, with the other end exact. From 0 to 1 it is the uniform.
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit, ndtr, ndtri

from capplan.units import Range

Floats = NDArray[np.float64]
Kind = Literal["amount", "share"]

_Z95 = float(ndtri(0.95))


def quantile(interval: Range, kind: Kind, u: Floats) -> Floats:
    """Return the quantiles of the distribution at the probabilities ``u`` (0 to 1, any shape).

    Raises ``ValueError`` for an amount that is not positive and for a share outside 0 to 1.

    >>> quantile(Range(10, 1000), "amount", np.array([0.05, 0.5, 0.95])).round(6).tolist()
    [10.0, 100.0, 1000.0]
    >>> quantile(Range(0.0, 0.15), "share", np.array([0.95])).round(6).tolist()
    [0.15]
    """
    low, high = interval.low, interval.high
    if interval.certain:
        return np.full_like(u, low)
    if kind == "amount":
        if low <= 0:
            raise ValueError(f"an amount must be positive, not {low:g}")
        return _between(np.log(low), np.log(high), u, np.exp)
    if not 0 <= low <= high <= 1:
        raise ValueError(f"a share lies between 0 and 1, not {low:g} to {high:g}")
    if low == 0 and high == 1:
        return u.copy()
    if low == 0:
        # Beta(1, b): 1 - x = (1-u)^(1/b), with b such that P(X ≤ high) = 0.95; b itself is never
        # formed, as a tiny high would overflow it
        return np.asarray(-np.expm1(np.log1p(-high) * np.log1p(-u) / np.log(0.05)))
    if high == 1:
        return np.asarray(np.exp(np.log(low) * np.log(u) / np.log(0.05)))  # the mirror image
    return _between(float(logit(low)), float(logit(high)), u, expit)


def product(first: Range, second: Range) -> Range:
    """Multiply two independent amounts: lognormal, so the squares of their log widths add up.

    >>> found = product(Range(2.0, 2.0), Range(0.5, 2.0))
    >>> round(found.low, 9), round(found.high, 9)
    (1.0, 4.0)
    """
    middle = math.sqrt(first.low * first.high * second.low * second.high)
    width = math.hypot(math.log(first.high / first.low), math.log(second.high / second.low)) / 2
    return Range(middle * math.exp(-width), middle * math.exp(width))


def common_factor(common: Floats, own: Floats, correlation: float) -> Floats:
    """Correlate a uniform variable with others through one common factor.

    A one-factor Gaussian copula: z = √r·z_common + √(1-r)·z_own, with r the correlation of any two
    variables that share the factor. ``common`` and ``own`` are uniforms of equal shape; the result
    is uniform again.
    """
    z = np.sqrt(correlation) * ndtri(common) + np.sqrt(1 - correlation) * ndtri(own)
    return np.asarray(ndtr(z))


def uniforms(rng: np.random.Generator, draws: int) -> Floats:
    """Draw uniforms from the open interval, whose quantiles are finite."""
    return np.clip(rng.random(draws), 1e-12, 1 - 1e-12)


def _between(low: float, high: float, u: Floats, back: np.ufunc) -> Floats:
    centre, spread = (low + high) / 2, (high - low) / (2 * _Z95)
    return np.asarray(back(centre + spread * ndtri(u)))
