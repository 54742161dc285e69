"""The knee of a load test: where latency begins to rise faster than throughput.

The *power* of a system is its throughput over its latency, X/R. It rises while load still buys
throughput and falls once it mostly buys waiting; the knee is the load at which it is largest
(L. Kleinrock, *Power and deterministic rules of thumb*, ICC 1979; R. Jain, *The Art of Computer
Systems Performance Analysis*, 1991, section 3.3). Of M/M/1, where X/R = λ(μ - λ), that is μ/2.
"""

from __future__ import annotations

from collections.abc import Sequence

_FEWEST = 4


def knee(rates_rps: Sequence[float], latencies_s: Sequence[float]) -> float | None:
    """Return the load with the largest power, of those that were held, in requests/s.

    None with fewer than four loads, or where power still rises at the highest: then the knee was
    not reached.

    >>> rates = [10.0, 30.0, 50.0, 70.0, 90.0]
    >>> knee(rates, [1 / (100 - rate) for rate in rates])
    50.0
    """
    held = sorted(zip(rates_rps, latencies_s, strict=True))
    if len(held) < _FEWEST or min(latencies_s) <= 0:
        return None
    best = max(range(len(held)), key=lambda i: held[i][0] / held[i][1])
    return None if best == len(held) - 1 else held[best][0]
