"""What trials say together about the sustained rate of one criterion.

Pure. The belief lies on a grid of all that is unknown (``trial_model``); every trial updates it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property

import numpy as np
from scipy.special import logit

from capplan.loadtest.search.failure_model import FailureModel, at_once
from capplan.loadtest.search.latency_model import LatencyModel
from capplan.loadtest.search.nearer import beyond, idle, nearer
from capplan.loadtest.search.observation import Misses, Observation
from capplan.loadtest.search.trial_model import ALL, TRIAL_NOISE, Floats, TrialModel, log_likelihood

_WARM = np.inf  # seconds of load behind a target that is warm
_UNLIKELY = 1e-3  # rates that the choice of the next load leaves aside


class Criterion:
    """What is believed of one criterion."""

    def __init__(
        self, model: TrialModel, seen: Sequence[Observation], misses: Sequence[Misses]
    ) -> None:
        """Learn from the ``misses`` of each trial which of the model's rates is θ."""
        self._model = model
        self._log_theta = np.log(model.theta)
        belief, loaded_s = model.log_prior, 0.0
        for o, miss in zip(seen, misses, strict=True):
            belief = belief + log_likelihood(model, o, miss, loaded_s)
            loaded_s += o.start_s + o.measured_s
        weights = np.exp(belief - belief.max())
        self._weights = weights / weights.sum()
        self.density: Floats = self._weights.sum(axis=(1, 2, 3, 4, 5))
        """The probability of each of the rates."""
        likely = np.flatnonzero(self.density > _UNLIKELY)
        self._kept = slice(likely[0], likely[-1] + 1)

    @cached_property
    def _likely(self) -> TrialModel:
        """The part of the grid that is not unlikely."""
        kept = np.exp(self._log_theta[self._kept]).ravel()
        return replace(self._model, low=float(kept[0]), high=float(kept[-1]), count=len(kept))

    @property
    def middle(self) -> float:
        """The mean of log θ."""
        return float(self.density @ self._log_theta.ravel())

    @property
    def steepness(self) -> float:
        """The geometric mean of s."""
        return float(np.exp((self._weights * np.log(self._model.steepness)).sum()))

    @property
    def episode_s(self) -> float:
        """How long misses hang together at the sustained rate."""
        return self._model.episode_s(self.steepness)

    @property
    def speed_noise(self) -> float:
        """The standard deviation of the target's speed from trial to trial, as a ratio."""
        return float((self._weights * self._model.speed_noise**2).sum() ** 0.5)

    def explained(self, load: float, start_s: float, measured_s: float) -> float:
        """Return which share of the variance of log θ a trial at a load will explain.

        What it will see is, by what is believed, correlated with log θ; the share is the square of
        that correlation.
        """
        o = Observation(load, load, measured_s, "refine", True, False, (), start_s=start_s)
        middle, variance = self._likely.expected(o, _WARM, load * measured_s)
        middle = np.clip(middle, logit(self._model.allowed / 10), logit(ALL))
        weights = self._weights[self._kept].sum(axis=3, keepdims=True)
        log_theta = self._log_theta[self._kept]
        off = log_theta - float((weights * log_theta).sum())
        unexpected = middle - float((weights * middle).sum())
        covariance = float((weights * off * unexpected).sum())
        spread = weights * (unexpected**2 + variance + TRIAL_NOISE**2)
        doubt = float((weights * off**2).sum())
        return covariance**2 / (float(spread.sum()) * doubt) if doubt > 0 else 0.0


def learn(
    low: float, high: float, count: int, seen: Sequence[Observation], misses: Sequence[Misses]
) -> Criterion:
    """Return what trials say of the criterion of which they saw ``misses``, each of them.

    θ is one of ``count`` rates from ``low`` to ``high`` arrivals/s.
    """
    allowed, limit_s = misses[0].allowed, misses[0].limit_s
    if limit_s is None:
        together = at_once(seen, misses)
        return Criterion(FailureModel(low, high, count, allowed, together), seen, misses)
    resting = idle(misses)
    variation = resting.variation if resting else 1.0
    far = Criterion(LatencyModel(low, high, count, allowed, limit_s, variation), seen, misses)
    near = nearer(misses, resting.mean_s) if resting else None
    if near is None:
        return far
    model = LatencyModel(low, high, count, near.allowed, near.wait_s, variation)
    known = Criterion(model, seen, near.misses)
    log_theta = np.log(np.geomspace(low, high, count))
    shares = near.allowed, allowed
    known.density = beyond(log_theta, known.density, far.density, known.steepness, shares)
    return known
