"""What trials say about the load at which a level of the target reaches its limit: CPU or memory.

Pure. Unlike the share of misses, such a level rises nearly in a line with the load until it is used
up, and each trial measures it to a few per cent. With θ the load at which it reaches its limit L,

    level(λ) = L·(1 + p·(λ/θ - 1))

where p is the part of the level at θ that grows with the load: 1 for a server that does nothing
when nobody asks, near 0 for memory that is used whether or not somebody comes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_ndtr

Floats = NDArray[np.float64]

_GRID = 400
_BELOW, _ABOVE = 1 / 64, 256.0  # of the loads seen: where θ may lie
_PART = np.array([0.03, 0.1, 0.2, 0.35, 0.5, 0.65, 0.8, 0.9, 1.0, 1.1, 1.25, 1.5])
_TRIAL_NOISE = (0.01, 0.03, 0.08)  # sd from one trial to the next, as a share of the level
_LINE_ERROR = 0.1  # the line's own error, as a part of the distance from the limit
_USED_UP = 0.95  # a level does not rise beyond 1: what is near it would be more


@dataclass(frozen=True, slots=True)
class Level:
    """One level in one trial: what was ``measured`` (None: not seen), and its standard error."""

    limit: float
    measured: float | None
    stderr: float

    @property
    def clearly_over(self) -> bool:
        """Whether it is over its limit by more than chance explains."""
        return self.measured is not None and self.measured - self.limit > 2 * self.stderr


@dataclass(frozen=True, slots=True)
class LevelAt:
    """A level at the load that came; ``at_least``: the trial ended early, and it was rising."""

    load: float
    level: Level
    at_least: bool


def above(loads: Floats, seen: Sequence[LevelAt]) -> Floats:
    """Return the probability that θ is above each of ``loads`` (arrivals/s).

    The prior of log θ and of p is flat. The noise between trials is learned: each size has the same
    prior. 1 where nothing was measured.
    """
    known = [s for s in seen if s.level.measured is not None]
    if not known:
        return np.ones_like(loads)
    theta, higher = _posterior(known)
    return np.asarray(np.interp(np.log(loads), np.log(theta), higher, left=1.0, right=0.0))


def median(seen: Sequence[LevelAt]) -> float:
    """Return the middle of what is believed of θ, infinite where nothing was measured."""
    known = [s for s in seen if s.level.measured is not None]
    if not known:
        return np.inf
    theta, higher = _posterior(known)
    return float(np.exp(np.interp(0.5, 1 - higher, np.log(theta))))


def _posterior(known: Sequence[LevelAt]) -> tuple[Floats, Floats]:
    """Return a grid of θ and the probability that it is higher than each of its points."""
    least, most = min(s.load for s in known), max(s.load for s in known)
    theta = np.geomspace(least * _BELOW, most * _ABOVE, _GRID)
    pairs = list(product(_PART, _TRIAL_NOISE))
    part, noise = (np.array(column)[None, :] for column in zip(*pairs, strict=True))
    belief = np.zeros((_GRID, len(pairs)))
    for s in known:
        belief += _log_likelihood(s, theta[:, None], part, noise)
    weights = np.exp(belief - belief.max()).sum(axis=1)
    density = weights / weights.sum()
    return theta, np.asarray(1 - np.cumsum(density) + density / 2)


def _log_likelihood(s: LevelAt, theta: Floats, part: Floats, noise: Floats) -> Floats:
    limit, measured = s.level.limit, s.level.measured or 0.0
    rise = limit * part * (s.load / theta - 1)
    level = np.maximum(limit + rise, 0.0)
    variance = s.level.stderr**2 + (noise * np.maximum(level, measured)) ** 2
    sd = np.sqrt(variance + (_LINE_ERROR * np.minimum(np.abs(rise), 1.0)) ** 2 + 1e-6)
    if s.at_least or measured >= max(_USED_UP, limit):
        return np.asarray(log_ndtr((level - measured) / sd))
    return np.asarray(-0.5 * ((np.minimum(level, 1.0) - measured) / sd) ** 2 - np.log(sd))
