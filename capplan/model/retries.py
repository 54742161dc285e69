"""Laws of overload with clients that give up and ask again, known before anything is simulated.

A system finishes at most μ requests per second, λ of them arrive, each client waits for T seconds
and asks A times in all. Sources: N. Bronson et al., *Metastable failures in distributed systems*,
HotOS 2021; M. Brooker, *Fixing retries with token buckets and circuit breakers*, 2022; B. Beyer et
al., *Site reliability engineering*, ch. 21, 2016. They are fluid approximations: they hold for
rates far above one request per T.
"""

from __future__ import annotations

import math
from collections.abc import Sequence


def hidden_capacity_rps(capacity_rps: float, attempts: int) -> float:
    """Return μ/A: below it a system whose queue has no bound comes back by itself.

    When every request times out, each is asked A times, and the load is A·λ.

    >>> hidden_capacity_rps(300.0, 2)
    150.0
    """
    return capacity_rps / attempts


def safe_queue(capacity_rps: float, patience_s: float, service_s: float = 0.0) -> int:
    """Return the longest queue that nobody outwaits: μ·(T - service), at least one place.

    >>> safe_queue(100.0, 2.0, 0.5)
    150
    """
    return max(1, math.floor(capacity_rps * max(patience_s - service_s, 0.0)))


def recovery_s(
    capacity_rps: float,
    base_rps: float,
    spike_rps: float,
    spike_s: float,
    attempts: int,
    patience_s: float,
) -> float:
    """Return how long after a spike a queue without bound takes until answers are in time again.

    (B - μT)/(μ - Aλ) with the backlog B = (A·λs - μ)·D of a spike of λs requests/s for D seconds,
    D long against T. 0 when there is no backlog, infinite at or above the hidden capacity.

    >>> recovery_s(1000.0, 100.0, 2000.0, 40.0, 3, 1.0)
    284.2857142857143
    """
    backlog = max((attempts * spike_rps - capacity_rps) * spike_s, 0.0)
    return drained_after_s(backlog, capacity_rps, base_rps, attempts, patience_s)


def goodput_lost_after_s(capacity_rps: float, rate_rps: float, patience_s: float) -> float:
    """Return T/(λ/μ - 1): how long after an overload began a long queue lets nobody be in time.

    >>> goodput_lost_after_s(100.0, 125.0, 2.0)
    8.0
    """
    if rate_rps <= capacity_rps:
        return math.inf
    return patience_s / (rate_rps / capacity_rps - 1)


def rejection(capacity_rps: float, rate_rps: float, attempts: int) -> tuple[float, float]:
    """Return the share of attempts that is refused, and the attempts per second.

    Where refusing costs nothing: p = (1 - μ/λ)^{1/A} and μ/(1 - p).

    >>> share, attempts_rps = rejection(1.0, 2.0, 3)
    >>> round(share, 4), round(attempts_rps, 2)
    (0.7937, 4.85)
    """
    if rate_rps <= capacity_rps:
        return 0.0, rate_rps
    share = (1 - capacity_rps / rate_rps) ** (1 / attempts)
    return share, capacity_rps / (1 - share)


def costly_goodput_rps(capacity_rps: float, attempts_rps: float, cost: float) -> float:
    """Return (μ - κλ')/(1 - κ), the goodput where each refusal costs the share κ of a service.

    It is gone at λ' = μ/κ attempts per second.

    >>> round(costly_goodput_rps(100.0, 200.0, 0.2), 6), costly_goodput_rps(100.0, 600.0, 0.2)
    (75.0, 0.0)
    """
    if attempts_rps <= capacity_rps:
        return attempts_rps
    return max((capacity_rps - cost * attempts_rps) / (1 - cost), 0.0)


def retried(failing: float, retries: int) -> tuple[float, float]:
    """Return the share of requests that succeed, and attempts per request, of N retries.

    Without queueing, where each attempt fails with probability x: 1 - x^{N+1} and
    (1 - x^{N+1})/(1 - x).

    >>> retried(0.5, 3)
    (0.9375, 1.875)
    """
    if failing >= 1:
        return 0.0, float(retries + 1)
    lost = failing ** (retries + 1)
    return 1 - lost, (1 - lost) / (1 - failing)


def fluid_backlog(
    load_rps: Sequence[float], capacity_rps: float, attempts: int, patience_s: float
) -> list[float]:
    """Return the backlog b at the begin of each second, in a queue without bound.

    Under a load λ(t) that changes from second to second: b' = λ(t) - μ while answers are in time,
    A·λ(t) - μ while nobody gets one, that is while b > μT.

    >>> fluid_backlog([50.0, 350.0, 200.0, 20.0], 100.0, 2, 2.0)
    [0.0, 0.0, 250.0, 550.0]
    """
    backlog, trace = 0.0, []
    for rate_rps in load_rps:
        trace.append(backlog)
        arriving = attempts * rate_rps if backlog > capacity_rps * patience_s else rate_rps
        backlog = max(backlog + arriving - capacity_rps, 0.0)
    return trace


def fluid_recovery(
    backlog: Sequence[float], capacity_rps: float, patience_s: float
) -> tuple[int | None, int | None]:
    """Return from which second on answers come too late, b > μT, and from which in time again.

    None for what does not happen.

    >>> fluid_recovery([0.0, 150.0, 250.0, 300.0, 120.0], 100.0, 2.0)
    (2, 4)
    >>> fluid_recovery([0.0, 150.0], 100.0, 2.0)
    (None, None)
    """
    late = [size > capacity_rps * patience_s for size in backlog]
    if True not in late:
        return None, None
    last = len(late) - 1 - late[::-1].index(True)
    return late.index(True), last + 1 if last + 1 < len(late) else None


def drained_after_s(
    backlog: float, capacity_rps: float, load_rps: float, attempts: int, patience_s: float
) -> float:
    """Return (B - μT)/(μ - Aλ): how long a backlog B takes until answers are in time again.

    0 when they are, infinite at or above the hidden capacity.

    >>> drained_after_s(4000.0, 1000.0, 200.0, 3, 1.0)
    7.5
    """
    late = backlog - capacity_rps * patience_s
    if late <= 0:
        return 0.0
    spare_rps = capacity_rps - attempts * load_rps
    return late / spare_rps if spare_rps > 0 else math.inf
