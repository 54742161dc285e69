"""The search for the sustained rate: from the trials so far to the next one, or to an interval.

A pure function of what was observed. It first brackets the answer by doubling (or by quartering
downwards) and halving, then holds loads at and just above the middle of what is believed, until the
interval is narrow or the time is up. What the trials say together is in ``belief``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from capplan.loadtest.belief import Observation, Posterior, Purpose, posterior

CONFIDENCE = 0.95
GROW, SHRINK = 2.0, 4.0
LOWEST_RATE = 1.0
_AT_LIMIT = 0.98  # the limit moves a little, as the requests per arrival are better known
_BRACKETED = 1.5  # bisect until the lowest failed rate is this close to the highest that passed
_AROUND = 1.05, 1.02  # where to hold the loads that narrow the answer, times its middle
_NARROW = 1.127  # high/low at which the search stops before its budget is spent
_ENOUGH = 5  # refining trials that show how much trials differ
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
        """How long a trial lasts that narrows the answer, or confirms it.

        A short one sees a queue that is not full yet, and finds too high a rate: under a small
        budget rather hold fewer loads.
        """
        longest = max(min(8.0, self.time_budget_s / 5), min(11.0, self.time_budget_s / 10))
        return max(self.min_trial_s, 4.0, longest)


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


def known_bounds(seen: Sequence[Observation]) -> Bounds:
    """Say what the trials so far are enough for."""
    passed = [o.rate for o in seen if o.passed]
    failed = [o.rate for o in seen if o.failed]
    if passed and failed:
        return Bounds(*_interval(posterior(seen)))
    return Bounds(low=max(passed, default=None), high=min(failed, default=None))


def _go_up(seen: Sequence[Observation], settings: Settings, left_s: float) -> Next | Stop:
    limit = np.inf if settings.max_rate is None else settings.max_rate
    at_limit = [o for o in seen if o.rate >= _AT_LIMIT * limit]
    held_s = max((o.measured_s for o in at_limit if o.passed), default=0.0)
    if held_s >= settings.refine_s * 0.7:
        return Stop("not_reached", known_bounds(seen), "the SLA still held at the highest rate")
    if left_s < settings.probe_s:
        return Stop(
            "inconclusive", known_bounds(seen), "the time budget ended before a rate failed"
        )
    if not seen:
        rate = min(settings.first_rate, limit)
        # enough arrivals to learn how many requests one of them makes
        return Next(rate, min(5.0, max(settings.probe_s, 40 / rate)), "probe")
    if at_limit:
        return Next(limit, settings.refine_s, "confirm")
    rate = min(max(o.rate for o in seen) * GROW, limit)
    return Next(rate, settings.probe_s, "probe")


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
    low, mid, high = _interval(posterior(seen))
    if settings.max_rate is not None:
        mid = min(mid, settings.max_rate)
        low = min(low, mid)
    narrow = high / low <= _NARROW and sum(o.purpose == "refine" for o in seen) >= _ENOUGH
    confirmed = any(o.purpose == "confirm" and low <= o.rate <= high for o in seen)
    if left_s < settings.probe_s + 1 or (confirmed and (narrow or left_s < settings.refine_s)):
        return _finish(low, mid, high)
    if narrow or left_s < settings.refine_s + settings.refine_s:
        return Next(mid, min(settings.refine_s, left_s - 1), "confirm")
    # loads just above the answer tell more about it than loads at it, but far above tells nothing
    turn = sum(o.purpose == "refine" for o in seen) % len(_AROUND)
    hopeless = min((o.rate for o in seen if o.at_least), default=np.inf)
    rate = min(mid * _AROUND[turn], max(0.97 * hopeless, mid), _BRACKETED * above)
    return Next(float(max(rate, 0.9 * below)), settings.refine_s, "refine")


def _finish(low: float, mid: float, high: float) -> Stop:
    if high / low > _TOO_WIDE:
        return Stop(
            "inconclusive", Bounds(low, None, high), "the trials disagree too much for an answer"
        )
    return Stop("measured", Bounds(low, mid, high), "")


def _interval(belief: Posterior) -> tuple[float, float, float]:
    tail = (1 - CONFIDENCE) / 2
    low, mid, high = belief.quantiles(tail, 0.5, 1 - tail)
    return low, mid, high
