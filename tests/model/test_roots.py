"""Roots, with SciPy's own Brent as the oracle."""

import math
from collections.abc import Callable

import numpy as np
import pytest
from scipy.optimize import brentq

from capplan.model.roots import root


class Steps:
    """A function that remembers where it was asked."""

    def __init__(self, of: Callable[[float], float]) -> None:
        self._of = of
        self.taken: list[float] = []

    def __call__(self, x: float) -> float:
        self.taken.append(x)
        return self._of(x)


@pytest.mark.parametrize("seed", range(50))
def test_every_step_is_that_of_scipy(seed):
    a, b, c = np.random.default_rng(seed).uniform(0.1, 3.0, 3)
    xtol = 10.0 ** -(3 + seed % 10)
    for curve in (
        lambda x: a * x**3 + b * x - c,
        lambda x: math.exp(a * x) - 1 - b / 3,
        lambda x: math.atan(20 * a * (x - b / 4)),
        lambda x: math.copysign(abs(x - c / 3) ** 0.2, x - c / 3),
    ):
        ours, theirs = Steps(curve), Steps(curve)
        assert root(ours, -5.0, 9.0, xtol=xtol) == brentq(theirs, -5.0, 9.0, xtol=xtol)
        assert ours.taken == theirs.taken


def test_an_end_may_be_the_root():
    assert root(lambda x: x, 0.0, 2.0) == 0.0
    assert root(lambda x: x - 2, 0.0, 2.0) == 2.0


def test_ends_on_one_side_and_a_root_that_is_not_reached_are_refused():
    with pytest.raises(ValueError, match="no change of sign from 1 to 5"):
        root(lambda x: x * x + 1, 0.0, 2.0)
    with pytest.raises(ArithmeticError, match="no root within 100 steps"):
        root(lambda x: 1.0 if x > 1 / 3 else -1.0, 0.0, 1.0, xtol=0.0, rtol=0.0)
