"""The numbers behind the what-if panel, as the page's script reads them.

Arrays are packed as 16-bit integers on a logarithmic scale: to within 0.02 % over any span that a
forecast has, and a fifth of the size of digits.
"""

from __future__ import annotations

import base64
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from capplan.plan.schema import Plan
from capplan.results.demand import Demand
from capplan.results.recommendation import Recommendation
from capplan.results.whatif import FleetTable, WhatIf

Floats = NDArray[np.float64]

_STEPS = 65_534
_FARTHEST = 1e-9  # of the largest value: what is smaller counts as nothing


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
