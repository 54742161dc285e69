"""What the trials so far say about the sustained rate: a posterior over rates.

Pure, and ignorant of how the next trial is chosen. The posterior of each criterion (``criterion``)
pools all trials, so that no single short trial decides; the lowest sustained rate of them binds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from capplan.loadtest.search.criterion import Criterion, learn
from capplan.loadtest.search.levels import LevelAt, above, median
from capplan.loadtest.search.observation import Observation
from capplan.loadtest.search.trial_model import Floats

_WIDE, _FINE = 48, 40  # points of the grids
_UNLIKELY = 1e-4  # beyond this, at each end, the fine grid leaves out


@dataclass(frozen=True, slots=True)
class Posterior:
    """Probabilities of the sustained rate on a grid of rates (arrivals/s).

    ``binding`` is the criterion whose sustained rate is believed to be the lowest, None where a
    level of the target is reached before.
    """

    rate: Floats
    probability: Floats
    binding: Criterion | None

    def quantiles(self, *shares: float) -> tuple[float, ...]:
        """Return the rates below which the given shares of the probability lie."""
        cumulative = np.cumsum(self.probability) - self.probability / 2
        return tuple(float(q) for q in np.exp(np.interp(shares, cumulative, np.log(self.rate))))

    def most_telling(self, loads: Floats, start_s: float, measured_s: float) -> float:
        """Return the one of ``loads`` whose outcome will tell most of the sustained rate.

        The middle one where no criterion binds.
        """
        if self.binding is None:
            return float(loads[len(loads) // 2])
        told = [self.binding.explained(load, start_s, measured_s) for load in loads]
        return float(loads[int(np.argmax(told))])

    def explained(self, load: float, start_s: float, measured_s: float) -> float:
        """Return the share of its variance that a trial at ``load`` will explain."""
        return self.binding.explained(load, start_s, measured_s) if self.binding else 0.0

    @property
    def episode_s(self) -> float:
        """How long misses hang together at the sustained rate; 0 where nothing is known."""
        return self.binding.episode_s if self.binding else 0.0

    @property
    def speed_noise(self) -> float:
        """The standard deviation of the server's speed from trial to trial, as a ratio."""
        return self.binding.speed_noise if self.binding else 0.0


def posterior(seen: Sequence[Observation]) -> Posterior:
    """Learn the sustained rate of the whole SLA from trials of which one passed and one failed."""
    return _posterior(tuple(seen))


@lru_cache(maxsize=4)
def _posterior(seen: tuple[Observation, ...]) -> Posterior:
    rates = [o.rate for o in seen]
    lowest, highest = min(rates) / 4, max(rates) * 4
    wide = _over_criteria(lowest, highest, _WIDE, seen)
    # ends on points of the wide grid: while they stay, what trials say of each point is known
    cumulative = np.cumsum(wide.probability)
    first = max(int(np.searchsorted(cumulative, _UNLIKELY)) - 1, 0)
    last = min(int(np.searchsorted(cumulative, 1 - _UNLIKELY)) + 1, len(wide.rate) - 1)
    return _over_criteria(float(wide.rate[first]), float(wide.rate[last]), _FINE, seen)


def _over_criteria(low: float, high: float, count: int, seen: Sequence[Observation]) -> Posterior:
    """Combine the criteria: the smallest sustained rate binds.

    For independent criteria P(min θ > x) is the product of the P(θᵢ > x).
    """
    grid = np.geomspace(low, high, count)
    survival, criteria = np.ones_like(grid), []
    for index, miss in enumerate(seen[0].misses):
        if miss.allowed > 0 and any(o.misses[index].share > 0 for o in seen):
            criterion = learn(low, high, count, seen, [o.misses[index] for o in seen])
            survival *= 1 - np.cumsum(criterion.density) + criterion.density / 2
            criteria.append(criterion)
    levels = [at_loads(seen, index) for index in range(len(seen[0].levels))]
    for level in levels:
        survival *= above(grid, level)
    probability = np.clip(-np.diff(np.concatenate([[1.0], survival[:-1], [0.0]])), 0, None)
    binding = min(criteria, key=lambda criterion: criterion.middle, default=None)
    if binding and any(np.log(median(level)) < binding.middle for level in levels):
        binding = None
    return Posterior(grid, probability / probability.sum(), binding)


def at_loads(seen: Sequence[Observation], index: int) -> list[LevelAt]:
    """Return one level of the target at the loads that came."""
    return [LevelAt(o.offered, o.levels[index], o.at_least) for o in seen]
