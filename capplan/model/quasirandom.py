"""Quasi-random points: they fill a cube more evenly than chance, and are the same every time.

Sobol' sequences by the recurrence of P. Bratley and B. L. Fox (*ACM Algorithm 659*, 1988), with the
primitive polynomials and first direction numbers of S. Joe and F. Y. Kuo (*SIAM J. Sci. Comput.*
30, 2008). A handful of dimensions is all that a decision asks for, and ``scipy.stats``, which has
the same points in any number of them, takes longer to load than the decision to make.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_BITS = 30
_POLYNOMIALS: tuple[tuple[int, tuple[int, ...]], ...] = (
    # the inner coefficients of a primitive polynomial of degree s as bits, and m₁ … mₛ
    (0, (1,)),
    (1, (1, 3)),
    (1, (1, 3, 1)),
    (2, (1, 1, 1)),
    (1, (1, 1, 3, 3)),
    (4, (1, 3, 5, 13)),
    (2, (1, 1, 5, 5, 17)),
)


def sobol(dimensions: int, power: int) -> Floats:
    """Return 2^``power`` Sobol' points as columns, shifted off the border of the unit cube.

    >>> sobol(2, 2).tolist()
    [[0.125, 0.625, 0.875, 0.375], [0.125, 0.625, 0.375, 0.875]]
    """
    if dimensions > len(_POLYNOMIALS) + 1:
        from scipy.stats import qmc

        points = qmc.Sobol(dimensions, scramble=False).random_base2(power).T
        return np.asarray(points + 0.5 / 2**power)
    index = np.arange(2**power)
    gray = index ^ (index >> 1)
    rows = [_row(_directions(dimension), gray, power) for dimension in range(dimensions)]
    return np.asarray(np.array(rows) / 2**_BITS + 0.5 / 2**power)


def _row(directions: list[int], gray: NDArray[np.int_], power: int) -> NDArray[np.int_]:
    found = np.zeros_like(gray)
    for bit in range(power):
        found ^= (gray >> bit & 1) * directions[bit]
    return found


def _directions(dimension: int) -> list[int]:
    """Return v₁ … as integers of ``_BITS`` bits; the first dimension is van der Corput's."""
    if dimension == 0:
        return [1 << (_BITS - 1 - i) for i in range(_BITS)]
    inner, first = _POLYNOMIALS[dimension - 1]
    degree = len(first)
    found = [m << (_BITS - 1 - i) for i, m in enumerate(first)]
    for i in range(degree, _BITS):
        value = found[i - degree] ^ (found[i - degree] >> degree)
        for k in range(1, degree):
            if inner >> (degree - 1 - k) & 1:
                value ^= found[i - k]
        found.append(value)
    return found
