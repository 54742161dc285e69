"""How long requests wait in a queue that was empty at the start, near saturation.

The waiting time of a busy queue behaves like a Brownian motion with a drift, reflected at 0
(J. F. C. Kingman, heavy-traffic limit, 1961). Started at 0 it is longer than x at time t with the
probability (J. M. Harrison, *Brownian Motion and Stochastic Flow Systems*, 1985, section 1.8)

    P(W(t) > x) = Φ(-z - v) + exp(-y)·Φ(v - z),   z = √(s·x/2t),   v = y·√(t/2sx)

Here exp(-y) is the probability in steady state, which y <= 0 (overload) does not have, and s is the
steepness: how much y falls when the load rises by its own size. Both, the drift and the variance of
the motion, are told by y and s.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

Floats = NDArray[np.float64]

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(5)
_DEEPEST = -60.0  # deeper overload looks the same, and its exponential would overflow


def mean_share_over(
    exponent: Floats, steepness: Floats, limit_s: float, start_s: float, length_s: float
) -> tuple[Floats, Floats]:
    """Return the mean share of requests over ``limit_s``, and how it rises with the load.

    The mean is over the ``length_s`` seconds that begin ``start_s`` after the queue was empty.
    ``exponent`` is y, ``steepness`` is s; they are broadcast. The second value is -d share/dy: s
    times that is the rise per part of the load.

    >>> share, _ = mean_share_over(np.array([3.0]), np.array([20.0]), 0.1, 1000.0, 1.0)
    >>> round(float(share[0]), 4), round(float(np.exp(-3.0)), 4)
    (0.0498, 0.0498)
    """
    y = np.maximum(exponent, _DEEPEST)
    scale_s = steepness * limit_s
    share: Floats = np.zeros(1)
    rise: Floats = np.zeros(1)
    for node, weight in zip(_NODES, _WEIGHTS, strict=True):
        t = start_s + length_s * (node + 1) / 2
        z, v = np.sqrt(scale_s / (2 * t)), y * np.sqrt(t / (2 * scale_s))
        reflected = np.exp(-y) * ndtr(v - z)
        share = share + weight / 2 * (ndtr(-z - v) + reflected)
        rise = rise + weight / 2 * reflected  # the densities of both terms cancel
    return share, rise
