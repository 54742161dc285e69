"""The root of a function of one variable, by Brent's method.

R. P. Brent, *Algorithms for Minimization Without Derivatives*, 1973, chapter 4: inverse quadratic
interpolation while it converges, bisection where it does not. Step by step it is
``scipy.optimize.brentq``, whose package takes longer to load than a recommendation to make.
"""

from __future__ import annotations

import math
from collections.abc import Callable

_MOST_STEPS = 100


def root(
    f: Callable[[float], float],
    low: float,
    high: float,
    *,
    xtol: float = 2e-12,
    rtol: float = 2.0**-50,
) -> float:
    """Return x between ``low`` and ``high`` with f(x) = 0, to within ``xtol`` + ``rtol``·x.

    Raises ``ValueError`` when f has the same sign at both ends, ``ArithmeticError`` when a hundred
    steps do not lead there.

    >>> round(root(lambda x: x * x - 2, 0.0, 2.0), 12)
    1.414213562373
    """
    before, now, other = low, high, low
    f_before, f_now, f_other = f(low), f(high), 0.0
    if f_before == 0:
        return low
    if f_now == 0:
        return high
    if (f_before > 0) == (f_now > 0):
        raise ValueError(f"no change of sign from {f_before:g} to {f_now:g}")
    step_before = step = 0.0
    for _ in range(_MOST_STEPS):
        if (f_before > 0) != (f_now > 0):
            other, f_other = before, f_before
            step_before = step = now - before
        if abs(f_other) < abs(f_now):
            before, now, other = now, other, now
            f_before, f_now, f_other = f_now, f_other, f_now
        tolerance = (xtol + rtol * abs(now)) / 2
        half = (other - now) / 2
        if f_now == 0 or abs(half) < tolerance:
            return now
        tried = math.inf
        if abs(step_before) > tolerance and abs(f_now) < abs(f_before):
            if before == other:
                tried = -f_now * (now - before) / (f_now - f_before)
            else:
                to_before = (f_before - f_now) / (before - now)
                to_other = (f_other - f_now) / (other - now)
                above = f_other * to_other - f_before * to_before
                tried = -f_now * above / (to_other * to_before * (f_other - f_before))
        if 2 * abs(tried) < min(abs(step_before), 3 * abs(half) - tolerance):
            step_before, step = step, tried
        else:
            step_before = step = half
        before, f_before = now, f_now
        now += step if abs(step) > tolerance else math.copysign(tolerance, half)
        f_now = f(now)
    raise ArithmeticError(f"no root within {_MOST_STEPS} steps between {low:g} and {high:g}")
