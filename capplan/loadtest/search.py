"""The search for the sustained rate: from the trials so far to the next one, or to an interval.

A pure function of what was observed. It first brackets the answer by doubling (or by quartering
downwards), then learns a curve. Near saturation the waiting time of a queue has an exponential
tail whose rate falls linearly with the load (Kingman's heavy-traffic limit), so the share of
requests over a limit grows like

    log share(λ) = log allowed + s · (λ/θ − 1)

with θ the sustained rate and s a steepness. The posterior of (θ, s) on a grid pools all trials,
so that no single short trial decides. Trial-to-trial noise and the error of the line far from θ
are part of the likelihood, or the interval would be too narrow.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_ndtr

Purpose = Literal["probe", "bisect", "refine", "confirm"]
Floats = NDArray[np.float64]

CONFIDENCE = 0.95
GROW, SHRINK = 2.0, 4.0
LOWEST_RATE = 1.0
_TRIAL_NOISE = 0.2  # sd of log share from one trial to the next, beyond the noise within a trial
_SPEED_NOISE = 0.04  # relative sd of the server's own speed from one trial to the next
_LINE_ERROR = 0.25  # the line's own error, as a part of the distance in log share
_SHORT_TRIAL_ERROR = 1.0  # a probe starts empty and may end before a queue has built up
_HOST_NOISE = 0.03  # relative sd of a machine's speed that more trials do not average out
_STEEPNESS_SPREAD = 0.5  # sd of log steepness around what the heavy-traffic limit suggests
_AT_LIMIT = 0.98  # the limit moves a little, as the requests per arrival are better known
_FULL = 0.98  # the largest share that the line may reach
_NONE = 1e-12
_BRACKETED = 1.25  # bisect until the lowest failed rate is this close to the highest that passed
_NARROW = 1.16  # high/low at which the search stops before its budget is spent
_TOO_WIDE = 1.5  # a wider high/low is no answer


@dataclass(frozen=True, slots=True)
class Misses:
    """One criterion in one trial.

    ``share`` of the requests missed it where ``allowed`` may; ``variance`` is the squared standard
    error of the share by batch means; ``limit_s`` is the limit on latency, None for failures.
    """

    allowed: float
    share: float
    variance: float
    limit_s: float | None


@dataclass(frozen=True, slots=True)
class Observation:
    """One trial as the search sees it. ``passed`` is None when the trial was invalid.

    ``at_least``: the trial was ended early because it could no longer pass. Then ``measured_s`` is
    what was planned, and each share is a lower bound: the misses so far over all planned requests.
    ``served`` is false when no request at all succeeded.
    """

    rate: float
    measured_s: float
    purpose: Purpose
    passed: bool | None
    at_least: bool
    misses: tuple[Misses, ...]
    served: bool = True

    @property
    def failed(self) -> bool:
        """Whether the SLA was missed; a short probe has to miss it clearly to count."""
        clearly = any(m.share - m.allowed > 2 * m.variance**0.5 for m in self.misses)
        return self.passed is False and (clearly or self.at_least or self.purpose != "probe")


@dataclass(frozen=True, slots=True)
class Settings:
    """Limits of the search: load time in seconds, and rates in arrivals/s.

    No trial is shorter than ``min_trial_s``, no rate below ``lowest_rate`` is tried.
    """

    time_budget_s: float
    first_rate: float
    max_rate: float | None = None
    min_trial_s: float = 0.0
    lowest_rate: float = LOWEST_RATE

    @property
    def probe_s(self) -> float:
        """How long a trial lasts that only looks for the order of magnitude."""
        return max(self.min_trial_s, min(3.0, max(2.0, self.time_budget_s / 40)))

    @property
    def bisect_s(self) -> float:
        """How long a trial lasts that halves the bracket."""
        return max(self.min_trial_s, min(8.0, max(3.0, self.time_budget_s / 15)))

    @property
    def refine_s(self) -> float:
        """How long a trial lasts that narrows the answer."""
        return max(self.min_trial_s, min(20.0, max(4.0, self.time_budget_s / 6)))

    @property
    def confirm_s(self) -> float:
        """How long the last trial lasts."""
        return max(self.min_trial_s, min(24.0, max(5.0, self.time_budget_s / 5)))


@dataclass(frozen=True, slots=True)
class Next:
    """The next trial to run."""

    rate: float
    duration_s: float
    purpose: Purpose

    @property
    def warmup_s(self) -> float:
        """What is left out at the start: the time in which the queue builds up."""
        return max(0.5, 0.2 * self.duration_s)


@dataclass(frozen=True, slots=True)
class Bounds:
    """An interval of the sustained rate in arrivals/s; None where nothing is known."""

    low: float | None = None
    mid: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class Stop:
    """The end of the search."""

    verdict: Literal["measured", "not_reached", "below_sla", "inconclusive"]
    bounds: Bounds
    reason: str


def relaxation_time_s(rate: float, sustained: float, limit_s: float, allowed: float) -> float:
    """Return how long a queue remembers, in seconds, at ``rate`` when it sustains ``sustained``.

    A queue relaxes in about 4·cμ/(cμ - λ)² when ρ is near one (1/(cμ(1 - √ρ)²) expanded). At the
    sustained rate θ the waiting time's tail exp(-(cμ - θ)·limit) is about ``allowed``, which gives
    cμ - θ = ln(1/allowed)/limit and needs neither c nor μ. Above θ the gap is held at a third.
    """
    gap = np.log(1 / allowed) / limit_s
    return float(4 * rate / max(gap + sustained - rate, gap / 3) ** 2)


def decide(seen: Sequence[Observation], settings: Settings, spent_s: float) -> Next | Stop:
    """Choose the next trial, or stop; ``spent_s`` is the load time so far."""
    left_s = settings.time_budget_s - spent_s
    step = _choose(seen, settings, left_s)
    if isinstance(step, Next):
        highest = np.inf if settings.max_rate is None else settings.max_rate
        duration_s = max(step.duration_s, settings.min_trial_s)
        step = replace(step, rate=min(step.rate, highest), duration_s=min(duration_s, left_s))
    return step


def _choose(seen: Sequence[Observation], settings: Settings, left_s: float) -> Next | Stop:
    valid = [o for o in seen if o.passed is not None]
    ceiling = _generator_ceiling(seen)
    if ceiling is not None and not any(o.failed for o in valid):
        return Stop("inconclusive", known_bounds(valid), "the load generator is the limit")
    passed = [o.rate for o in valid if o.passed]
    failed = [o.rate for o in valid if o.failed]
    if not failed:
        return _go_up(valid, settings, left_s)
    if not passed:
        return _go_down(valid, settings, left_s)
    return _narrow(seen, valid, settings, left_s)


def known_bounds(seen: Sequence[Observation]) -> Bounds:
    """Say what the valid trials so far are enough for."""
    valid = [o for o in seen if o.passed is not None]
    passed = [o.rate for o in valid if o.passed]
    failed = [o.rate for o in valid if o.failed]
    if passed and failed:
        low, mid, high = _interval(posterior(valid))
        return Bounds(low, mid, high)
    return Bounds(low=max(passed, default=None), high=min(failed, default=None))


def _generator_ceiling(seen: Sequence[Observation]) -> float | None:
    """Return the rate that the generator failed to produce twice in a row."""
    if len(seen) >= 2 and seen[-1].passed is None and seen[-2].passed is None:
        return min(seen[-1].rate, seen[-2].rate)
    return None


def _go_up(valid: Sequence[Observation], settings: Settings, left_s: float) -> Next | Stop:
    limit = np.inf if settings.max_rate is None else settings.max_rate
    at_limit = [o for o in valid if o.rate >= _AT_LIMIT * limit]
    held_s = max((o.measured_s for o in at_limit if o.passed), default=0.0)
    if held_s >= settings.refine_s * 0.7:
        return Stop("not_reached", known_bounds(valid), "the SLA still held at the highest rate")
    if left_s < settings.probe_s:
        return Stop(
            "inconclusive", known_bounds(valid), "the time budget ended before a rate failed"
        )
    if not valid:
        rate = min(settings.first_rate, limit)
        # enough arrivals to learn how many requests one of them makes
        return Next(rate, min(5.0, max(settings.probe_s, 40 / rate)), "probe")
    if at_limit:
        return Next(limit, settings.refine_s, "confirm")
    rate = min(max(o.rate for o in valid) * GROW, limit)
    return Next(rate, settings.probe_s, "probe")


def _go_down(valid: Sequence[Observation], settings: Settings, left_s: float) -> Next | Stop:
    lowest = min(o.rate for o in valid if o.failed)
    if lowest <= settings.lowest_rate:
        return Stop("below_sla", Bounds(high=lowest), "the SLA was missed at the lowest rate")
    if left_s < settings.probe_s:
        return Stop("inconclusive", Bounds(high=lowest), "the time budget ended before a rate held")
    # where every request fails, no load in between tells more than the lowest
    served = any(o.served for o in valid)
    rate = max(settings.lowest_rate, lowest / SHRINK) if served else settings.lowest_rate
    return Next(rate, min(10.0, max(settings.probe_s, 20 / rate)), "probe")


def _narrow(
    seen: Sequence[Observation], valid: Sequence[Observation], settings: Settings, left_s: float
) -> Next | Stop:
    below = max((o.rate for o in valid if o.passed), default=0.0)
    above = min((o.rate for o in valid if o.failed and o.rate > below), default=below)
    if above / below > _BRACKETED and left_s > 2 * settings.refine_s:
        return Next(float(np.sqrt(below * above)), settings.bisect_s, "bisect")
    low, mid, high = _interval(posterior(valid))
    if settings.max_rate is not None:
        mid = min(mid, settings.max_rate)
        low = min(low, mid)
    narrow = high / low <= _NARROW
    confirmed = any(o.purpose == "confirm" and low <= o.rate <= high for o in valid)
    if left_s < settings.probe_s + 1 or (confirmed and (narrow or left_s < settings.refine_s)):
        return _finish(low, mid, high)
    if narrow or left_s < settings.confirm_s + settings.refine_s:
        return Next(mid, min(settings.confirm_s, left_s - 1), "confirm")
    # loads just above the answer tell more about it than loads at it, but far above tells nothing
    turn = sum(o.purpose == "refine" for o in seen) % 2
    hopeless = min((o.rate for o in valid if o.at_least), default=np.inf)
    rate = min(mid * (1.05, 1.0)[turn], max(0.97 * hopeless, mid))
    return Next(float(max(rate, 0.9 * below)), settings.refine_s, "refine")


def _finish(low: float, mid: float, high: float) -> Stop:
    if high / low > _TOO_WIDE:
        return Stop(
            "inconclusive", Bounds(low, None, high), "the trials disagree too much for an answer"
        )
    return Stop("measured", Bounds(low, mid, high), "")


@dataclass(frozen=True, slots=True)
class Posterior:
    """Probabilities of the sustained rate on a grid of rates (arrivals/s)."""

    rate: Floats
    probability: Floats


def posterior(valid: Sequence[Observation]) -> Posterior:
    """Learn the sustained rate of the whole SLA: the smallest over its criteria.

    For independent criteria P(min θ > x) is the product of the P(θᵢ > x).
    """
    rates = np.array([o.rate for o in valid])
    grid = np.geomspace(rates.min() / 4, rates.max() * 4, 1200)
    survival = np.ones_like(grid)
    for index in range(len(valid[0].misses)):
        # how much a trial weighs depends on how near it is to the answer: two passes suffice
        density = _criterion_posterior(grid, valid, index, float(rates.max()))
        roughly = float(np.interp(0.5, np.cumsum(density), grid))
        density = _criterion_posterior(grid, valid, index, roughly)
        survival *= 1 - np.cumsum(density) + density / 2
    probability = -np.diff(np.concatenate([[1.0], survival[:-1], [0.0]]))
    probability = np.clip(probability, 0, None)
    return Posterior(grid, probability / probability.sum())


def _criterion_posterior(
    grid: Floats, valid: Sequence[Observation], index: int, sustained: float
) -> Floats:
    steepness = np.geomspace(2.0, 200.0, 60)
    limit_s = valid[0].misses[index].limit_s
    # the tail exp(-(cμ - λ)·limit·2/(1 + cs²)) has the steepness 2λ·limit/(1 + cs²) at λ
    usual = 15.0 if limit_s is None else np.clip(0.7 * grid[:, None] * limit_s, 3.0, 150.0)
    log_posterior = -0.5 * (np.log(steepness / usual) / _STEEPNESS_SPREAD) ** 2
    log_posterior = np.broadcast_to(log_posterior, (len(grid), len(steepness))).copy()
    for o in valid:
        miss = o.misses[index]
        if miss.allowed > 0:
            expected = steepness * (o.rate / grid[:, None] - 1)  # log(share / allowed)
            share = np.clip(miss.allowed * np.exp(np.minimum(expected, 10.0)), _NONE, _FULL)
            log_posterior += _log_likelihood(o, miss, share, sustained, steepness)
    weights = np.exp(log_posterior - log_posterior.max()).sum(axis=1)
    return np.asarray(weights / weights.sum())


def _log_likelihood(
    o: Observation, miss: Misses, share: Floats, sustained: float, steepness: Floats
) -> Floats:
    """Return the log-likelihood of what a trial saw, for each true ``share`` of misses.

    Misses come in bunches, so the share seen in one trial is as skewed as a lognormal: mostly below
    its mean, and rarely far above it. With n independent episodes the square of its coefficient of
    variation is V = (1 - p)/(p·n); hence log share has the variance log(1 + V) and the mean
    log p - log(1 + V)/2. Noise between trials and the error of the line add to the variance; a
    server whose speed varies shifts its load, which ``steepness`` turns into log share.
    """
    near = min(max(miss.share, miss.allowed / 2), 0.9)
    skewed = np.log1p((1 - share) / (share * _episodes(o, miss, near, sustained)))
    short = _SHORT_TRIAL_ERROR if o.purpose == "probe" else 0.0
    line = _LINE_ERROR * np.log(near / miss.allowed)
    noise = _TRIAL_NOISE**2 + (steepness * _SPEED_NOISE) ** 2 + line**2 + short**2
    middle, sd = np.log(share) - skewed / 2, np.sqrt(skewed + noise)
    if o.at_least:  # more misses than these would be no surprise
        return np.asarray(log_ndtr((middle - np.log(max(miss.share, _NONE))) / sd))
    resolved = miss.variance**0.5
    if miss.share <= resolved:  # fewer misses than can be told from none
        return np.asarray(log_ndtr((np.log(max(resolved, _NONE)) - middle) / sd))
    z = (np.log(miss.share) - middle) / sd
    return np.asarray(-0.5 * z**2 - np.log(sd))


def _episodes(o: Observation, miss: Misses, near: float, sustained: float) -> float:
    """Return how many independent episodes a trial holds.

    Latencies that follow each other are correlated over about the relaxation time of the queue: a
    trial holds its length in relaxation times. Batch means lower that where they vary more, as with
    pauses that have nothing to do with the queue.
    """
    by_batches = near * (1 - near) / max(miss.variance, _NONE)
    if miss.limit_s is None:
        return by_batches
    rate = min(o.rate, sustained) if o.at_least else o.rate
    by_time = o.measured_s / relaxation_time_s(rate, sustained, miss.limit_s, miss.allowed)
    return float(np.sqrt(by_time * min(by_time, by_batches)))


def _interval(belief: Posterior) -> tuple[float, float, float]:
    cumulative = np.cumsum(belief.probability) - belief.probability / 2
    tail = (1 - CONFIDENCE) / 2
    low, mid, high = np.interp([tail, 0.5, 1 - tail], cumulative, np.log(belief.rate))
    floor = 1.96 * _HOST_NOISE
    return (
        float(np.exp(mid - np.hypot(mid - low, floor))),
        float(np.exp(mid)),
        float(np.exp(mid + np.hypot(high - mid, floor))),
    )
