"""What the trials so far say about the sustained rate: a posterior over rates.

Pure, and ignorant of how the next trial is chosen. Near saturation the waiting time of a queue has
an exponential tail whose rate falls linearly with the load (Kingman's heavy-traffic limit), so the
share of requests over a limit rises like

    logit share(λ) = logit allowed + s · (λ/θ − 1)

with θ the sustained rate and s a steepness; far above θ nearly all requests miss, which the logit
allows for. The posterior of θ, s and the noise τ of the server's speed from trial to trial pools
all trials on a grid, so that no single short trial decides.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, log_ndtr, logit

from capplan.loadtest.levels import Level, LevelAt, above

Purpose = Literal["probe", "bisect", "refine", "confirm"]
Floats = NDArray[np.float64]

_GRID = 120
_FLOOR = {0.0: 0.4, 0.08: 0.2, 0.25: 0.2, 0.5: 0.2}  # missed at any load, over allowed: prior
_STEEPNESS = np.geomspace(4.0, 150.0, 14)
_STEEPNESS_UNIT, _STEEPNESS_SPREAD = (
    3.7,
    0.5,
)  # sd of log steepness around what the heavy-traffic limit suggests
_FAILURE_STEEPNESS, _FAILURE_SPREAD = 25.0, 1.0  # how failures rise with load is hardly known
_SPEED_NOISE = {0.01: 0.3, 0.03: 0.35, 0.06: 0.35}  # sd of log speed: prior weight
_TRIAL_NOISE = 0.15  # sd of the logit from one trial to the next, beyond sampling and speed
_LINE_ERROR = 0.15  # the line's own error, as a part of the distance in logit
_EMPTY_START = {"probe": 1.0, "bisect": 0.3}  # a short trial may end before a queue has built up
_SKEW = 0.5, 1.0, 2.0, 4.0  # of the sampling noise, over what is expected
_SKEW_MIDDLE, _SKEW_SPREAD = 1.0, 0.45  # sd of its logarithm
_BUNCH_S = 1.0
_KNOWN = 0.5  # what is left of the sampling variance once the arrivals that chance drew are known
_NONE, _ALL = 1e-9, 0.97


@dataclass(frozen=True, slots=True)
class Misses:
    """One criterion in one trial.

    ``share`` of the ``requests`` missed it where ``allowed`` may; ``variance`` is the squared
    standard error of the share by batch means; ``limit_s`` is the limit on latency, None for
    failures.
    """

    allowed: float
    share: float
    requests: int
    variance: float
    limit_s: float | None


@dataclass(frozen=True, slots=True)
class Observation:
    """One trial as the search sees it.

    ``rate`` was asked, ``offered`` is how many arrivals/s chance then drew in the time that counts.
    ``at_least``: the trial was ended early because it could no longer pass; its misses would have
    become more, so that each share is a lower bound.
    ``served`` is false when no request at all succeeded. ``levels`` of the target have limits, too.
    """

    rate: float
    offered: float
    measured_s: float
    purpose: Purpose
    passed: bool
    at_least: bool
    misses: tuple[Misses, ...]
    served: bool = True
    levels: tuple[Level, ...] = ()

    @property
    def failed(self) -> bool:
        """Whether the SLA was missed; a short probe has to miss it clearly to count."""
        clearly = any(m.share - m.allowed > 2 * m.variance**0.5 for m in self.misses)
        clearly = clearly or any(level.clearly_over for level in self.levels)
        return not self.passed and (clearly or self.at_least or self.purpose != "probe")


@dataclass(frozen=True, slots=True)
class Posterior:
    """Probabilities of the sustained rate on a grid of rates (arrivals/s)."""

    rate: Floats
    probability: Floats

    def quantiles(self, *shares: float) -> tuple[float, ...]:
        """Return the rates below which the given shares of the probability lie."""
        cumulative = np.cumsum(self.probability) - self.probability / 2
        return tuple(float(q) for q in np.exp(np.interp(shares, cumulative, np.log(self.rate))))


def posterior(seen: Sequence[Observation]) -> Posterior:
    """Learn the sustained rate of the whole SLA from trials of which one passed and one failed."""
    rates = np.array([o.rate for o in seen])
    wide = np.geomspace(rates.min() / 4, rates.max() * 4, _GRID // 2)
    low, high = _over_criteria(wide, seen).quantiles(1e-4, 1 - 1e-4)
    step = wide[1] / wide[0]
    return _over_criteria(np.geomspace(low / step, high * step, _GRID), seen)


def _over_criteria(grid: Floats, seen: Sequence[Observation]) -> Posterior:
    """Combine the criteria: the smallest sustained rate binds.

    For independent criteria P(min θ > x) is the product of the P(θᵢ > x).
    """
    survival = np.ones_like(grid)
    for index, miss in enumerate(seen[0].misses):
        if miss.allowed > 0 and any(o.misses[index].share > 0 for o in seen):
            density = _of_criterion(grid, seen, index)
            survival *= 1 - np.cumsum(density) + density / 2
    for index in range(len(seen[0].levels)):
        survival *= above(grid, at_loads(seen, index))
    probability = np.clip(-np.diff(np.concatenate([[1.0], survival[:-1], [0.0]])), 0, None)
    return Posterior(grid, probability / probability.sum())


def at_loads(seen: Sequence[Observation], index: int) -> list[LevelAt]:
    """Return one level of the target at the loads that came."""
    return [LevelAt(o.offered, o.levels[index], o.at_least) for o in seen]


def _of_criterion(grid: Floats, seen: Sequence[Observation], index: int) -> Floats:
    # the nuisances: steepness, and triples of floor, sampling noise and the server's own noise
    theta, steepness = grid[:, None, None], _STEEPNESS[None, :, None]
    triples = list(product(_FLOOR, _SKEW, _SPEED_NOISE))
    floor, skew, speed = (np.array(column)[None, None, :] for column in zip(*triples, strict=True))
    prior = np.array([_FLOOR[of] * _SPEED_NOISE[noise] for of, _, noise in triples])[None, None, :]
    belief = np.log(prior) - 0.5 * (np.log(skew / _SKEW_MIDDLE) / _SKEW_SPREAD) ** 2
    belief = belief + _log_prior(theta, steepness, seen[0].misses[index].limit_s)
    allowed = seen[0].misses[index].allowed
    always = floor * allowed
    at_answer = logit(allowed - always)
    for o in seen:
        miss, rise = o.misses[index], steepness * (o.offered / theta - 1)
        queued = expit(np.clip(at_answer + rise, -25.0, 8.0))
        share = np.minimum(always + queued, 1 - 1e-4)
        noise = queued * (1 - queued) / _episodes(o, miss, steepness, rise)
        noise = noise + always / max(miss.requests, 1)
        sampling = np.log1p(noise / (share * (1 - share)) ** 2)
        moved = (steepness * speed * queued / share) ** 2
        belief = belief + _log_likelihood(o, miss, share, skew * sampling, moved)
    weights = np.exp(belief - belief.max()).sum(axis=(1, 2))
    return np.asarray(weights / weights.sum())


def _log_prior(theta: Floats, steepness: Floats, limit_s: float | None) -> Floats:
    # the tail exp(-(cμ - λ)·limit·2/(1 + cs²)) has the steepness 2λ·limit/(1 + cs²) at λ
    usual, spread = np.asarray(_FAILURE_STEEPNESS), _FAILURE_SPREAD
    if limit_s is not None:
        usual, spread = (
            np.clip(_STEEPNESS_UNIT * np.sqrt(theta * limit_s), 3.0, 150.0),
            _STEEPNESS_SPREAD,
        )
    return np.asarray(-0.5 * (np.log(steepness / usual) / spread) ** 2)


def _episodes(o: Observation, miss: Misses, steepness: Floats, rise: Floats) -> Floats:
    """Return how many independent episodes a trial holds, in which requests miss together.

    Latencies are correlated over the relaxation time of the queue, 2(1 + cs²)·cμ/(cμ - λ)² near
    ρ = 1. The tail exp(-2(cμ - λ)·limit/(1 + cs²)) is ``allowed`` at the sustained rate, and its
    exponent falls with the load by ``rise``; so a trial of length T holds
    T·(ln(1/allowed) - rise)²/(4·s·limit) episodes, whatever c, μ and cs. Above the sustained rate
    the bracket is held at a third. Failures are taken to come in bunches of ``_BUNCH_S``.
    """
    if miss.limit_s is None:
        return np.asarray(o.measured_s / _BUNCH_S)
    exponent = np.log(1 / miss.allowed)
    left = np.maximum(exponent - rise, exponent / 3)
    return np.asarray(o.measured_s * left**2 / (4 * steepness * miss.limit_s))


def _log_likelihood(
    o: Observation, miss: Misses, share: Floats, sampling: Floats, moved: Floats
) -> Floats:
    """Return the log-likelihood of what a trial saw, for each true ``share`` of misses.

    Misses come in bunches, so the share seen in one trial is as skewed as a lognormal: mostly below
    its mean, and rarely far above it. With n independent episodes the square of its coefficient of
    variation is V = (1 - p)/(p·n); hence log share has the variance log(1 + V) and the mean
    log p - log(1 + V)/2; near p = 1 the same holds for 1 - p. ``sampling`` is that variance,
    ``moved`` what the server's speed adds to it; noise between trials and the error of the line
    come on top.
    """
    near = min(max(miss.share, miss.allowed / 2), _ALL)
    off = _LINE_ERROR * (logit(near) - logit(miss.allowed))
    noise = _TRIAL_NOISE**2 + off**2 + _EMPTY_START.get(o.purpose, 0.0) ** 2 + moved
    middle, sd = logit(share) - sampling / 2 * (1 - 2 * share), np.sqrt(_KNOWN * sampling + noise)
    if o.at_least or miss.share >= _ALL:  # more misses than these would be no surprise
        return np.asarray(log_ndtr((middle - logit(min(max(miss.share, _NONE), _ALL))) / sd))
    resolved = miss.variance**0.5
    if miss.share <= resolved:  # fewer misses than can be told from none
        return np.asarray(log_ndtr((logit(min(max(resolved, _NONE), _ALL)) - middle) / sd))
    return np.asarray(-0.5 * ((logit(miss.share) - middle) / sd) ** 2 - np.log(sd))
