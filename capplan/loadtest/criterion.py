"""What trials say about the sustained rate of one criterion: how its misses rise with the load.

Pure. The waiting time of a busy queue has an exponential tail whose rate falls linearly with the
load (Kingman's heavy-traffic limit), so the share of requests over a limit is, in steady state,

    share(λ) = floor + exp(-y),   y = -ln(allowed - floor) - s·(λ/θ - 1)

with θ the sustained rate and s a steepness. A trial begins at an idle target, and sees less than
that until the queue has built up: ``model.filling_queue`` says how much less, and what a queue
under overload shows while it grows. Failures have no such theory, and some targets no such queue:
their share rises on the logit scale.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, log_ndtr, logit

from capplan.loadtest.observation import Misses, Observation
from capplan.model.filling_queue import mean_share_over

Floats = NDArray[np.float64]

# what is not known beforehand, each with a prior
_FLOOR = {0.0: 0.4, 0.08: 0.2, 0.25: 0.2, 0.5: 0.2}  # missed at any load, over allowed
_CLIFF = 0.0002  # that requests miss at once above a load, without a queue that has to fill
_STEEPNESS = np.geomspace(4.0, 300.0, 12)
_STEEPNESS_SPREAD = 0.6  # sd of its logarithm, around what Poisson arrivals and services give
_FAILURE_STEEPNESS, _FAILURE_SPREAD = 25.0, 1.0  # how failures rise with load is hardly known
_SPEED_NOISE = {0.01: 0.2, 0.03: 0.3, 0.06: 0.35, 0.1: 0.15}  # sd of log speed between trials
_SKEW = 0.6, 1.2, 2.4  # of the sampling noise, over the lognormal's
_SKEW_MIDDLE, _SKEW_SPREAD = 1.2, 0.45  # sd of its logarithm

# what is taken for known
_EARLY_SPEED = {"probe": 0.1, "bisect": 0.04}  # a target that is not warm yet may be slower
_EARLY_NOISE = {"probe": 0.3, "bisect": 0.1}  # sd of the logit in a short trial
_TRIAL_NOISE = 0.15  # sd of the logit in any trial, beyond sampling and speed
_LINE_ERROR = 0.15  # the line's own error, as a part of the distance in logit
_FEWEST = 3.0  # episodes that the shortest trial holds
_BUNCH_S = 0.5  # how long failures hang together
_LOWERED = 0.85  # by how much of the sampling variance the middle lies below the mean
_KNOWN = 0.75  # what is left of the sampling variance once the arrivals that chance drew are known
_NONE, _ALL = 1e-9, 0.97


class Criterion:
    """What is believed of one criterion, on a grid of all that is unknown.

    There is an axis for each unknown: θ, steepness, floor or cliff, skew of the sampling noise, and
    the target's own noise. What does not depend on one has length 1 there, which saves much work.
    """

    def __init__(self, rates: Floats, seen: Sequence[Observation], index: int) -> None:
        """Learn from the criterion ``index`` of each trial whether θ is one of ``rates``."""
        self._like = seen[0].misses[index]
        self._log_theta = np.log(rates)
        self._theta = rates[:, None, None, None, None]
        self._steepness = _STEEPNESS[:, None, None, None]
        floors = np.array([*_FLOOR, 0.0])[:, None, None]
        self._fills = np.arange(len(floors))[:, None, None] < len(_FLOOR)
        self._floor = floors * self._like.allowed
        floor_prior = np.array([*_FLOOR.values(), _CLIFF])[:, None, None]
        self._skew = np.array(_SKEW)[:, None]
        self._speed, speed_prior = np.array(list(_SPEED_NOISE.items())).T
        belief = np.log(floor_prior * speed_prior) + self._log_prior_of_steepness()
        belief = belief - 0.5 * (np.log(self._skew / _SKEW_MIDDLE) / _SKEW_SPREAD) ** 2
        for o in seen:
            belief = belief + self._log_likelihood(o, o.misses[index])
        weights = np.exp(belief - belief.max())
        self._weights = weights / weights.sum()
        self.density: Floats = self._weights.sum(axis=(1, 2, 3, 4))
        """The probability of each of the rates."""

    @property
    def middle(self) -> float:
        """The mean of log θ."""
        return float(self.density @ self._log_theta)

    @property
    def episode_s(self) -> float:
        """How long misses hang together at the sustained rate, see ``_episodes_per_s``."""
        if self._like.limit_s is None:
            return _BUNCH_S
        steepness = np.exp(self._weights.sum(axis=(0, 2, 3, 4)) @ np.log(_STEEPNESS))
        exponent = np.log(1 / self._like.allowed)
        return float(4 * steepness * self._like.limit_s / exponent**2)

    @property
    def speed_noise(self) -> float:
        """The standard deviation of the target's speed from trial to trial, as a ratio."""
        variance = self._weights.sum(axis=(0, 1, 2, 3)) @ np.square(list(_SPEED_NOISE))
        return float(variance**0.5)

    def explained(self, load: float, start_s: float, measured_s: float) -> float:
        """Return how much of the variance of log θ a trial at a load will explain.

        What it will see is, by what is believed, correlated with log θ: the squared covariance over
        the variance of what will be seen.
        """
        o = Observation(load, load, measured_s, "refine", True, False, (), start_s=start_s)
        middle, variance = self._expected(o, load * measured_s)
        middle = np.clip(middle, logit(self._like.allowed / 10), logit(_ALL))
        off = self._log_theta[:, None, None, None, None] - self.middle
        unexpected = middle - float((self._weights * middle).sum())
        covariance = float((self._weights * off * unexpected).sum())
        spread = self._weights * (unexpected**2 + variance + _TRIAL_NOISE**2)
        return covariance**2 / float(spread.sum())

    def _log_prior_of_steepness(self) -> Floats:
        # the tail exp(-(cμ - λ)·limit·2/(1 + cs²)) has the steepness 2λ·limit/(1 + cs²) at λ
        if self._like.limit_s is None:
            usual, spread = np.asarray(_FAILURE_STEEPNESS), _FAILURE_SPREAD
        else:
            usual = np.clip(self._theta * self._like.limit_s, 3.0, 300.0)
            spread = _STEEPNESS_SPREAD
        return np.asarray(-0.5 * (np.log(self._steepness / usual) / spread) ** 2)

    def _expected(self, o: Observation, requests: float) -> tuple[Floats, Floats]:
        """Return the mean and the variance of the logit of the share that a trial sees.

        Misses come in bunches, so the share seen in one trial is as skewed as a lognormal: mostly
        below its mean, and rarely far above it. With n independent episodes the square of its
        coefficient of variation is V = (1 - p)/(p·n); its logarithm has the variance log(1 + V)
        times the skew, and near p = 1 the same holds for 1 - p. What the target's speed adds is the
        slope of the share against the load.
        """
        rise = self._steepness * (o.offered / self._theta - 1)
        queued, slope = self._queued(rise, o)
        share = np.clip(self._floor + queued, _NONE, 1 - 1e-4)
        spread = share * (1 - share)
        episodes = _FEWEST + o.measured_s * self._episodes_per_s(rise)
        noise = np.maximum(queued * (1 - queued), 0.0) / episodes + self._floor / max(requests, 1)
        sampling = self._skew * np.log1p(noise / spread**2)
        speed = np.hypot(self._speed, _EARLY_SPEED.get(o.purpose, 0.0))
        moved = (self._steepness * speed * slope / spread) ** 2
        return logit(share) - _LOWERED * sampling * (1 - 2 * share), _KNOWN * sampling + moved

    def _queued(self, rise: Floats, o: Observation) -> tuple[Floats, Floats]:
        """Return the share that the load makes miss, and its slope against ``rise``."""
        left = self._like.allowed - self._floor
        at_once = expit(np.clip(logit(left) + rise, -25.0, 8.0))
        if self._like.limit_s is None:
            return at_once, at_once * (1 - at_once)
        limit_s, exponent = self._like.limit_s, -np.log(left) - rise
        filled, slope = mean_share_over(exponent, self._steepness, limit_s, o.start_s, o.measured_s)
        fills = self._fills
        return np.where(fills, filled, at_once), np.where(fills, slope, at_once * (1 - at_once))

    def _episodes_per_s(self, rise: Floats) -> Floats:
        """Return how many independent episodes a second holds, in which requests miss together.

        Latencies are correlated over the relaxation time of the queue, 2(1 + cs²)·cμ/(cμ - λ)² near
        ρ = 1. The tail exp(-2(cμ - λ)·limit/(1 + cs²)) is ``allowed`` at the sustained rate, and
        its exponent falls with the load by ``rise``; so an episode lasts
        4·s·limit/(ln(1/allowed) - rise)² seconds, whatever c, μ and cs. Above the sustained rate
        the bracket is held at a third. Failures are taken to come in bunches of ``_BUNCH_S``.
        """
        if self._like.limit_s is None:
            return np.asarray(1 / _BUNCH_S)
        exponent = np.log(1 / self._like.allowed)
        left = np.maximum(exponent - rise, exponent / 3)
        return np.asarray(left**2 / (4 * self._steepness * self._like.limit_s))

    def _log_likelihood(self, o: Observation, miss: Misses) -> Floats:
        middle, variance = self._expected(o, miss.requests)
        near = min(max(miss.share, miss.allowed / 2), _ALL)
        off = _LINE_ERROR * (logit(near) - logit(miss.allowed))
        sd = np.sqrt(variance + _TRIAL_NOISE**2 + off**2 + _EARLY_NOISE.get(o.purpose, 0.0) ** 2)
        if o.at_least or miss.share >= _ALL:  # more misses than these would be no surprise
            return np.asarray(log_ndtr((middle - logit(min(max(miss.share, _NONE), _ALL))) / sd))
        resolved = miss.variance**0.5
        if miss.share <= resolved:  # fewer misses than can be told from none
            return np.asarray(log_ndtr((logit(min(max(resolved, _NONE), _ALL)) - middle) / sd))
        return np.asarray(-0.5 * ((logit(miss.share) - middle) / sd) ** 2 - np.log(sd))
