"""What one trial shows of one criterion, if all that is unknown were known.

Pure. The waiting time of a busy queue has an exponential tail whose rate falls linearly with the
load (Kingman's heavy-traffic limit), so the share of requests over a limit is, in steady state,

    share(λ) = floor + exp(-y),   y = -ln(allowed - floor) - s·(λ/θ - 1)

with θ the sustained rate and s a steepness. A trial begins at an idle target, and sees less than
that until the queue has built up: ``model.filling_queue`` says how much less, and what a queue
under overload shows while it grows. Failures have no such theory, and some targets no such queue:
their share rises on the logit scale. A target that is not warm yet is slower, as if λ were more.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, log_ndtr, logit

from capplan.loadtest.observation import Misses, Observation
from capplan.model.filling_queue import mean_share_over

Floats = NDArray[np.float64]

# what is not known beforehand, each with a prior
_FLOOR = {0.0: 0.4, 0.1: 0.3, 0.4: 0.3}  # missed at any load, over allowed
_CLIFF = 0.0002  # that requests miss at once above a load, without a queue that has to fill
_STEEPNESS_SPREAD = 0.6  # sd of its logarithm, around what Poisson arrivals and services give
_FAILURE_STEEPNESS, _FAILURE_SPREAD = 40.0, 1.0  # how failures rise with load is hardly known
_SPREADS = np.linspace(-2.45, 2.45, 8)  # so many of these standard deviations off
_COLD = {0.0: 0.85, 0.15: 0.06, 0.4: 0.09}  # how much slower a target is that was never loaded
_SKEW = 0.6, 1.2, 2.4  # of the sampling noise, over the lognormal's
_SKEW_MIDDLE, _SKEW_SPREAD = 1.2, 0.45  # sd of its logarithm
_SPEED_NOISE = {0.01: 0.35, 0.03: 0.3, 0.06: 0.25, 0.1: 0.1}  # sd of log speed between trials

# what is taken for known
_WARM_S = 10.0  # of load make the rest of the slowness e times smaller
_AS_WARM = 0.004  # slower by less than this is warm
_EARLY_NOISE = {"probe": 0.3, "bisect": 0.1}  # sd of the logit in a short trial
_LINE_ERROR = 0.15  # the line's own error, as a part of the distance in logit
_FEWEST = 3.0  # episodes that the shortest trial holds
_LOWERED = 1.2  # by how much of the sampling variance the middle lies below the mean
_UNKNOWN = 0.4, 0.9  # least and most that is left of the sampling variance, see ``_unknown``
_NONE = 1e-9

BUNCH_S = 0.5
"""How long failures hang together."""
TRIAL_NOISE = 0.15
"""Standard deviation of the logit in any trial, beyond sampling and speed."""
ALL = 0.97
"""A share that cannot be told from 1."""


@dataclass(frozen=True)
class TrialModel:
    """A grid of all that is unknown of one criterion, and what trials show at each of its points.

    There is an axis for each unknown: θ, steepness, floor or cliff, how cold the target was, skew
    of the sampling noise, and the target's own noise. What does not depend on one has length 1
    there, which saves much work. ``count`` rates from ``low`` to ``high`` arrivals/s may be θ;
    ``allowed`` and ``limit_s`` are those of ``Misses``.
    """

    low: float
    high: float
    count: int
    allowed: float
    limit_s: float | None

    @cached_property
    def theta(self) -> Floats:
        """The rates that may be the sustained one, along the first axis."""
        rates: Floats = np.geomspace(self.low, self.high, self.count)
        return rates.reshape(-1, 1, 1, 1, 1, 1)

    @cached_property
    def steepness(self) -> Floats:
        """The values of s, along the second axis; those of latency are proportional to θ."""
        off = _SPREADS.reshape(-1, 1, 1, 1, 1)
        if self.limit_s is None:
            return np.asarray(_FAILURE_STEEPNESS * np.exp(_FAILURE_SPREAD * off))
        # the tail exp(-(cμ - λ)·limit·2/(1 + cs²)) has the steepness 2λ·limit/(1 + cs²) at λ
        usual = np.clip(self.theta * self.limit_s, 3.0, 300.0)
        return np.asarray(usual * np.exp(_STEEPNESS_SPREAD * off))

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
        off = _SPREADS.reshape(-1, 1, 1, 1, 1)
        skewed = np.log(_skew() / _SKEW_MIDDLE) / _SKEW_SPREAD
        return np.asarray(np.log(floor * cold * speed) - 0.5 * (off**2 + skewed**2))

    def expected(self, o: Observation, loaded_s: float, requests: float) -> tuple[Floats, Floats]:
        """Return the mean and the variance of the logit of the share that a trial sees.

        ``loaded_s`` seconds of load came before it.

        Misses come in bunches, so the share seen in one trial is as skewed as a lognormal: mostly
        below its mean, and rarely far above it. With n independent episodes the square of its
        coefficient of variation is V = (1 - p)/(p·n); its logarithm has the variance log(1 + V)
        times the skew, and near p = 1 the same holds for 1 - p. What the target's speed adds is the
        slope of the share against the load.
        """
        slower = np.array(list(_COLD)).reshape(-1, 1, 1)
        slower = slower * np.exp(-(loaded_s + o.start_s + o.measured_s / 2) / _WARM_S)
        if self.limit_s is None or slower.max() < _AS_WARM:
            slower = np.zeros((1, 1, 1))
        rise = self.steepness * (o.offered * (1 + slower) / self.theta - 1)
        floor = np.array([*_FLOOR, 0.0]).reshape(-1, 1, 1, 1) * self.allowed
        queued, slope = self._queued(rise, floor, o)
        share = np.clip(floor + queued, _NONE, 1 - 1e-4)
        spread = share * (1 - share)
        episodes = _FEWEST + o.measured_s * self._episodes_per_s(rise)
        noise = np.maximum(queued * (1 - queued), 0.0) / episodes + floor / max(requests, 1)
        sampling = _skew() * np.log1p(noise / spread**2)
        moved = (self.steepness * slope / spread) ** 2 * self.speed_noise**2
        middle = logit(share) - _LOWERED * sampling * (1 - 2 * share)
        return middle, self._unknown * sampling + moved

    @property
    def _unknown(self) -> Floats:
        """What is left of the sampling variance once the arrivals that chance drew are known.

        Arrivals make 1 of its 1 + cs² parts, and services cs²; 1 + cs² is 2θ·limit/s.
        """
        if self.limit_s is None:
            return np.asarray(np.mean(_UNKNOWN))
        return np.clip(1 - self.steepness / (2 * self.theta * self.limit_s), *_UNKNOWN)

    def _queued(self, rise: Floats, floor: Floats, o: Observation) -> tuple[Floats, Floats]:
        """Return the share that the load makes miss, and its slope against ``rise``."""
        left = self.allowed - floor
        at_once = expit(np.clip(logit(left) + rise, -25.0, 8.0))
        steep = at_once * (1 - at_once)
        if self.limit_s is not None:  # all but the cliff, which is the last
            queue = left[:-1]
            at_once[:, :, :-1], steep[:, :, :-1] = mean_share_over(
                -np.log(queue) - rise, self.steepness, self.limit_s, o.start_s, o.measured_s
            )
        return at_once, steep

    def _episodes_per_s(self, rise: Floats) -> Floats:
        """Return how many independent episodes a second holds, in which requests miss together.

        Latencies are correlated over the relaxation time of the queue, 2(1 + cs²)·cμ/(cμ - λ)² near
        ρ = 1. The tail exp(-2(cμ - λ)·limit/(1 + cs²)) is ``allowed`` at the sustained rate, and
        its exponent falls with the load by ``rise``; so an episode lasts
        4·s·limit/(ln(1/allowed) - rise)² seconds, whatever c, μ and cs. Above the sustained rate
        the bracket is held at a third. Failures are taken to come in bunches of ``BUNCH_S``.
        """
        if self.limit_s is None:
            return np.asarray(1 / BUNCH_S)
        exponent = np.log(1 / self.allowed)
        left = np.maximum(exponent - rise, exponent / 3)
        return np.asarray(left**2 / (4 * self.steepness * self.limit_s))


def _skew() -> Floats:
    return np.array(_SKEW).reshape(-1, 1)


@lru_cache(maxsize=128)
def log_likelihood(model: TrialModel, o: Observation, miss: Misses, loaded_s: float) -> Floats:
    """Return how likely what a trial saw is, at each point of the grid; trials stay the same."""
    middle, variance = model.expected(o, loaded_s, miss.requests)
    near = min(max(miss.share, miss.allowed / 2), ALL)
    off = _LINE_ERROR * (logit(near) - logit(miss.allowed))
    sd = np.sqrt(variance + TRIAL_NOISE**2 + off**2 + _EARLY_NOISE.get(o.purpose, 0.0) ** 2)
    if o.at_least or miss.share >= ALL:  # more misses than these would be no surprise
        return np.asarray(log_ndtr((middle - logit(min(max(miss.share, _NONE), ALL))) / sd))
    resolved = miss.variance**0.5
    if miss.share <= resolved:  # fewer misses than can be told from none
        return np.asarray(log_ndtr((logit(min(max(resolved, _NONE), ALL)) - middle) / sd))
    return np.asarray(-0.5 * ((logit(miss.share) - middle) / sd) ** 2 - np.log(sd))
