"""How the share of failed requests depends on the load.

Pure. Failures have no theory like that of a queue: some targets refuse all that is above a limit,
others have a few slots that are all taken now and then, and how steeply failures rise differs by
tens. Near the limit their odds rise with a power of the load,

    logit share(λ) = logit allowed + s·ln(λ/θ)

as Erlang's loss formula does, with s between 2 and 700. What fails may fail alone or in bunches;
how many at once, the trials tell: the variance of the share between parts of a trial, over that of
independent requests.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import expit, logit

from capplan.loadtest.search.observation import Misses, Observation
from capplan.loadtest.search.trial_model import SPREADS, Floats, TrialModel

BUNCH_S = 0.5
"""How long failures are taken to hang together before any were seen."""

_STEEPNESS, _STEEPNESS_SPREAD = 40.0, 1.2
_LINE_ERROR = 0.3  # a power law far from the limit is a guess
_UNKNOWN = 0.65  # of the sampling variance is left once the arrivals that chance drew are known
_LOWERED = 0.5, 1.2  # of few failures, as of a lognormal; and of bunches
_LONGER = 1.5  # power: the longer bunches are, the less of one lies in a part of a trial
_GUESSED = 5.0  # failures that the first guess counts for
_CERTAIN = 50.0  # more of them in one trial tell no more
_STEP = 4.0  # steps for each factor e: while it stays, what trials say is known


@dataclass(frozen=True)
class FailureModel(TrialModel):
    """``at_once`` is how many requests fail together."""

    at_once: float

    @property
    def steepness(self) -> Floats:
        """The values of s: how failures rise with load is hardly known."""
        off = SPREADS.reshape(-1, 1, 1, 1, 1)
        return np.asarray(_STEEPNESS * np.exp(_STEEPNESS_SPREAD * off))

    @property
    def line_error(self) -> float:
        """See ``TrialModel``."""
        return _LINE_ERROR

    def episode_s(self, steepness: float) -> float:
        """Return how long failures hang together."""
        return BUNCH_S

    def _rise(self, o: Observation, loaded_s: float) -> Floats:
        return np.asarray(self.steepness * np.log(o.offered / self.theta))

    def _queued(self, rise: Floats, floor: Floats, o: Observation) -> tuple[Floats, Floats]:
        share = expit(np.clip(logit(self.allowed - floor) + rise, -25.0, 8.0))
        return share, share * (1 - share)

    def _episodes(self, rise: Floats, o: Observation, requests: float) -> Floats:
        return np.asarray(max(requests / self.at_once, 1.0))

    def _lowered(self, variation: Floats) -> Floats:
        alone, bunched = _LOWERED
        return np.asarray(alone + (bunched - alone) * variation / (1 + variation))

    @property
    def _unknown(self) -> Floats:
        return np.asarray(_UNKNOWN)


def at_once(seen: Sequence[Observation], misses: Sequence[Misses]) -> float:
    """Return how many requests fail together: the variance of their share over the binomial one.

    The geometric mean over trials, weighted by their failures; before there are any, as many as
    come in ``BUNCH_S``.
    """
    come = float(np.median([m.requests / o.measured_s for o, m in zip(seen, misses, strict=True)]))
    weights, logs = [_GUESSED], [np.log(max(BUNCH_S * come, 1.0))]
    for m in misses:
        if m.share * m.requests >= 1 and m.share < 0.5:
            alone = m.share * (1 - m.share) / m.requests
            weights.append(min(m.share * m.requests, _CERTAIN))
            logs.append(np.log(max(m.variance / alone, 1.0)))
    together = float(np.average(logs, weights=weights))
    return float(np.exp(_LONGER * np.round(_STEP * together) / _STEP))
