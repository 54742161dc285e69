"""The G/G/c queue, first come first served, in virtual time.

The recursion of J. Kiefer and J. Wolfowitz (1955) in its simplest form: an arrival is served by the
server that is free first, at once or when that server gets free. Nothing ticks; one step per
arrival gives its finish exactly. The reference server answers real requests by the same recursion,
so what it truly sustains is what :func:`sustained_rate` says here.
"""

from __future__ import annotations

import heapq
import math
from dataclasses import dataclass

import numpy as np

from capplan.model.queueing import mmc_sustained_rps
from capplan.model.roots import root
from capplan.model.service_time import Exponential, FloatArray, ServiceTime


class Slots:
    """``slots`` equal servers with one queue, one arrival at a time; arrivals come in order."""

    def __init__(self, slots: int) -> None:
        _check_slots(slots)
        self._free_at_s = [-math.inf] * slots

    def arrive(self, now_s: float, service_s: float) -> float:
        """Admit a request that needs ``service_s`` and return the time at which it is finished.

        >>> slots = Slots(1)
        >>> slots.arrive(0.0, 2.0), slots.arrive(1.0, 2.0), slots.arrive(9.0, 2.0)
        (2.0, 4.0, 11.0)
        """
        finish_s = max(now_s, self._free_at_s[0]) + service_s
        heapq.heapreplace(self._free_at_s, finish_s)
        return finish_s

    @property
    def next_free_s(self) -> float:
        """When the next arrival could begin to be served."""
        return self._free_at_s[0]


@dataclass(frozen=True, slots=True)
class SustainedRate:
    """The largest Poisson arrival rate at which a latency limit holds in steady state.

    ``stderr_rps`` is the standard error of a simulated rate, and 0 for an exact one.
    """

    rate_rps: float
    stderr_rps: float


def fifo_sojourns_s(arrivals_s: FloatArray, services_s: FloatArray, slots: int) -> FloatArray:
    """Return wait plus service in seconds of each arrival; ``arrivals_s`` must not decrease.

    >>> fifo_sojourns_s(np.array([0.0, 1.0, 9.0]), np.array([2.0, 2.0, 2.0]), 1).tolist()
    [2.0, 3.0, 2.0]
    """
    _check_slots(slots)
    free_at_s = [-math.inf] * slots
    replace = heapq.heapreplace
    finishes_s = []
    # Slots.arrive without its call: three times as fast, and a truth takes ten million arrivals
    for now_s, service_s in zip(arrivals_s.tolist(), services_s.tolist(), strict=True):
        free_s = free_at_s[0]
        finish_s = (free_s if free_s > now_s else now_s) + service_s
        replace(free_at_s, finish_s)
        finishes_s.append(finish_s)
    return np.array(finishes_s) - arrivals_s


def sustained_rate(
    service: ServiceTime, slots: int, quantile: float, limit_s: float, seed: int = 0
) -> SustainedRate:
    """Return the largest rate at which the latency ``quantile`` stays within ``limit_s``.

    Exact for exponential service (M/M/c), else simulated. Raises ``ValueError`` for impossible
    inputs.

    >>> sustained_rate(Exponential(1.0), 1, 0.99, 46.0517).stderr_rps
    0.0
    """
    if isinstance(service, Exponential):
        exact_rps = mmc_sustained_rps(slots, service.mean_s, quantile, limit_s)
        return SustainedRate(exact_rps, 0.0)
    return simulated_sustained_rate(service, slots, quantile, limit_s, seed)


def simulated_sustained_rate(
    service: ServiceTime,
    slots: int,
    quantile: float,
    limit_s: float,
    seed: int = 0,
    arrivals: int = 100_000,
    replications: int = 10,
) -> SustainedRate:
    """Estimate the sustained rate from independent replications, pooled.

    A replication draws its gaps and services once and only stretches the gaps, so the share of
    requests over the limit rises with the rate path by path (common random numbers), and so does
    the mean share. Its root is the estimate: the mean of each replication's own root would be too
    high, as the share is convex in the rate. The standard error is that of the mean share there,
    over its slope. The rate is 0 when an idle server misses the limit, and never above
    ``slots / mean``.
    """
    _check_slots(slots)
    if not 0 < quantile < 1:
        raise ValueError(f"quantile={quantile} must lie between 0 and 1")
    if not 0 < limit_s < math.inf:
        raise ValueError(f"limit_s={limit_s} must be finite and more than zero")
    allowed, floor = 1 - quantile, service.tail(limit_s)
    if floor >= allowed:
        return SustainedRate(0.0, 0.0)
    runs = [
        _Replication(service, slots, limit_s, arrivals, np.random.default_rng([seed, k]))
        for k in range(replications)
    ]

    def excess(rate_rps: float) -> float:
        share = float(np.mean([run.missed(rate_rps) for run in runs])) if rate_rps > 0 else floor
        return math.log(max(share, allowed / 1000) / allowed)  # nearly straight: few steps

    capacity_rps = slots / service.mean_s
    if excess(capacity_rps) <= 0:
        return SustainedRate(capacity_rps, 0.0)
    root_rps = root(excess, 0.0, capacity_rps, rtol=1e-4)
    spread = float(np.std([run.missed(root_rps) for run in runs], ddof=1)) / allowed
    slope = (excess(1.005 * root_rps) - excess(0.995 * root_rps)) / (0.01 * root_rps)
    return SustainedRate(root_rps, spread / math.sqrt(replications) / slope)


class _Replication:
    """One long run whose luck is the same at every rate."""

    def __init__(
        self,
        service: ServiceTime,
        slots: int,
        limit_s: float,
        arrivals: int,
        rng: np.random.Generator,
    ) -> None:
        self._unit_arrivals = np.cumsum(rng.exponential(1.0, arrivals))
        self._services_s = service.sample(rng, arrivals)
        self._tail = service.tail(limit_s)
        self._slots, self._limit_s = slots, limit_s

    def missed(self, rate_rps: float) -> float:
        """Return the share of requests over the limit, after a warm-up of a tenth."""
        arrivals_s = self._unit_arrivals / rate_rps
        late = fifo_sojourns_s(arrivals_s, self._services_s, self._slots) > self._limit_s
        # of those too slow by their service alone the share is known exactly: count the others
        queued = late & (self._services_s <= self._limit_s)
        return self._tail + float(np.mean(queued[len(queued) // 10 :]))


def _check_slots(slots: int) -> None:
    if not isinstance(slots, int) or isinstance(slots, bool) or slots < 1:
        raise ValueError(f"slots={slots!r} must be a whole number of at least 1")
