"""What a report needs to recompute the peak and the risk by itself, at other inputs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from capplan.results.basis import Basis

Floats = NDArray[np.float64]

_LEVELS = 161
_FARTHEST_SD = 3.8  # as far as the fleet's own values reach
_MOST = 400


@dataclass(frozen=True)
class Correction:
    """What ``sales`` earlier ones do to the peaks: see ``capplan/estimate/history.py``.

    ``squares`` is what their outcomes add to the variance's numerator, ``prior`` how many sales the
    range of the plan counts as, and ``least_sd`` how far it spreads as a prior, in logs, at least.
    """

    shift: float
    sales: int
    prior: int
    squares: float
    least_sd: float


@dataclass(frozen=True)
class WhatIf:
    """Draws of the peak, in parts that other inputs only rescale.

    Each stands for ``weights`` (draws,) of all. ``rates_rps`` has the shape (draws, times,
    channels): what each channel sends at those times of a draw at which the sum may be highest.
    ``begun`` (draws, channels) are the visits that the second estimate is compared with,
    ``multiple`` (draws,) those that it expects; 0 in draws that the first decides, and None without
    a second one. ``gusts`` (draws,) is what gusts make of the
    peak, ``noise`` (draws,) a standard normal for ``correction``, ``per_visit`` (draws,) the
    requests of a visit.
    """

    channels: tuple[str, ...]
    weights: Floats
    rates_rps: Floats
    begun: Floats | None
    multiple: Floats | None
    gusts: Floats
    noise: Floats
    per_visit: Floats
    correction: Correction | None


@dataclass(frozen=True)
class FleetTable:
    """What fleets of 1, 2, 3 … servers sustain: quantiles, (counts, levels), at ``probabilities``.

    ``peaks_rps`` are the equally likely peaks with which the plan's fleet is compared, and
    ``resolution`` the smallest probability that they can tell from none. ``price_usd_per_h`` is
    that of one server, ``hours`` how long the fleet runs.
    ``measured_per_visit`` are the requests of a visit by which peak and fleet are compared in
    visits/s; None where they are compared in requests/s.
    """

    rates_rps: Floats
    probabilities: Floats
    peaks_rps: Floats
    resolution: float
    price_usd_per_h: float
    hours: float
    measured_per_visit: float | None


def fleet_table(found: Basis, chosen: int) -> FleetTable:
    """Tabulate the fleets around the chosen one, as far as their scaling is known."""
    today = found.plan.servers.today
    most = min(max(4 * chosen, 4 * today, 20), found.most or _MOST, _MOST)
    u = ndtr(np.linspace(-_FARTHEST_SD, _FARTHEST_SD, _LEVELS))
    rows = [np.quantile(found.fleet.rates(n), u, method="hazen") for n in range(1, most + 1)]
    return FleetTable(
        rates_rps=np.array(rows),
        probabilities=u,
        peaks_rps=found.peaks.values_rps,
        resolution=found.peaks.resolution,
        price_usd_per_h=found.plan.servers.usd_per_h,
        hours=found.window.hours,
        measured_per_visit=found.peaks.per_visit if found.peaks.in_visits else None,
    )
