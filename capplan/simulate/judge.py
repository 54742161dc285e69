"""What became of an act: did it recover, and when; is it metastable.

- *recovered*: goodput is at least 95 % of what is offered, over 30 s;
- *metastable*: the first attempts were below what the servers carry for max(60 s, 10 T), and still
  goodput is less than 90 % of what is offered.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Outcome = Literal["held", "recovered", "never"]

RECOVERED, METASTABLE = 0.95, 0.90
_WINDOW_S = 30
_SMOOTHED_S = 10  # so that a single gust is not a load that cannot be borne
_LEAST = 30  # requests in a window; fewer say nothing


@dataclass(frozen=True, slots=True)
class Judgement:
    """``lost_at_s`` is when goodput first fell behind, ``recovered_at_s`` when it was back."""

    outcome: Outcome
    lost_at_s: float | None
    recovered_at_s: float | None
    metastable: bool


def judge(
    offered: Ints, good: Ints, load: Ints, capacity_rps: Floats, patience_s: float
) -> Judgement:
    """Judge the requests of shoppers second by second; ``load`` are all first attempts.

    ``capacity_rps`` is what the servers finish in each second when they are always busy.

    Good requests count in the second in which they were first sent. What was sent so late that it
    may still be answered is left out. Times count from the first second of the series.
    """
    over = max(len(offered) - math.ceil(patience_s), 1)
    offered, good, load = offered[:over], good[:over], load[:over]
    capacity_rps = capacity_rps[:over]
    well = _windows_well(offered, good)
    bad = np.flatnonzero(~well)
    stuck = _metastable(offered, good, load, capacity_rps, max(60.0, 10 * patience_s))
    if not len(bad):
        return Judgement("held", None, None, stuck)
    behind = np.flatnonzero(good[bad[0] :] < RECOVERED * offered[bad[0] :])
    lost_s, back = float(bad[0] + behind[0]), int(bad[-1]) + 1
    if back >= len(well):
        return Judgement("never", lost_s, None, stuck)
    return Judgement("recovered", lost_s, float(back), stuck)


def _windows_well(offered: Ints, good: Ints) -> NDArray[np.bool_]:
    """Say of each window of 30 s whether goodput keeps up in it."""
    asked, answered = _moving(offered, _WINDOW_S), _moving(good, _WINDOW_S)
    return np.asarray((asked < _LEAST) | (answered >= RECOVERED * asked))


def _metastable(
    offered: Ints, good: Ints, load: Ints, capacity_rps: Floats, after_s: float
) -> bool:
    """Find a window in which goodput is low although the load was bearable, for long before it."""
    smoothed_s = min(_SMOOTHED_S, len(load))
    bearable = _moving(load, smoothed_s) < _moving(capacity_rps, smoothed_s)
    asked, answered = _moving(offered, _WINDOW_S), _moving(good, _WINDOW_S)
    places = np.arange(len(bearable))
    broken = np.maximum.accumulate(np.where(bearable, -1, places))
    # goodput is judged in the windows that end with the calm; a shorter act has none that counts
    calm_s = (places - broken + smoothed_s - 1)[_WINDOW_S - smoothed_s :]
    stuck = (asked >= _LEAST) & (answered < METASTABLE * asked)
    return bool(np.any((calm_s >= after_s + _WINDOW_S) & stuck))


def _moving(counts: Ints | Floats, seconds: int) -> Floats:
    """Return sums over so many seconds, from each second on that has them."""
    seconds = min(seconds, len(counts))
    sums = np.concatenate([[0], np.cumsum(counts)])
    return np.asarray(sums[seconds:] - sums[:-seconds], float)
