"""The draws of a forecast in a form that other inputs only rescale.

A few draws stand for all, the highest peaks more often than others, because a risk of 1 % hangs on
a hundredth of them: a draw whose peak exceeds the share u of all is taken with a probability that
grows as (1 - u)^(-1/3), and counts inversely. Between these, ranks are even.

Each is reduced to what every channel sends at three times of its own. They are chosen from those at
which the sum is highest as planned, with each channel alone, and with each channel four times as
strong, such that for channels of any strength the largest weighted sum over the three is as near to
the peak as can be: within 0.1 % in the mean.
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
from capplan.model.streams import stream
from capplan.results.whatif import Correction, WhatIf

Floats = NDArray[np.float64]

DRAWS = 20_000
_NUMBERS = 400_000  # a good megabyte: half of what a report may have
_OTHERS = 4  # of a draw besides what is per channel: gusts, noise, multiple, requests of a visit
_TIMES = 3
_SEARCHES = 8
_PILOT = 400
_STRONG = 4.0
_OFTENER = 1 / 3
_TRIED = 48
_NOTHING = 1e-300
_FARTHEST = np.log(4.0)


def what_if(found: Forecast) -> WhatIf:
    """Reduce a forecast to what a report can recompute."""
    groups = _groups(found.inputs)
    per_draw = len(groups) * (_TIMES + (found.inputs.multiple_visits is not None)) + _OTHERS
    chosen, weights = _chosen(
        found.peak, found.inputs.take_multiple, min(DRAWS, _NUMBERS // per_draw)
    )
    inputs, outcome = found.inputs.only(chosen), found.outcome
    begun = multiple = None
    usual = found.plan.usual
    if inputs.multiple_visits is not None and usual is not None and found.plan.audience:
        within = begun_within(inputs, usual.within)
        begun = np.stack([within[name] for name in groups], axis=1)
        multiple = np.where(inputs.take_multiple, inputs.multiple_visits, 0.0)
    return WhatIf(
        channels=tuple(groups),
        weights=weights,
        rates_rps=_rates(inputs, window_of(found.plan)),
        begun=begun,
        multiple=multiple,
        gusts=outcome.peak[chosen] / outcome.calm[chosen],
        noise=found.noise[chosen],
        per_visit=inputs.first_requests + inputs.later_requests,
        correction=_correction(found.learned),
    )


def _chosen(peak: Floats, kinds: NDArray[np.bool_], count: int) -> tuple[NDArray[np.int_], Floats]:
    """Choose about ``count`` draws, and say for how many draws each of them stands.

    Systematic sampling, in the order of the peaks within each kind. Without the kinds, the median
    of two estimates that disagree would hang on how many of each were chosen by chance.
    """
    if count >= len(peak):
        return np.arange(len(peak)), np.ones(len(peak))
    above = np.empty(len(peak))
    above[np.argsort(-peak, kind="stable")] = (np.arange(len(peak)) + 0.5) / len(peak)
    often = above**-_OFTENER
    share = np.minimum(count * often / often.sum(), 1.0)
    order = np.lexsort((peak, kinds))
    passed = np.floor(np.cumsum(share[order]) + 0.5)
    taken = order[np.diff(passed, prepend=0.0) > 0]
    return taken, 1 / share[taken]


def _rates(inputs: Inputs, window_s: float) -> Floats:
    """Return what each channel sends at a few times of each draw: (draws, times, channels)."""
    groups = _groups(inputs)
    strengths = [dict.fromkeys(inputs.visits, 1.0)]
    if len(groups) > 1:
        strengths += [dict.fromkeys(parts, 1.0) for parts in groups.values()]
        strengths += [strengths[0] | dict.fromkeys(parts, _STRONG) for parts in groups.values()]
    if len(strengths) > _SEARCHES:
        step = max(len(inputs.visit_s) // _PILOT, 1)
        pilot = _at_peaks(inputs.only(slice(None, None, step)), strengths, window_s)
        strengths = [strengths[i] for i in _telling(pilot, _SEARCHES, together=True)[0]]
    rates = _at_peaks(inputs, strengths, window_s)
    kept = _telling(rates, min(_TIMES, len(strengths)))
    return rates[np.arange(len(rates))[:, None], kept]


def _at_peaks(inputs: Inputs, strengths: list[dict[str, float]], window_s: float) -> Floats:
    """Return what each channel sends when the sum is highest, for each set of strengths."""
    traffic = traffic_of(inputs, slice(None))
    times = [_with(traffic, strength).peak_rate(window_s)[1] for strength in strengths]
    alone = [_with(traffic, dict.fromkeys(names, 1.0)) for names in _groups(inputs).values()]
    return np.stack([part.rate(np.stack(times, axis=1), window_s) for part in alone], axis=2)


def _telling(rates: Floats, count: int, *, together: bool = False) -> NDArray[np.int_]:
    """Return which ``count`` times of each draw tell its peak best: (draws, count).

    One after the other: next comes the one that adds most to the mean of found peak / true peak,
    over channels of some strengths; ``together`` the same for all draws.
    """
    uneven = stream(0, "what-if.strengths").uniform(-1.0, 1.0, (_TRIED, rates.shape[2]))
    sums = np.einsum("dtc,sc->dts", rates, np.exp(_FARTHEST * uneven), optimize=True)
    sums /= np.maximum(sums.max(axis=1, keepdims=True), _NOTHING)
    known, every = np.zeros_like(sums[:, 0]), np.arange(len(sums))
    kept = []
    for _ in range(count):
        gain = np.maximum(known[:, None], sums).mean(axis=2)
        best = gain.argmax(axis=1)
        kept.append(np.full_like(best, gain.mean(axis=0).argmax()) if together else best)
        known = np.maximum(known, sums[every, kept[-1]])
    return np.stack(kept, axis=1)


def _correction(learned: Learned | None) -> Correction | None:
    if learned is None:
        return None
    total, k = PRIOR_SALES + learned.sales, PRIOR_SALES
    prior_sd = max(learned.range_sd, PRIOR_SD)
    squares = learned.sd**2 * total / (1 + 1 / total) - k * prior_sd**2 / (1 + 1 / k)
    return Correction(learned.shift, learned.sales, k, squares, PRIOR_SD)


def _groups(inputs: Inputs) -> dict[str, list[str]]:
    """Return the names of each channel's visits: its own, and of those who look in early."""
    coming = [name for name in inputs.visits if name not in inputs.early]
    early = {name.removesuffix(", early"): name for name in inputs.early}
    return {name: [name, *([early[name]] if name in early else [])] for name in coming}


def _with(traffic: Traffic, strength: dict[str, float]) -> Traffic:
    visits = {name: traffic.visits[name] * factor for name, factor in strength.items()}
    return replace(traffic, visits=visits, curves={name: traffic.curves[name] for name in visits})
