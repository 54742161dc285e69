"""The draws of a forecast in a form that other inputs only rescale.

A few draws stand for all: those whose peaks are evenly spaced in rank, so that they have the same
quantiles. Each is reduced to what every channel sends at a few times of its own: those at which the
sum is highest as planned, with each channel alone, and with each channel four times as strong. For
other strengths of the channels, the largest weighted sum over these times is the peak.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from capplan.estimate.demand import Forecast
from capplan.estimate.follow import begun_within, traffic_of, window_of
from capplan.estimate.history import PRIOR_SALES, PRIOR_SD, Learned
from capplan.estimate.inputs import Inputs
from capplan.estimate.traffic import Traffic
from capplan.results.whatif import Correction, WhatIf

Floats = NDArray[np.float64]

DRAWS = 10_000
_NUMBERS = 360_000  # one megabyte: half of what a report may have
_STRONG = 4.0


def what_if(found: Forecast) -> WhatIf:
    """Reduce a forecast to what a report can recompute."""
    channels = len(_groups(found.inputs))
    fits = _NUMBERS // (channels * (1 + 2 * channels))
    chosen = _even_in_rank(found.peak, found.inputs.take_multiple, min(DRAWS, fits))
    inputs, outcome = found.inputs.only(chosen), found.outcome
    window_s = window_of(found.plan)
    traffic = traffic_of(inputs, slice(None))
    groups = _groups(inputs)
    alone = {name: _with(traffic, dict.fromkeys(parts, 1.0)) for name, parts in groups.items()}
    at_s = [traffic.peak_rate(window_s)[1]]
    if len(groups) > 1:
        everyone = dict.fromkeys(traffic.visits, 1.0)
        for name, parts in groups.items():
            stronger = _with(traffic, everyone | dict.fromkeys(parts, _STRONG))
            at_s += [t.peak_rate(window_s)[1] for t in (alone[name], stronger)]
    times = np.stack(at_s, axis=1)
    begun = multiple = None
    usual = found.plan.usual
    if inputs.multiple_visits is not None and usual is not None and found.plan.audience:
        within = begun_within(inputs, usual.within)
        begun = np.stack([within[name] for name in groups], axis=1)
        multiple = np.where(inputs.take_multiple, inputs.multiple_visits, 0.0)
    return WhatIf(
        channels=tuple(groups),
        rates_rps=np.stack([part.rate(times, window_s) for part in alone.values()], axis=2),
        begun=begun,
        multiple=multiple,
        gusts=outcome.peak[chosen] / outcome.calm[chosen],
        noise=found.noise[chosen],
        per_visit=inputs.first_requests + inputs.later_requests,
        correction=_correction(found.learned),
    )


def _correction(learned: Learned | None) -> Correction | None:
    if learned is None:
        return None
    total, k = PRIOR_SALES + learned.sales, PRIOR_SALES
    prior_sd = max(learned.range_sd, PRIOR_SD)
    squares = learned.sd**2 * total / (1 + 1 / total) - k * prior_sd**2 / (1 + 1 / k)
    return Correction(learned.shift, learned.sales, k, squares, PRIOR_SD)


def _even_in_rank(peak: Floats, kinds: NDArray[np.bool_], count: int) -> NDArray[np.int_]:
    """Choose draws whose ranks are even within each kind, and as many of each kind as there are.

    Without the kinds, the median of two estimates that disagree would hang on how many of each were
    chosen by chance.
    """
    step = max(len(peak) / count, 1.0)
    order = np.lexsort((peak, kinds))
    return np.asarray(order[np.arange(step / 2, len(peak), step).astype(int)])


def _groups(inputs: Inputs) -> dict[str, list[str]]:
    """Return the names of each channel's visits: its own, and of those who look in early."""
    coming = [name for name in inputs.visits if name not in inputs.early]
    early = {name.removesuffix(", early"): name for name in inputs.early}
    return {name: [name, *([early[name]] if name in early else [])] for name in coming}


def _with(traffic: Traffic, strength: dict[str, float]) -> Traffic:
    visits = {name: traffic.visits[name] * factor for name, factor in strength.items()}
    return replace(traffic, visits=visits, curves={name: traffic.curves[name] for name in visits})
