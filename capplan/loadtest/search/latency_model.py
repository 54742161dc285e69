"""How the share of slow requests depends on the load.

Pure. The waiting time of a busy queue has an exponential tail whose rate falls linearly with the
load (Kingman's heavy-traffic limit), so the share of requests over a limit is, in steady state,

    share(λ) = floor + exp(-y),   y = -ln(allowed - floor) - s·(λ/θ - 1)

with θ the sustained rate and s a steepness. A trial begins at an idle target, and sees less than
that until the queue has built up: ``model.filling_queue`` says how much less, and what a queue
under overload shows while it grows. A target that is not warm yet is slower, as if λ were more.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import expit, logit

from capplan.loadtest.search.observation import Observation
from capplan.loadtest.search.trial_model import SPREADS, Floats, TrialModel, cold
from capplan.model.filling_queue import mean_share_over

_STEEPNESS_SPREAD = 0.55  # sd of its logarithm, around what arrivals and services give
_FLATTEST, _STEEPEST = 3.0, 300.0
_WARM_S = 10.0  # of load make the rest of the slowness e times smaller
_AS_WARM = 0.004  # slower by less than this is warm
_LINE_ERROR = 0.15
_FEWEST = 3.0  # episodes that the shortest trial holds
_LOWERED = 1.2  # by how much of the sampling variance the middle lies below the mean
_UNKNOWN = 0.4, 0.9  # least and most that is left of the sampling variance


@dataclass(frozen=True)
class LatencyModel(TrialModel):
    """``limit_s`` is the limit of latency in seconds.

    ``variation`` is the squared coefficient of variation cs² of the services, as far as it can be
    told; 1 is that of exponential ones.
    """

    limit_s: float
    variation: float = 1.0

    @property
    def steepness(self) -> Floats:
        """The values of s, proportional to θ.

        The tail exp(-(cμ - λ)·limit·2/(1 + cs²)) has the steepness 2λ·limit/(1 + cs²) at λ.
        """
        usual = 2 * self.theta * self.limit_s / (1 + self.variation)
        off = SPREADS.reshape(-1, 1, 1, 1, 1)
        spread = np.exp(_STEEPNESS_SPREAD * off)
        return np.asarray(np.clip(usual, _FLATTEST, _STEEPEST) * spread)

    @property
    def line_error(self) -> float:
        """See ``TrialModel``."""
        return _LINE_ERROR

    def episode_s(self, steepness: float) -> float:
        """Return the relaxation time of the queue at the sustained rate; see ``_episodes``."""
        return float(4 * steepness * self.limit_s / np.log(self.allowed) ** 2)

    def _rise(self, o: Observation, loaded_s: float) -> Floats:
        slower = cold() * np.exp(-(loaded_s + o.start_s + o.measured_s / 2) / _WARM_S)
        if slower.max() < _AS_WARM:
            slower = np.zeros((1, 1, 1))
        return np.asarray(self.steepness * (o.offered * (1 + slower) / self.theta - 1))

    def _queued(self, rise: Floats, floor: Floats, o: Observation) -> tuple[Floats, Floats]:
        left = self.allowed - floor
        share = expit(np.clip(logit(left) + rise, -25.0, 8.0))
        slope = share * (1 - share)
        queue = left[:-1]  # all but the cliff, which is the last
        share[:, :, :-1], slope[:, :, :-1] = mean_share_over(
            -np.log(queue) - rise, self.steepness, self.limit_s, o.start_s, o.measured_s
        )
        return share, slope

    def _episodes(self, rise: Floats, o: Observation, requests: float) -> Floats:
        """Count the relaxation times of the queue in a trial.

        Latencies are correlated over 2(1 + cs²)·cμ/(cμ - λ)² near ρ = 1. The tail
        exp(-2(cμ - λ)·limit/(1 + cs²)) is ``allowed`` at the sustained rate, and its exponent falls
        with the load by ``rise``; so an episode lasts 4·s·limit/(ln(1/allowed) - rise)² seconds,
        whatever c, μ and cs. Above the sustained rate the bracket is held at a third.
        """
        exponent = np.log(1 / self.allowed)
        left = np.maximum(exponent - rise, exponent / 3)
        return np.asarray(_FEWEST + o.measured_s * left**2 / (4 * self.steepness * self.limit_s))

    def _lowered(self, variation: Floats) -> Floats:
        return np.asarray(_LOWERED)

    @property
    def _unknown(self) -> Floats:
        """Arrivals make 1 of the 1 + cs² parts, and services cs²; 1 + cs² is 2θ·limit/s."""
        return np.clip(1 - self.steepness / (2 * self.theta * self.limit_s), *_UNKNOWN)
