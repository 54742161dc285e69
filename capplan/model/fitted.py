"""A server that behaves as the measured one: how many slots, how long each request takes.

Two things are known: how long a request takes when nobody else asks, and the rate at which the SLA
is just kept. A queue M/M/c with service time S has both: c from the first, S from the second.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from capplan.model.queueing import mmc_sojourn_quantile_s, mmc_sustained_rps
from capplan.model.roots import root


@dataclass(frozen=True, slots=True)
class Fitted:
    """One server: ``slots`` requests at once, each ``service_s`` seconds long on average."""

    slots: int
    service_s: float

    @property
    def capacity_rps(self) -> float:
        """What it finishes when it is always busy, μ = c/S; within the SLA it is less."""
        return self.slots / self.service_s

    def latency_s(self, rate_rps: float, quantile: float) -> float:
        """Return a percentile of its latency at a rate."""
        return mmc_sojourn_quantile_s(self.slots, rate_rps, self.service_s, quantile)


def fit(sustained_rps: float, idle_s: float, limits: Sequence[tuple[float, float]]) -> Fitted:
    """Return the server that sustains a rate within ``limits``, pairs (quantile, seconds).

    c is the number of slots with which a service of ``idle_s`` seconds comes nearest; S is then the
    service time with which it sustains exactly the rate. An idle latency that misses a limit by
    itself is taken as a tenth of the tightest one.

    >>> server = fit(283.0, 0.0056, [(0.95, 0.3)])
    >>> server.slots, round(server.capacity_rps)
    (2, 293)
    """
    tightest_s = min((limit_s for _, limit_s in limits), default=1.0)
    quantiles = list(limits) or [(0.5, tightest_s)]

    def sustained(slots: int, service_s: float) -> float:
        return min(mmc_sustained_rps(slots, service_s, q, limit_s) for q, limit_s in quantiles)

    if sustained(1, idle_s) <= 0:
        idle_s = tightest_s / 10
    slots = max(1, math.floor(sustained_rps * idle_s))
    while sustained(slots, idle_s) < sustained_rps:
        slots += max(1, slots // 64)
    below = sustained(slots - 1, idle_s) if slots > 1 else 0.0
    if below > 0 and sustained_rps / below < sustained(slots, idle_s) / sustained_rps:
        slots -= 1

    def excess(log_service: float) -> float:
        return sustained(slots, math.exp(log_service)) - sustained_rps

    low = math.log(idle_s) - 5
    high = math.log(slots / sustained_rps)  # there the server would be always busy
    service_s = math.exp(root(excess, low, high, xtol=1e-10))
    return Fitted(slots, service_s)
