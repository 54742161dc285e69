"""Two targets on one noisy machine: which loads to hold in turns, and the ratio of what they carry.

A pure policy, like ``search``. Each pair is one trial on the base and one on the head, close in
time, with the same draw of arrivals and at loads that are the same multiple of what each sustains.
What the machine does to both then cancels, and so do the bias of a short trial and most of the
error of the curve that turns misses into a rate.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from capplan.loadtest.search.policy import Bounds, Next, Stop
from capplan.model.ratio import Ratio, paired, unpaired
from capplan.plan.sla import Sla
from capplan.results.capacity import Criterion, Trial

Floats = NDArray[np.float64]

CONFIDENCE = 0.95
FEWEST_PAIRS = 5
MOST_PAIRS = 24
ABOVE = 1.03  # loads a little above the sustained rate tell more about it than loads at it
DITHER = 0.05
TOO_WIDE = 1.5  # a wider high/low is no answer
BETWEEN_TRIALS_S = 0.5
_SHORTEST_S, _LONGEST_S = 1.5, 20.0
_FEWEST_MISSES = 5
_RELAXATIONS = 3.0
_RECENT = 3
_SLOPE_SPREAD = 0.5
_FARTHEST = 0.5
_BRACKET = 1.35
_FAILURES_STEEPNESS = 15.0


@dataclass(frozen=True, slots=True)
class PairedTrial:
    """One trial on each target, both valid."""

    base: Trial
    head: Trial


@dataclass(frozen=True, slots=True)
class Estimate:
    """Head/base with its interval from the pairs, and what the same trials say when not paired."""

    paired: Ratio
    unpaired: Ratio
    each: tuple[float, ...]

    @property
    def narrow(self) -> bool:
        """Whether the interval is an answer."""
        low, high = self.paired.low, self.paired.high
        return bool(low and high and high / low <= TOO_WIDE)


def bracketed(step: Next | Stop, known: Bounds) -> bool:
    """Return whether a search knows enough for pairs to begin: roughly where its answer lies."""
    if known.low is None or known.mid is None or known.high is None:
        return False
    if isinstance(step, Stop):
        return step.verdict == "measured"
    return step.purpose in ("refine", "confirm") or known.high / known.low <= _BRACKET


def trial_s(left_s: float, sustained: float, sla: Sla) -> float:
    """Return how long each trial lasts when ``left_s`` seconds of load are left for the pairs.

    Three relaxation times of the queue at the sustained rate (arrivals/s), and long enough for five
    misses to be allowed: shorter trials would tell nothing. In more than enough time, longer ones.
    """
    # a queue relaxes in about 4·cμ/(cμ - λ)², and cμ - λ is ln(1/allowed)/limit at the answer
    gaps = [-math.log(1 - limit.quantile) / limit.limit_s for limit in sla.latency]
    relaxation_s = max((4 * sustained / gap**2 for gap in gaps), default=1.0)
    shares = [1 - limit.quantile for limit in sla.latency] or [sla.failures]
    enough_s = _FEWEST_MISSES / (max(min(shares), 1e-3) * sustained)
    spare_s = left_s / (2 * MOST_PAIRS) - BETWEEN_TRIALS_S
    wanted_s = max(_RELAXATIONS * relaxation_s, enough_s, spare_s)
    return float(np.clip(wanted_s, _SHORTEST_S, _LONGEST_S))


def next_rates(
    pairs: Sequence[PairedTrial], base_mid: float, head_mid: float
) -> tuple[float, float]:
    """Return the loads of the next pair, in arrivals/s.

    A little above what both sustain by the last pairs, as the machine drifts, and in the ratio that
    all pairs show, off by ``DITHER`` in either direction: that tells how steep misses rise with the
    load. ``base_mid`` and ``head_mid`` are what the search found before.
    """
    line = _line(pairs)
    if line is None:
        level, ratio = math.log(base_mid * head_mid) / 2, math.log(head_mid / base_mid)
    else:
        level = float(np.mean(line.levels[-_RECENT:]))
        ratio = float(line.ratios.mean())
    # held for two pairs, while the order changes with each: neither follows the other
    ratio += DITHER if len(pairs) // 2 % 2 == 0 else -DITHER
    level += math.log(ABOVE)
    return math.exp(level - ratio / 2), math.exp(level + ratio / 2)


def estimate(pairs: Sequence[PairedTrial]) -> Estimate | None:
    """Return the ratio of what head and base sustain; None for fewer than two pairs."""
    line = _line(pairs) if len(pairs) > 1 else None
    if line is None:
        return None
    half = line.ratios / 2
    return Estimate(
        paired(-half, half, CONFIDENCE),
        unpaired(line.base, line.head, CONFIDENCE),
        tuple(float(each) for each in np.exp(line.ratios)),
    )


@dataclass(frozen=True, slots=True)
class _Line:
    """The log of the rate that each trial says is sustained, of the ratio, and of the level."""

    base: Floats
    head: Floats

    @property
    def ratios(self) -> Floats:
        return self.head - self.base

    @property
    def levels(self) -> Floats:
        return (self.head + self.base) / 2


def _line(pairs: Sequence[PairedTrial]) -> _Line | None:
    """Turn the misses of each trial into the rate at which they would just be allowed.

    With load λ, sustained rate θ and the machine's speed m, the misses are u = f·log(λ/(θ·m)) in
    units in which f is 1 if the curve is as steep as a queue in heavy traffic. In a pair m cancels:
    u₂ - u₁ = f·(x - log ratio), with x the log ratio of the loads. So f is the slope of the
    differences over x, kept near 1 by a prior as there are few of them.
    """
    if not pairs:
        return None
    base, head = [p.base for p in pairs], [p.head for p in pairs]
    about = math.exp(float(np.mean([math.log(_offered(t)) for t in (*base, *head)])))
    loads = [np.log([_offered(t) for t in side]) for side in (base, head)]
    misses = [np.array([_misses(t, about) for t in side]) for side in (base, head)]
    slope = _slope(loads[1] - loads[0], misses[1] - misses[0])
    return _Line(loads[0] - misses[0] / slope, loads[1] - misses[1] / slope)


def _slope(x: Floats, u: Floats) -> float:
    if len(x) < 3:
        return 1.0
    spread, rise = x - x.mean(), u - u.mean()
    noise = max(float(((rise - spread) ** 2).sum()) / (len(x) - 2), 1e-9)
    weight = float((spread**2).sum()) / noise
    found = (float((spread * rise).sum()) / noise + 1 / _SLOPE_SPREAD**2) / (
        weight + 1 / _SLOPE_SPREAD**2
    )
    return float(np.clip(found, 0.4, 2.5))


def _misses(trial: Trial, about: float) -> float:
    """Return how far the misses are from what is allowed, as a log ratio of loads: 0 at the limit.

    The criterion that is missed most, each over the steepness of its own curve.
    """
    found = [_excess(c, trial, about) for c in trial.criteria if c.allowed > 0]
    return float(np.clip(max(found, default=0.0), -_FARTHEST, _FARTHEST))


def _excess(criterion: Criterion, trial: Trial, about: float) -> float:
    fewest = 0.5 / (trial.requests + 1)  # no misses among so many is less than half a one
    share = min(max(criterion.exceedance, fewest), 1 - fewest)
    steepness = _FAILURES_STEEPNESS
    if criterion.name != "failures":
        # the tail exp(-(cμ - λ)·limit) has the steepness λ·limit; see ``search``
        steepness = float(np.clip(0.7 * about * criterion.limit, 3.0, 150.0))
    return (_logit(share) - _logit(criterion.allowed)) / steepness


def _logit(share: float) -> float:
    return math.log(share / (1 - share))


def _offered(trial: Trial) -> float:
    """Return the arrivals/s that came: with a chance of their own they differ from those asked."""
    if trial.ended_early or not trial.requests_per_arrival:
        return trial.arrivals_per_s
    return trial.achieved_rps / trial.requests_per_arrival or trial.arrivals_per_s
