"""What a cache at the edge answers: of limited size, or for a limited time.

Requests are independent: each asks for object i with probability p_i, λ of them come per second.
Sources: H. Che, Y. Tung, Z. Wang, *Hierarchical web caching systems*, IEEE JSAC 2002; C. Fricker,
P. Robert, J. Roberts, *A versatile and accurate approximation for LRU cache performance*, ITC 2012;
J. Jung, A. Berger, H. Balakrishnan, *Modeling TTL-based Internet caches*, INFOCOM 2003.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from capplan.model.roots import root

Floats = NDArray[np.float64]


def zipf(count: int, exponent: float) -> Floats:
    """Return the popularity of the 1st, 2nd … object, in proportion to k^-exponent; sums to 1.

    >>> zipf(3, 1.0).round(4).tolist()
    [0.5455, 0.2727, 0.1818]
    """
    weights = np.arange(1.0, count + 1) ** -exponent
    return np.asarray(weights / weights.sum())


def lru_hit_ratio(popularity: Floats, places: int) -> float:
    """Return the share of the requests that a cache of the most recently used objects answers.

    Che's approximation: an object is held if it was asked for within the last t requests, where
    Σ(1 - e^{-p_i·t}) = C; the hit ratio is Σ p_i·(1 - e^{-p_i·t}).

    >>> round(lru_hit_ratio(zipf(100_000, 0.8), 10_000), 4)
    0.4687
    """
    if places >= np.count_nonzero(popularity):
        return 1.0
    if places <= 0:
        return 0.0

    def excess(log_t: float) -> float:
        return float(-np.expm1(-popularity * math.exp(log_t)).sum()) - places

    high = math.log(places / popularity.min()) + 5.0
    t = math.exp(root(excess, math.log(places) - 1.0, high))
    return float(-(popularity * np.expm1(-popularity * t)).sum())


def ttl_hit_ratio(popularity: Floats, rate_rps: float, ttl_s: float) -> float:
    """Return the share of ``rate_rps`` requests per second that a cache without size answers.

    1 - Σ p_i/(1 + p_i·λ·T).

    >>> ttl_hit_ratio(np.ones(1), 9.0, 1.0)
    0.9
    """
    return float(1.0 - (popularity / (1.0 + popularity * rate_rps * ttl_s)).sum())


def hit_ratio(popularity: Floats, places: int, rate_rps: float, ttl_s: float) -> float:
    """Return the smaller of both hit ratios: what limits more, size or time.

    >>> hit_ratio(np.ones(1), 1, 9.0, 1.0)
    0.9
    """
    timed = ttl_hit_ratio(popularity, rate_rps, ttl_s) if math.isfinite(ttl_s) else 1.0
    return min(lru_hit_ratio(popularity, places), timed)
