"""Settings of protections that follow from what one server was measured to carry.

They are starting points, to be confirmed under load: a limit is set where the measured system is
still well, not where it would be comfortable.
"""

from __future__ import annotations

import math


def in_flight(throughput_rps: float, latency_s: float) -> int:
    """Return how many requests are inside at the knee: X·R (J. Little 1961), at least one.

    >>> in_flight(300.0, 0.04)
    12
    """
    return max(1, math.ceil(throughput_rps * latency_s - 1e-9))


def queue_timeout_s(
    patience_s: float, service_s_p99: float, round_trip_s: float, least_s: float = 0.05
) -> float:
    """Return how long a request may wait and still be answered in time: T - p99 service - RTT.

    >>> queue_timeout_s(2.0, 0.3, 0.1)
    1.6
    """
    return max(round(patience_s - service_s_p99 - round_trip_s, 9), least_s)


def queue_length(throughput_rps: float, timeout_s: float) -> int:
    """Return how many requests are served within the queue timeout.

    >>> queue_length(300.0, 1.6)
    480
    """
    return max(1, math.floor(throughput_rps * timeout_s))


def steady_rate_rps(throughput_rps: float, servers: int, utilisation: float = 0.95) -> float:
    """Return the rate at which a bucket leaks, or tokens are filled in: ρmax·N·X.

    >>> steady_rate_rps(300.0, 10)
    2850.0
    """
    return utilisation * servers * throughput_rps


def burst(rate_rps: float, tolerated_s: float) -> int:
    """Return how many tokens a bucket holds: the rate times the delay that a burst may cause.

    >>> burst(2850.0, 0.5)
    1425
    """
    return max(1, math.floor(rate_rps * tolerated_s))


def slow_call_s(free_slots: float, calls_rps: float, service_s: float, timeout_s: float) -> float:
    """Return how long calls downstream may take before they fill the slots of their callers.

    L = λW (J. Little 1961) with the slots that are free: free/calls. At least p99 of the healthy
    service time (exponential), or a breaker would open by itself; at most the timeout.

    >>> round(slow_call_s(20.0, 100.0, 0.02, 3.0), 3), slow_call_s(20.0, 1.0, 0.02, 3.0)
    (0.2, 3.0)
    """
    fills_s = max(free_slots, 0.0) / calls_rps if calls_rps > 0 else math.inf
    return min(max(fills_s, service_s * math.log(100)), timeout_s)


def source_limit(
    human_p999: float, spare_rps: float, window_s: float, sources: int
) -> tuple[int, bool]:
    """Return how many requests one source may make in a window, and whether that is enough.

    At least what all but one in a thousand people make; at most what the servers have to spare for
    ``sources`` hostile ones, (μ - λ)·window/sources. Where the second is less than the first, the
    rule alone does not save the servers.

    >>> source_limit(60.0, 500.0, 60.0, 100), source_limit(60.0, 500.0, 60.0, 1000)
    ((300, True), (60, False))
    """
    spare = max(spare_rps, 0.0) * window_s / max(sources, 1)
    people = math.ceil(human_p999)
    return (math.floor(spare), True) if spare >= people else (people, False)
