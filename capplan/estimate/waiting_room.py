"""A waiting room: visits are let in at a constant rate, the others wait in line.

With V(t) the visits that want in by t and r the rate of admission, the line is

    q(t) = max over s ≤ t of V(t) - V(s) - r·(t - s)

(the reflected process of a fluid queue; D. Lindley 1952, L. Kleinrock, *Queueing Systems* II,
1976), so that A(t) = V(t) - q(t) have been let in, and who comes at t waits q(t)/r. Sought is the
lowest r at which nobody waits longer than promised, and the peak that then reaches the servers.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from capplan.estimate.inputs import Inputs
from capplan.estimate.profile import shifted
from capplan.estimate.traffic import FIRST_PAGE_S, Traffic

Floats = NDArray[np.float64]

_STEPS = 1_500
_HALVINGS = 12
_LEAST = 1e-9


def admission(
    inputs: Inputs, traffic: Traffic, end_s: float, longest_s: float
) -> tuple[Floats, Floats]:
    """Return visits/s let in and the highest requests/s that follow, one value each per draw.

    Nobody who comes by ``end_s`` waits longer than ``longest_s``. Followed in 1,500 steps.
    """
    begin_s = min(0.0, *(curve.begins_s for curve in inputs.curves.values()))
    t_s = np.linspace(begin_s, end_s + longest_s, _STEPS)
    wanted = traffic.begun(t_s)
    rates = _lowest_rate(wanted - wanted[:, :1], t_s - begin_s, longest_s)
    let_in = wanted - _line(wanted, t_s, rates)
    return rates[:, 0], _highest(let_in, traffic, t_s[1] - t_s[0])


def _lowest_rate(wanted: Floats, t_s: Floats, longest_s: float) -> Floats:
    """Return the lowest rate of admission as a column, by bisection of its logarithm.

    All are let in by the end: that takes at least their number over that time, and at most their
    number over the longest wait.
    """
    everyone = np.maximum(wanted[:, -1:], _LEAST)
    low, high = np.log(everyone / t_s[-1]), np.log(everyone / longest_s)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        rates = np.exp(middle)
        waits_s = _line(wanted, t_s, rates).max(axis=1, keepdims=True) / rates
        low = np.where(waits_s > longest_s, middle, low)
        high = np.where(waits_s > longest_s, high, middle)
    return np.asarray(np.exp(high))


def _line(wanted: Floats, t_s: Floats, rates: Floats) -> Floats:
    free = wanted - rates * t_s
    return np.asarray(free - np.minimum.accumulate(free, axis=1))


def _highest(let_in: Floats, traffic: Traffic, step_s: float) -> Floats:
    """Return the highest requests/s of visits that began as ``let_in`` says, draw by draw."""
    highest = np.empty(len(let_in))
    for row, begun in enumerate(let_in):
        visit_s = float(traffic.visit_s[row, 0])
        rate = traffic.later_requests[row, 0] / visit_s * _there(begun, visit_s, step_s)
        if first := float(traffic.first_requests[row, 0]):
            rate = rate + first / FIRST_PAGE_S * _there(begun, FIRST_PAGE_S, step_s)
        highest[row] = rate.max()
    return highest


def _there(begun: Floats, seconds: float, step_s: float) -> Floats:
    return begun - shifted(begun, seconds / step_s)
