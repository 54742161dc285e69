"""What one trial shows of one criterion, if all that is unknown were known.

Pure. The share of requests that miss is a function of the load, with the sustained rate θ and a
steepness s among what is unknown; which function, the two kinds of criterion say: ``latency_model``
and ``failure_model``. What is common to both is here: the grid of the unknowns, and how chance and
the target's own noise spread what a trial sees around its mean.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_ndtr, logit

from capplan.loadtest.search.observation import Misses, Observation

Floats = NDArray[np.float64]

# what is not known beforehand, each with a prior
_FLOOR = {0.0: 0.4, 0.1: 0.3, 0.4: 0.3}  # missed at any load, over allowed
_CLIFF = 0.0002  # that requests miss at once above a load, without a queue that has to fill
_COLD = {0.0: 0.85, 0.15: 0.06, 0.4: 0.09}  # how much slower a target is that was never loaded
_SKEW = 0.6, 1.2, 2.4  # of the sampling noise, over the lognormal's
_SKEW_MIDDLE, _SKEW_SPREAD = 1.2, 0.45  # sd of its logarithm
_SPEED_NOISE = {0.01: 0.35, 0.03: 0.3, 0.06: 0.25, 0.1: 0.1}  # sd of log speed between trials
SPREADS = np.linspace(-2.45, 2.45, 8)
"""So many standard deviations off may the logarithm of the steepness be."""

# what is taken for known
_EARLY_NOISE = {"probe": 0.3, "bisect": 0.1}  # sd of the logit in a short trial
_NONE = 1e-9

TRIAL_NOISE = 0.15
"""Standard deviation of the logit in any trial, beyond sampling and speed."""
ALL = 0.97
"""A share that cannot be told from 1."""


@dataclass(frozen=True)
class TrialModel(ABC):
    """A grid of all that is unknown of one criterion, and what trials show at each of its points.

    There is an axis for each unknown: θ, steepness, floor or cliff, how cold the target was, skew
    of the sampling noise, and the target's own noise. What does not depend on one has length 1
    there, which saves much work. ``count`` rates from ``low`` to ``high`` arrivals/s may be θ;
    ``allowed`` is the share that may miss.
    """

    low: float
    high: float
    count: int
    allowed: float

    @cached_property
    def theta(self) -> Floats:
        """The rates that may be the sustained one, along the first axis."""
        rates: Floats = np.geomspace(self.low, self.high, self.count)
        return rates.reshape(-1, 1, 1, 1, 1, 1)

    @property
    @abstractmethod
    def steepness(self) -> Floats:
        """The values of s, along the second axis."""

    @property
    @abstractmethod
    def line_error(self) -> float:
        """The line's own error, as a part of the distance from ``allowed`` in logit."""

    @property
    def speed_noise(self) -> Floats:
        """Standard deviations of the target's speed from trial to trial, along the last axis."""
        return np.array(list(_SPEED_NOISE))

    @property
    def log_prior(self) -> Floats:
        """What is believed before any trial."""
        floor = np.array([*_FLOOR.values(), _CLIFF]).reshape(-1, 1, 1, 1)
        cold = np.array(list(_COLD.values())).reshape(-1, 1, 1)
        speed = np.array(list(_SPEED_NOISE.values()))
        off = SPREADS.reshape(-1, 1, 1, 1, 1)
        skewed = np.log(_skew() / _SKEW_MIDDLE) / _SKEW_SPREAD
        return np.asarray(np.log(floor * cold * speed) - 0.5 * (off**2 + skewed**2))

    @abstractmethod
    def episode_s(self, steepness: float) -> float:
        """Return how long misses hang together at the sustained rate."""

    def expected(self, o: Observation, loaded_s: float, requests: float) -> tuple[Floats, Floats]:
        """Return the mean and the variance of the logit of the share that a trial sees.

        ``loaded_s`` seconds of load came before it.

        Misses come in bunches, so the share seen in one trial is as skewed as a lognormal: mostly
        below its mean, and rarely far above it. With n independent episodes the square of its
        coefficient of variation is V = (1 - p)/(p·n); its logarithm has the variance log(1 + V)
        times the skew, and near p = 1 the same holds for 1 - p. What the target's speed adds is the
        slope of the share against the load.
        """
        rise = self._rise(o, loaded_s)
        floor = np.array([*_FLOOR, 0.0]).reshape(-1, 1, 1, 1) * self.allowed
        queued, slope = self._queued(rise, floor, o)
        share = np.clip(floor + queued, _NONE, 1 - 1e-4)
        spread = share * (1 - share)
        chance = np.maximum(queued * (1 - queued), 0.0) / self._episodes(rise, o, requests)
        variation = (chance + floor / max(requests, 1)) / spread**2
        sampling = _skew() * np.log1p(variation)
        moved = (self.steepness * slope / spread) ** 2 * self.speed_noise**2
        middle = logit(share) - self._lowered(variation) * sampling * (1 - 2 * share)
        return middle, self._unknown * sampling + moved

    @abstractmethod
    def _rise(self, o: Observation, loaded_s: float) -> Floats:
        """Return how far the load of a trial lies above θ, times s."""

    @abstractmethod
    def _queued(self, rise: Floats, floor: Floats, o: Observation) -> tuple[Floats, Floats]:
        """Return the share that the load makes miss, and its slope against ``rise``."""

    @abstractmethod
    def _episodes(self, rise: Floats, o: Observation, requests: float) -> Floats:
        """Return how many independent episodes a trial holds, in which requests miss together."""

    @abstractmethod
    def _lowered(self, variation: Floats) -> Floats:
        """Return by how much of the sampling variance the middle lies below the mean."""

    @property
    @abstractmethod
    def _unknown(self) -> Floats:
        """What is left of the sampling variance once the arrivals that chance drew are known."""


def cold() -> Floats:
    """Return how much slower a target may be that was never loaded, along its axis."""
    return np.array(list(_COLD)).reshape(-1, 1, 1)


def _skew() -> Floats:
    return np.array(_SKEW).reshape(-1, 1)


@lru_cache(maxsize=256)
def log_likelihood(model: TrialModel, o: Observation, miss: Misses, loaded_s: float) -> Floats:
    """Return how likely what a trial saw is, at each point of the grid; trials stay the same."""
    middle, variance = model.expected(o, loaded_s, miss.requests)
    near = min(max(miss.share, miss.allowed / 2), ALL)
    off = model.line_error * (logit(near) - logit(miss.allowed))
    sd = np.sqrt(variance + TRIAL_NOISE**2 + off**2 + _EARLY_NOISE.get(o.purpose, 0.0) ** 2)
    if o.at_least or miss.share >= ALL:  # more misses than these would be no surprise
        return np.asarray(log_ndtr((middle - logit(min(max(miss.share, _NONE), ALL))) / sd))
    resolved = miss.variance**0.5
    if miss.share <= resolved:  # fewer misses than can be told from none
        return np.asarray(log_ndtr((logit(min(max(resolved, _NONE), ALL)) - middle) / sd))
    return np.asarray(-0.5 * ((logit(miss.share) - middle) / sd) ** 2 - np.log(sd))
