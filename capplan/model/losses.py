"""What an overload costs: how long it lasts, and how many requests are not served.

The demand over time is one shape s(t), scaled to each possible peak P; the fleet carries X. Then
everything depends on x = X/(P/max s) alone, and is tabulated once for all peaks and all fleets:

    seconds over   ∫ 1[s(t) > x] dt
    excess         ∫ max(0, s(t) - x) dt       what is too much is shed at once, the rest is served
    unserved       ∫ s(t)·1[t is busy] dt      nothing is shed: all that comes while a queue stands

A queue stands from the first moment of an overload until it has drained: the fluid queue
q(t) = W(t) - min over u ≤ t of W(u) with W the integral of s - x (D. Lindley 1952). Whoever comes
meanwhile waits longer than the SLA allows. A queue that still stands where the shape ends counts
until there.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_LEVELS = 400
_POINTS = 3_000
_FLEETS = 64


@dataclass(frozen=True, slots=True)
class Loss:
    """Expected seconds above what the fleet carries; requests lost with shedding and without."""

    seconds_over: float
    excess: float
    unserved: float


NONE = Loss(0.0, 0.0, 0.0)


@dataclass(frozen=True, slots=True)
class Losses:
    """What is lost at each level x from 0 to 1 of the shape's top: columns as in ``Loss``."""

    table: Floats

    def expected(self, peaks_rps: Floats, fleet_rps: Floats) -> Loss:
        """Return the expectation over all peaks and fleets, each given by equally likely values.

        Both are in requests/s, ``peaks_rps`` sorted; of the fleets 64 quantiles count.
        """
        u = (np.arange(_FLEETS) + 0.5) / _FLEETS
        fleets = np.quantile(fleet_rps, u, method="hazen")
        peaks = peaks_rps[np.searchsorted(peaks_rps, fleets[0], side="right") :]
        peaks = peaks[peaks > 0]
        if not len(peaks):
            return NONE
        at = np.minimum(fleets[None, :] / peaks[:, None], 1.0) * (_LEVELS - 1)
        below = np.minimum(at.astype(np.intp), _LEVELS - 2)
        share = at - below
        seconds, excess, unserved = (
            column[below] * (1 - share) + column[below + 1] * share for column in self.table.T
        )
        count = len(peaks_rps) * _FLEETS
        return Loss(
            float(seconds.sum() / count),
            float((excess.sum(axis=1) @ peaks) / count),
            float((unserved.sum(axis=1) @ peaks) / count),
        )


def losses(t_s: Floats, shape: Floats) -> Losses:
    """Tabulate a demand of any height: ``shape`` at the times ``t_s``, straight in between."""
    top = float(shape.max())
    if top <= 0 or len(t_s) < 2:
        return Losses(np.zeros((_LEVELS, 3)))
    each = max(1, _POINTS // len(t_s))
    fine = np.interp(np.arange((len(t_s) - 1) * each + 1) / each, np.arange(len(t_s)), t_s)
    demand = np.interp(fine, t_s, shape / top)
    levels = np.linspace(0.0, 1.0, _LEVELS)
    return Losses(np.array([_lost(fine, demand, level) for level in levels]))


def _lost(t_s: Floats, demand: Floats, level: float) -> tuple[float, float, float]:
    step_s, over = np.diff(t_s), demand - level
    high, low = np.maximum(over[1:], over[:-1]), np.minimum(over[1:], over[:-1])
    crossed = np.where(high > low, high / np.where(high > low, high - low, 1.0), 1.0)
    above = np.where(high > 0, np.clip(crossed, 0.0, 1.0), 0.0)
    piled = np.concatenate(([0.0], np.cumsum(_means(over) * step_s)))
    queue = piled - np.minimum.accumulate(piled)
    busy = ((queue > 0) | (over > 0)).astype(float)
    return (
        float(step_s @ above),
        float(step_s @ _means(np.maximum(over, 0.0))),
        float(step_s @ (_means(demand) * _means(busy))),
    )


def _means(values: Floats) -> Floats:
    return np.asarray((values[1:] + values[:-1]) / 2)
