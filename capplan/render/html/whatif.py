"""The what-if panel: its sliders, and the numbers behind it as the page's script reads them.

Arrays are packed as 16-bit integers on a logarithmic scale: to within 0.02 % over any span that a
forecast has, and a fifth of the size of digits.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from capplan.plan.schema import Plan
from capplan.render.contents import Contents
from capplan.results.demand import Demand
from capplan.results.recommendation import Recommendation
from capplan.results.whatif import FleetTable, WhatIf
from capplan.units import format_count

Floats = NDArray[np.float64]

_STEPS = 65_534
_FARTHEST = 1e-9  # of the largest value: what is smaller counts as nothing


@dataclass(frozen=True)
class Slider:
    """A number that the reader may move."""

    name: str
    label: str
    detail: str
    low: float
    high: float
    step: float
    value: float
    kind: str


def packed(values: Floats) -> dict[str, Any]:
    """Pack an array of any shape: 0 stands for 0, n for exp(low + (n - 1)·step).

    >>> packed(np.array([0.0, 1.0, 10.0]))["shape"]
    [3]
    """
    largest = float(values.max()) or 1.0
    counted = values > largest * _FARTHEST
    low = float(np.log(values[counted].min())) if counted.any() else 0.0
    step = (np.log(largest) - low) / _STEPS or 1.0
    codes = np.zeros(values.shape, dtype="<u2")
    codes[counted] = np.rint((np.log(values[counted]) - low) / step) + 1
    text = base64.b64encode(codes.tobytes()).decode("ascii")
    return {"shape": list(values.shape), "low": low, "step": step, "codes": text}


def sliders(found: Contents) -> Iterator[Slider]:
    """Give the numbers of the forecast that may be moved, and those of the decision."""
    reach = {c.channel: c for c in found.plan.audience}
    for index, channel in enumerate(found.draws.channels):
        known = reach.get(channel)
        said = ""
        if known:
            said = f"{format_count(known.reach.low)} to {format_count(known.reach.high)} reached"
            if known.reach.certain:
                said = f"{format_count(known.reach.low)} reached"
        yield _factor(f"channel{index}", f"visits from {channel}", said)
    if found.draws.multiple is not None:
        yield _factor("usual", "usual orders × multiple", "the second estimate")
    yield _factor("requests", "requests per visit", "the first page included")
    if found.advice is None or found.fleets is None:
        return
    servers, price = found.advice.servers, found.fleets.price_usd_per_h
    yield Slider("servers", "servers", "", 1, len(found.fleets.rates_rps), 1, servers, "count")
    if price:
        yield Slider("price", "price", "per server and hour", 0, 4 * price, price / 100, price,
                      "money")  # fmt: skip
    risk = round(math.log10(max(found.plan.policy.overload_risk, 1e-4)), 4)
    yield Slider("risk", "accepted risk", "of an overload", -4, -0.3, 0.0001, risk, "risk")


def _factor(name: str, label: str, detail: str) -> Slider:
    return Slider(name, label, detail, -0.6, 0.6, 0.01, 0, "factor")


def panel_data(
    draws: WhatIf,
    fleets: FleetTable | None,
    plan: Plan,
    demand: Demand,
    advice: Recommendation | None,
) -> dict[str, Any]:
    """Return everything that the script needs, ready for JSON.

    The quantiles of all draws at the plan's own values are among it: by them the script corrects
    what the fewer draws that it has are off.
    """
    correction = draws.correction
    return {
        "channels": list(draws.channels),
        "weights": packed(draws.weights),
        "rates": packed(draws.rates_rps),
        "peaks": packed(np.sort(demand.peak_quantiles_rps)),
        "begun": None if draws.begun is None else packed(draws.begun),
        "multiple": None if draws.multiple is None else packed(draws.multiple),
        "gusts": packed(draws.gusts),
        "noise": packed(np.exp(draws.noise)) if correction else None,
        "history": asdict(correction) if correction else None,
        "perVisit": packed(draws.per_visit) if fleets and fleets.measured_per_visit else None,
        "measuredPerVisit": fleets.measured_per_visit if fleets else None,
        "fleets": None if fleets is None else packed(fleets.rates_rps),
        "levels": None if fleets is None else [float(f"{u:.6g}") for u in fleets.probabilities],
        "comparedPeaks": None if fleets is None else packed(fleets.peaks_rps),
        "resolution": None if fleets is None else fleets.resolution,
        "servers": advice.servers if advice else None,
        "zones": plan.servers.zones,
        "hours": fleets.hours if fleets and fleets.price_usd_per_h else None,
        "price": fleets.price_usd_per_h if fleets else 0.0,
        "risk": plan.policy.overload_risk,
        "zoneRisk": plan.policy.zone_loss_risk,
    }
