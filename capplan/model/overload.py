"""The risk of too small a fleet: P(peak > what the fleet sustains), both uncertain.

The rate that one server sustains is a split lognormal through its measured low, middle and high
end. Its error is one draw shared by all servers: they are alike, so it does not average out. A
fleet of N > 1 servers carries

    X(N) = C · s · max(1, N · (1 - b) · (1 - l))

with C the rate of one server in requests/s, s its relative speed, b the imbalance of the load
balancer and l the scaling loss, each its own independent variable. A single server has neither
imbalance nor scaling loss, and a fleet is never worth less than one of its servers.

Where a scaling law was measured it takes the place of C, b and l: the fleet carries

    X(N) = s · L(N)

with L one of the equally likely laws. Its runs went through a balancer, so what that loses is in
them. Laws that are not identified end at the largest N measured,
N'. From there on L(N') is counted, or, where the plan vouches for its scaling loss, the larger of
that and L(N')·N/N'·(1 - l).

Nothing here is random: the four variables take the points of one quasi-random set, the same for
every N, so that more servers never raise the risk.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from capplan.model.quasirandom import sobol
from capplan.model.scalability import Laws
from capplan.model.uncertainty import quantile
from capplan.units import Range

Floats = NDArray[np.float64]

_POINTS = 13  # 2^13 quasi-random points: a probability of 1% is then right within 0.01%


@dataclass(frozen=True, slots=True)
class ServerRate:
    """What one server sustains, in requests/s: an interval of the given ``confidence``."""

    low: float
    mid: float
    high: float
    confidence: float

    def quantile(self, u: Floats) -> Floats:
        """Return the quantiles of a lognormal with its own spread on each side of the middle.

        >>> ServerRate(350, 400, 420, 0.9).quantile(np.array([0.05, 0.5, 0.95])).round().tolist()
        [350.0, 400.0, 420.0]
        """
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
    laws: Laws | None = None
    vouched: bool = False
    """Whether the plan's scaling loss may be used beyond the reach of the laws."""
    _one: Floats = field(init=False, repr=False)
    _balanced: Floats = field(init=False, repr=False)
    _scaled: Floats = field(init=False, repr=False)
    _drawn: Laws | None = field(init=False, repr=False)

    def __post_init__(self) -> None:
        u = sobol(4, _POINTS)
        speed = quantile(self.speed, "amount", u[1])
        drawn = self.laws.at(u[0]) if self.laws else None
        one = self.server.quantile(u[0]) if drawn is None else drawn.throughput(1)
        object.__setattr__(self, "_one", one * speed)
        object.__setattr__(self, "_balanced", 1 - quantile(self.imbalance, "share", u[2]))
        object.__setattr__(self, "_scaled", 1 - quantile(self.scaling_loss, "share", u[3]))
        object.__setattr__(self, "_drawn", drawn and drawn.faster(speed))

    def rates(self, servers: int) -> Floats:
        """Return equally likely values of what the fleet sustains, sorted, in requests/s."""
        if servers < 1:
            return np.zeros_like(self._one)
        if servers == 1:
            return np.sort(self._one)
        if self._drawn is None:
            worth = np.maximum(1.0, servers * self._balanced * self._scaled)
            return np.sort(self._one * worth)
        return np.sort(self._together(self._drawn, servers))

    def _together(self, laws: Laws, servers: int) -> Floats:
        """Return what the laws say of so many servers, or what they still say before they end."""
        if servers <= laws.reach:
            return laws.rising(servers)
        if laws.peak_servers is not None:
            return laws.throughput(servers)  # past the peak
        known = laws.rising(math.floor(laws.reach))
        more = servers / laws.reach * self._scaled if self.vouched else 1.0
        return known * np.maximum(1.0, more)


def overload_probability(peaks_rps: Floats, fleet_rps: Floats) -> float:
    """Return P(peak > fleet) of two independent quantities, each given by equally likely values.

    ``peaks_rps``, sorted, are n quantiles at the probabilities (i + 0.5)/n; between two of them the
    distribution is taken as even. What lies beyond the largest is not counted: the result may be
    0.5/n too small.

    >>> overload_probability(np.array([100.0, 200.0, 300.0, 400.0]), np.array([250.0]))
    0.5
    """
    count = len(peaks_rps)
    cumulative = (np.arange(count) + 0.5) / count
    below = np.interp(fleet_rps, peaks_rps, cumulative, left=0.0, right=1.0)
    return float(np.clip(1 - below.mean(), 0.0, 1.0))


def left_after_zone_loss(servers: int, zones: int) -> int:
    """Return how many servers are left when the fullest of ``zones`` zones is lost.

    >>> left_after_zone_loss(10, 3)
    6
    """
    return servers - math.ceil(servers / zones)
