"""The risk of too small a fleet: P(peak > what the fleet sustains), both uncertain.

The rate that one server sustains is a split lognormal through its measured low, middle and high
end. Its error is one draw shared by all servers: they are alike, so it does not average out. A
fleet of N carries

    N · server · speed · (1 - imbalance) · (1 - scaling loss, for N > 1)
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri
from scipy.stats import qmc

from capplan.model.uncertainty import quantile
from capplan.units import Range

Floats = NDArray[np.float64]

_POINTS = 13  # 2^13 quasi-random points: far finer than the 1/4000 of the peak's quantiles
_SHAPE_STEPS = 400
_LOSS_SAMPLE = 256


@dataclass(frozen=True, slots=True)
class ServerRate:
    """What one server sustains, in requests/s: an interval of the given ``confidence``."""

    low: float
    mid: float
    high: float
    confidence: float

    def quantile(self, u: Floats) -> Floats:
        """Return the quantiles of a lognormal with its own spread on each side of the middle."""
        z = ndtri(u)
        reach = float(ndtri(0.5 + self.confidence / 2))
        below, above = math.log(self.mid / self.low), math.log(self.high / self.mid)
        return np.asarray(self.mid * np.exp(z / reach * np.where(z < 0, below, above)))


@dataclass(frozen=True, slots=True)
class FleetModel:
    """A fleet of any size. Ranges are 90 % intervals; shares are lost, ``speed`` is a factor."""

    server: ServerRate
    speed: Range
    imbalance: Range
    scaling_loss: Range
    _one: Floats = field(init=False, repr=False)
    _of_many: Floats = field(init=False, repr=False)

    def __post_init__(self) -> None:
        u = _quasi_random(4)
        one = self.server.quantile(u[0]) * quantile(self.speed, "amount", u[1])
        kept = 1 - quantile(self.scaling_loss, "share", u[3])
        many = one * (1 - quantile(self.imbalance, "share", u[2])) * kept
        object.__setattr__(self, "_one", np.sort(one))
        object.__setattr__(self, "_of_many", np.sort(many))

    def rates(self, servers: int) -> Floats:
        """Return equally likely values of what the fleet sustains, sorted, in requests/s."""
        return self._one if servers == 1 else servers * self._of_many


def overload_probability(peaks_rps: Floats, fleet_rps: Floats) -> float:
    """Return P(peak > fleet) of two independent quantities, each given by equally likely values.

    ``peaks_rps`` must be sorted. The result is at least half a value of ``peaks_rps``: what lies
    beyond the largest of n values is not known to be less likely than that.
    """
    if not len(fleet_rps) or fleet_rps[-1] <= 0:
        return 1.0
    count = len(peaks_rps)
    # between two quantiles the distribution is taken as even, so the risk has no steps
    cumulative = (np.arange(count) + 0.5) / count
    below = np.interp(fleet_rps, peaks_rps, cumulative, left=0.0, right=1.0)
    return max(float(1 - below.mean()), 0.5 / count)


def left_after_zone_loss(servers: int, zones: int) -> int:
    """Return how many servers are left when the fullest of ``zones`` zones is lost.

    >>> left_after_zone_loss(10, 3)
    6
    """
    return servers - math.ceil(servers / zones)


def expected_excess(t_s: Floats, shape: Floats, peaks_rps: Floats, fleet_rps: Floats) -> float:
    """Return the expected number of requests above what the fleet sustains.

    ``shape`` is the demand over ``t_s`` seconds, scaled to each possible peak; what exceeds the
    fleet is shed, the rest is served.
    """
    relative = shape / shape.max()
    levels = np.linspace(0.0, 1.0, _SHAPE_STEPS)
    over = np.maximum(relative[None, :] - levels[:, None], 0.0)
    seconds = np.trapezoid(over, t_s, axis=1)
    peaks = _thin(peaks_rps)[:, None]
    fleets = _thin(fleet_rps)[None, :]
    return float((peaks * np.interp(fleets / peaks, levels, seconds)).mean())


def _thin(values: Floats) -> Floats:
    return np.asarray(np.quantile(values, (np.arange(_LOSS_SAMPLE) + 0.5) / _LOSS_SAMPLE))


def _quasi_random(dimensions: int) -> Floats:
    """Return Sobol' points as columns, shifted off the border of the unit cube."""
    points = qmc.Sobol(dimensions, scramble=False).random_base2(_POINTS)
    return np.asarray((points + 0.5 / 2**_POINTS).T)
