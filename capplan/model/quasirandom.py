"""Quasi-random points: they fill a cube more evenly than chance, and are the same every time."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.stats import qmc

Floats = NDArray[np.float64]


def sobol(dimensions: int, power: int) -> Floats:
    """Return 2^``power`` Sobol' points as columns, shifted off the border of the unit cube.

    >>> sobol(2, 2).tolist()
    [[0.125, 0.625, 0.875, 0.375], [0.125, 0.625, 0.375, 0.875]]
    """
    points = qmc.Sobol(dimensions, scramble=False).random_base2(power)
    return np.asarray((points + 0.5 / 2**power).T)
