"""Follow each draw of the inputs through time to its peak, before history is asked.

Two independent ways lead to the number of visits: bottom-up from the channels (*funnel*) and
top-down from usual orders (*multiple*). Where both are given, a share ``usual.weight`` of the draws
takes the second and the rest the first, on the bottom-up shape: a mixture, which is as wide as the
two disagree.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from capplan.estimate.gusts import AWAY_IN_WINDOWS, gusty
from capplan.estimate.inputs import SHORTEST_S, Inputs
from capplan.estimate.traffic import Traffic, chunk
from capplan.plan.schema import Plan

Floats = NDArray[np.float64]

_CHUNK = 2_000
_MINUTE_S = 60.0
_LEAST_VISITS = 1e-12


@dataclass(frozen=True)
class Outcome:
    """One value per draw, by the funnel; times in seconds from the start, rates in requests/s.

    ``visits`` are those within the sale's audience, without those who only look in early; ``calm``
    is the peak without gusts. ``ratio`` is how many times the funnel's visits the multiple expects,
    None where only one of the two is given; ``scale`` turns the funnel's traffic into the combined
    estimate's.
    """

    visits: Floats
    calm: Floats
    peak: Floats
    visitors: Floats
    visitors_at_s: Floats
    ratio: Floats | None
    scale: Floats


def follow(plan: Plan, inputs: Inputs) -> Outcome:
    """Follow all draws, some at a time."""
    draws, window_s = len(inputs.visit_s), window_of(plan)
    calm, peaks, visitors, visitors_at_s = (np.empty(draws) for _ in range(4))
    for part in _parts(draws):
        traffic = traffic_of(inputs, part)
        calm[part], at_s = traffic.peak_rate(window_s)
        visitors[part], visitors_at_s[part] = traffic.peak_visitors()
        peaks[part] = _with_gusts(traffic, inputs, part, calm[part], at_s, window_s)
    ratio = _multiple_over_funnel(plan, inputs)
    scale = np.ones(draws) if ratio is None else np.where(inputs.take_multiple, ratio, 1.0)
    return Outcome(
        visits=np.sum(list(_coming(inputs).values()), axis=0),
        calm=calm,
        peak=peaks,
        visitors=visitors,
        visitors_at_s=visitors_at_s,
        ratio=ratio,
        scale=scale,
    )


def combined_peak(plan: Plan, inputs: Inputs) -> Floats:
    """Return the peak of each draw by both estimates together, in requests/s."""
    outcome = follow(plan, inputs)
    return outcome.peak * outcome.scale


def most_orders_per_min(inputs: Inputs, draws: int) -> Floats | None:
    """Return the orders of the busiest minute, by the funnel, of the first ``draws`` draws.

    Everyone who comes stays equally long in one draw, so that the orders follow the visits at a
    constant distance. None where the plan does not say how many visits make an order.
    """
    if inputs.conversion is None:
        return None
    most = np.empty(draws)
    for part in _parts(draws):
        coming = traffic_of(inputs, part, early=False)
        most[part] = coming.peak_begun(_MINUTE_S)
    return most * inputs.conversion[:draws]


def traffic_of(inputs: Inputs, part: slice, *, early: bool = True) -> Traffic:
    """Return the draws of ``part``, with or without those who look in before the start."""
    visits = inputs.visits if early else _coming(inputs)
    curves = {name: inputs.curves[name] for name in visits}
    requests = (inputs.first_requests, inputs.later_requests)
    return chunk(visits, curves, requests, inputs.visit_s, part)


def window_of(plan: Plan) -> float:
    """Return the window over which a peak is averaged, in seconds."""
    return max(plan.policy.window, SHORTEST_S)


def _coming(inputs: Inputs) -> dict[str, Floats]:
    return {name: n for name, n in inputs.visits.items() if name not in inputs.early}


def _parts(draws: int) -> list[slice]:
    return [slice(start, min(start + _CHUNK, draws)) for start in range(0, draws, _CHUNK)]


def _with_gusts(
    traffic: Traffic, inputs: Inputs, part: slice, calm: Floats, at_s: Floats, window_s: float
) -> Floats:
    if not inputs.gusts[part].any():
        return calm
    around = traffic.rate(at_s[:, None] + window_s * AWAY_IN_WINDOWS, window_s)
    return gusty(calm, around, inputs.gusts[part], inputs.luck[part])


def begun_within(inputs: Inputs, within_s: float) -> dict[str, Floats]:
    """Return the visits of each channel that begin within so many seconds of the start."""
    edges = np.array([[0.0, within_s]])
    coming = traffic_of(inputs, slice(None), early=False)
    begun = {
        name: np.broadcast_to(visits * coming.curves[name].begun(edges), (len(visits), 2))
        for name, visits in coming.visits.items()
    }
    return {name: shares[:, 1] - shares[:, 0] for name, shares in begun.items()}


def _multiple_over_funnel(plan: Plan, inputs: Inputs) -> Floats | None:
    """Return how many times the funnel's visits the multiple expects.

    The top-down number counts the visits within its own window, so it is compared with what the
    funnel brings in that window.
    """
    if inputs.multiple_visits is None or plan.usual is None or not plan.audience:
        return None
    begun = np.sum(list(begun_within(inputs, plan.usual.within).values()), axis=0)
    # a curve of the user's own may bring nobody within the window
    return np.asarray(inputs.multiple_visits / np.maximum(begun, _LEAST_VISITS))
