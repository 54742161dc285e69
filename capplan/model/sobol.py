"""Which share of an output's variance comes from which input: Sobol' indices.

With A and B two independent samples of all inputs, and Aᵢ the sample A whose input i is taken from
B (pick and freeze), V the variance of the output f:

    first order  Sᵢ = 1 - E[(f(B) - f(Aᵢ))²]/2V    what the input explains alone
    total        Tᵢ = E[(f(A) - f(Aᵢ))²]/2V        what would be left if only it were unknown

Both estimators are Jansen's (M. J. W. Jansen, *Computer Physics Communications* 117, 1999; compared
in A. Saltelli et al., *Computer Physics Communications* 181, 2010). A and B are the halves of one
scrambled Sobol' sequence, which makes them far more exact than random ones, and more exact than a
Latin hypercube or a lattice of as many points. An input may be several variables together.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Sample = Mapping[str, Floats]
"""Uniform variables by name, each with one value per point."""

_EDGE = 1e-9  # the quantiles of 0 and 1 may be infinite
_NO_VARIANCE = 1e-18


@dataclass(frozen=True, slots=True)
class Indices:
    """The indices of one input, from 0 to 1."""

    first: float
    total: float


def sobol_indices(
    model: Callable[[Sample], Floats],
    inputs: Mapping[str, Sequence[str]],
    power: int,
    rng: np.random.Generator,
) -> dict[str, Indices]:
    """Return the indices of each input of ``model``; none where the output does not vary.

    ``inputs`` names the variables of each input; ``model`` is asked len(inputs) + 2 times for
    2^``power`` points.

    >>> double = lambda sample: 2 * sample["x"] + sample["y"]
    >>> rng = np.random.default_rng(1)
    >>> found = sobol_indices(double, {"x": ["x"], "y": ["y"]}, 10, rng)
    >>> {name: round(entry.first, 2) for name, entry in found.items()}
    {'x': 0.8, 'y': 0.2}
    """
    from scipy.stats import qmc  # takes longer to load than most that is computed here

    names = sorted({name for variables in inputs.values() for name in variables})
    if not names:
        return {}
    points = qmc.Sobol(2 * len(names), scramble=True, rng=rng).random_base2(power).T
    halves = np.split(np.clip(points, _EDGE, 1 - _EDGE), 2)
    a, b = (dict(zip(names, half, strict=True)) for half in halves)
    of_a, of_b = model(a), model(b)
    variance = float(np.concatenate([of_a, of_b]).var())
    if variance < _NO_VARIANCE:
        return {}
    found = {}
    for name, variables in inputs.items():
        of_mixed = model(a | {variable: b[variable] for variable in variables})
        first = 1 - float(((of_b - of_mixed) ** 2).mean()) / (2 * variance)
        total = float(((of_a - of_mixed) ** 2).mean()) / (2 * variance)
        total = min(total, 1.0)
        found[name] = Indices(min(max(first, 0.0), total), total)
    return found
