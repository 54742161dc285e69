"""What trials say together about the sustained rate of one criterion.

Pure. The belief lies on a grid of all that is unknown (``trial_model``); every trial updates it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property

import numpy as np
from scipy.special import logit

from capplan.loadtest.observation import Observation
from capplan.loadtest.trial_model import (
    ALL,
    BUNCH_S,
    TRIAL_NOISE,
    Floats,
    TrialModel,
    log_likelihood,
)

_WARM = np.inf  # seconds of load behind a target that is warm
_UNLIKELY = 1e-3  # rates that the choice of the next load leaves aside


class Criterion:
    """What is believed of one criterion."""

    def __init__(
        self, low: float, high: float, count: int, seen: Sequence[Observation], index: int
    ) -> None:
        """Learn from the criterion ``index`` of each trial which of ``count`` rates is θ."""
        like = seen[0].misses[index]
        self._model = model = TrialModel(low, high, count, like.allowed, like.limit_s)
        self._log_theta = np.log(model.theta)
        belief, loaded_s = model.log_prior, 0.0
        for o in seen:
            belief = belief + log_likelihood(model, o, o.misses[index], loaded_s)
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
    def episode_s(self) -> float:
        """How long misses hang together at the sustained rate; see ``TrialModel``."""
        limit_s = self._model.limit_s
        if limit_s is None:
            return BUNCH_S
        steepness = np.exp((self._weights * np.log(self._model.steepness)).sum())
        return float(4 * steepness * limit_s / np.log(1 / self._model.allowed) ** 2)

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
        off = self._log_theta[self._kept] - self.middle
        unexpected = middle - float((weights * middle).sum())
        covariance = float((weights * off * unexpected).sum())
        spread = weights * (unexpected**2 + variance + TRIAL_NOISE**2)
        doubt = float((weights * off**2).sum())
        return covariance**2 / (float(spread.sum()) * doubt) if doubt > 0 else 0.0
