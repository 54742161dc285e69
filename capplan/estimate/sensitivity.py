"""Which input makes the peak uncertain, and what to find out first."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from capplan.estimate.follow import combined_peak
from capplan.estimate.inputs import ALIKE, WHICH, Inputs, draw_by
from capplan.model.sobol import Sample, sobol_indices
from capplan.model.streams import stream
from capplan.model.tabulated import Table
from capplan.plan.schema import Plan
from capplan.results.demand import Sensitivity

Floats = NDArray[np.float64]

_LEAST = 0.005
_MOST_POINTS, _LEAST_POINTS = 1024, 8
_DRAWS_PER_POINT = 4  # a quick estimate has a quick sensitivity

_ADVICE = {
    ALIKE: "look up how the channels did at earlier sales: together, or each for itself",
    WHICH: "find out why the two estimates differ",
    "overlap": "count who is reached by several channels",
    "usual.orders_per_day": "look up the orders of ordinary days",
    "usual.multiple": "look up how many times the usual orders came at earlier sales",
    "usual.conversion": "find out the conversion at earlier sales",
    "visit.requests": "count the requests of a visit in your access logs",
    "visit.first_page": "count the requests of the first page in your access logs",
    "visit.duration": "look up how long a visit lasts",
}
_CHANNEL_ADVICE = {
    "visits": "find out the {} click rate",
    "reach": "count how many people {} reaches",
    "early": "look up how many of {} come early, at an earlier sale",
}
_TIMING = "look up how fast {} comes, in the logs of an earlier sale"


def sensitivity(
    plan: Plan, inputs: Inputs, seed: int, tables: Mapping[str, Table]
) -> tuple[Sensitivity, ...]:
    """Return which share of the variance of ln(peak) each input explains, the largest first.

    The logarithm, because every range is a factor up and down. What moves all channels together is
    an input of its own, and the gusts are one: so all inputs are independent.
    """
    points = min(max(len(inputs.visit_s) // _DRAWS_PER_POINT, _LEAST_POINTS), _MOST_POINTS)
    power = int(np.log2(points))
    middle = np.full(2**power, 0.5)

    def model(sample: Sample) -> Floats:
        drawn = draw_by(plan, lambda name: sample.get(name, middle), len(middle), tables)
        return np.asarray(np.log(combined_peak(plan, drawn)))

    found = sobol_indices(model, inputs.behind, power, stream(seed, "sensitivity"))
    ordered = sorted(found.items(), key=lambda entry: (-entry[1].total, entry[0]))
    return tuple(
        Sensitivity(input=name, share=entry.first, total=entry.total, advice=advice(plan, name))
        for name, entry in ordered
        if entry.total >= _LEAST
    )


def advice(plan: Plan, name: str) -> str:
    """Say in words how to learn more of an input; empty for what nobody can know before."""
    if name in _ADVICE:
        return _ADVICE[name]
    for channel in sorted((c.channel for c in plan.audience), key=len, reverse=True):
        if name.startswith(f"{channel}: "):
            key = name.removeprefix(f"{channel}: ")
            return _CHANNEL_ADVICE.get(key, _TIMING).format(channel)
    return ""
