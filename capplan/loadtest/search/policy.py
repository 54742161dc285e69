"""The search for the sustained rate: from the trials so far to the next one, or to an interval.

A pure function of what was observed. It first brackets the answer by doubling (or by quartering
downwards) and halving, then holds the loads that will tell most, by what is believed, until the
interval is narrow or the time is up. What the trials say together is in ``belief``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from capplan.loadtest.search.belief import Posterior, posterior
from capplan.loadtest.search.observation import Observation, Purpose

CONFIDENCE = 0.95
GROW, SHRINK = 2.0, 4.0
LOWEST_RATE = 1.0
_AT_LIMIT = 0.98  # the limit moves a little, as the requests per arrival are better known
_BRACKETED = 1.5  # bisect until the lowest failed rate is this close to the highest that passed
_AROUND = np.geomspace(0.92, 1.08, 7)  # loads that may narrow the answer, times its middle
_NARROW = 0.122  # ln(high/low) at which the search stops before its budget is spent
_ENOUGH = 9  # long trials, or as many as tell the mean speed of the target
_MEAN_SPEED = 0.018  # to this standard error
_FEWEST = 2  # that such a widening counts with: the trials before them say something, too
_USUAL = 9  # refining trials that a search needs
_EPISODES = 3  # in which misses hang together, that a refining trial holds if there is time for it
_LEFT_OUT = 0.1  # of a refining trial is likely to be warm-up
_HELD = 0.45  # of a trial counts at least: up to half of it may be warm-up
_TOO_WIDE = 1.5  # a wider high/low is no answer


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
        return max(self.min_trial_s, min(1.2, max(0.8, self.time_budget_s / 60)))

    @property
    def bisect_s(self) -> float:
        """How long a trial lasts that halves the bracket."""
        return max(self.min_trial_s, min(5.0, max(2.0, self.time_budget_s / 24)))

    @property
    def refine_s(self) -> float:
        """How long a trial at least lasts that narrows the answer, or confirms it."""
        return max(self.min_trial_s, 4.0, min(5.0, self.time_budget_s / 10))

    @property
    def longest_s(self) -> float:
        """How long such a trial lasts at most: one alone must not take the whole budget."""
        return max(self.refine_s, min(7.5, self.time_budget_s / 7))


@dataclass(frozen=True, slots=True)
class Next:
    """The next trial to run."""

    rate: float
    duration_s: float
    purpose: Purpose

    @property
    def warmup_s(self) -> float:
        """What two trials that are compared leave out at the start, both the same."""
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


def decide(seen: Sequence[Observation], settings: Settings, spent_s: float) -> Next | Stop:
    """Choose the next trial, or stop; ``spent_s`` is the load time so far.

    What is ``seen`` are trials that were worth something: invalid ones tell nothing of the target.
    """
    left_s = settings.time_budget_s - spent_s
    step = _choose(seen, settings, left_s)
    if isinstance(step, Next):
        highest = np.inf if settings.max_rate is None else settings.max_rate
        duration_s = max(step.duration_s, settings.min_trial_s)
        step = replace(step, rate=min(step.rate, highest), duration_s=min(duration_s, left_s))
    return step


def _choose(seen: Sequence[Observation], settings: Settings, left_s: float) -> Next | Stop:
    if not any(o.failed for o in seen):
        return _go_up(seen, settings, left_s)
    if not any(o.passed for o in seen):
        return _go_down(seen, settings, left_s)
    return _narrow(seen, settings, left_s)


def predict_s(settings: Settings, between_s: float = 0.0) -> float:
    """Return the load time in seconds that the search will need, as far as one can tell before it.

    Six doublings of the rate, or as many as lead to the highest, one bisection, the usual number of
    refining trials, and one that confirms. ``between_s`` is spent before each trial.

    >>> predict_s(Settings(time_budget_s=120.0, first_rate=20.0))
    76.7
    """
    doublings = 6
    if settings.max_rate is not None:
        up = np.log2(max(settings.max_rate / settings.first_rate, 1.0))
        doublings = min(doublings, int(np.ceil(up)))
    needed_s = _first_s(settings, settings.first_rate)
    needed_s += doublings * settings.probe_s + settings.bisect_s
    needed_s += (_USUAL + 1) * (settings.refine_s + settings.longest_s) / 2
    needed_s += (3 + doublings + _USUAL) * between_s
    return float(min(needed_s, settings.time_budget_s))


def known_bounds(seen: Sequence[Observation]) -> Bounds:
    """Say what the trials so far are enough for."""
    passed = [o.rate for o in seen if o.passed]
    failed = [o.rate for o in seen if o.failed]
    if passed and failed:
        return Bounds(*_interval(posterior(seen), seen))
    return Bounds(low=max(passed, default=None), high=min(failed, default=None))


def _go_up(seen: Sequence[Observation], settings: Settings, left_s: float) -> Next | Stop:
    limit = np.inf if settings.max_rate is None else settings.max_rate
    at_limit = [o for o in seen if o.rate >= _AT_LIMIT * limit]
    held_s = max((o.measured_s for o in at_limit if o.passed), default=0.0)
    if held_s >= settings.longest_s * _HELD:
        return Stop("not_reached", known_bounds(seen), "the SLA still held at the highest rate")
    if left_s < settings.probe_s:
        return Stop(
            "inconclusive", known_bounds(seen), "the time budget ended before a rate failed"
        )
    if not seen:
        rate = min(settings.first_rate, limit)
        return Next(rate, _first_s(settings, rate), "probe")
    if at_limit:
        return Next(limit, settings.longest_s, "confirm")
    rate = min(max(o.rate for o in seen) * GROW, limit)
    return Next(rate, settings.probe_s, "probe")


def _first_s(settings: Settings, rate: float) -> float:
    # enough arrivals to learn how many requests one of them makes
    return max(settings.min_trial_s, min(5.0, max(settings.probe_s, 40 / rate)))


def _go_down(seen: Sequence[Observation], settings: Settings, left_s: float) -> Next | Stop:
    lowest = min(o.rate for o in seen if o.failed)
    if lowest <= settings.lowest_rate:
        return Stop("below_sla", Bounds(high=lowest), "the SLA was missed at the lowest rate")
    if left_s < settings.probe_s:
        return Stop("inconclusive", Bounds(high=lowest), "the time budget ended before a rate held")
    # where every request fails, no load in between tells more than the lowest
    served = any(o.served for o in seen)
    rate = max(settings.lowest_rate, lowest / SHRINK) if served else settings.lowest_rate
    return Next(rate, min(10.0, max(settings.probe_s, 20 / rate)), "probe")


def _narrow(seen: Sequence[Observation], settings: Settings, left_s: float) -> Next | Stop:
    below = max((o.rate for o in seen if o.passed), default=0.0)
    above = min((o.rate for o in seen if o.failed and o.rate > below), default=below)
    if above / below > _BRACKETED and left_s > 2 * settings.refine_s:
        return Next(float(np.sqrt(below * above)), settings.bisect_s, "bisect")
    belief = posterior(seen)
    low, mid, high = _interval(belief, seen)
    if settings.max_rate is not None:
        mid = min(mid, settings.max_rate)
        low = min(low, mid)
    refine_s = min(max(_EPISODES * belief.episode_s, settings.refine_s), settings.longest_s)
    confirmed = any(o.purpose == "confirm" and low <= o.rate <= high for o in seen)
    width = float(np.log(high / low))
    few = _few(belief, seen)
    if left_s < settings.probe_s + 1 or (confirmed and (width <= _NARROW or left_s < refine_s)):
        return _finish(low, mid, high, few)
    warmup_s = _LEFT_OUT * refine_s
    told = belief.explained(mid, warmup_s, refine_s - warmup_s)
    soon = width * np.sqrt(1 - told) * _few(belief, seen, 1) / few
    if (soon <= _NARROW and not confirmed) or left_s < 2 * refine_s:
        return Next(mid, min(refine_s, left_s - 1), "confirm")
    rate = belief.most_telling(_AROUND * mid, warmup_s, refine_s - warmup_s)
    return Next(rate, refine_s, "refine")


def _finish(low: float, mid: float, high: float, few: float) -> Stop:
    if high / low > _TOO_WIDE:
        short = "the time budget ended before the bounds were close"
        why = short if few > 1 else "the trials disagree too much for an answer"
        return Stop("inconclusive", Bounds(low, None, high), why)
    return Stop("measured", Bounds(low, mid, high), "")


def _interval(belief: Posterior, seen: Sequence[Observation]) -> tuple[float, float, float]:
    """Return the ends and the middle, the ends further apart while trials are few."""
    tail = (1 - CONFIDENCE) / 2
    low, mid, high = belief.quantiles(tail, 0.5, 1 - tail)
    few = _few(belief, seen)
    return mid * (low / mid) ** few, mid, mid * (high / mid) ** few


def _few(belief: Posterior, seen: Sequence[Observation], more: int = 0) -> float:
    """Return the factor by which the interval is widened, as the long trials are so few.

    A standard error falls with the root of their number. What they vary by is itself learned from
    them: from fewer than enough, the belief is too sure.
    """
    trials = sum(o.purpose in ("refine", "confirm") for o in seen) + more
    enough = max(_ENOUGH, (belief.speed_noise / _MEAN_SPEED) ** 2)
    return float(max(1.0, enough / max(trials, _FEWEST)) ** 0.5)
