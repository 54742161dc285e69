"""The M/M/c queue with a bounded number of places: who is refused, and how long the others take.

Poisson arrivals of rate λ, c servers of rate μ each, at most K that wait. With a = λ/μ and
ρ = a/c, an arrival meets n in the system with the weights a^n/n! up to c and then ρ times the one
before (Kleinrock, Queueing Systems I, 3.8); it is refused when it meets c + K.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammainc, gammaincc, gammaln

from capplan.model.roots import root

Floats = NDArray[np.float64]


def met(servers: int, places: int, load_erlangs: float) -> Floats:
    """Return the probabilities of meeting 0, 1, … c + K others on arrival.

    >>> round(float(met(1, 4, 0.8)[-1]), 6)
    0.088819
    """
    if load_erlangs <= 0:
        return np.asarray(np.eye(1, servers + places + 1)[0])
    n = np.arange(servers + places + 1)
    served = np.minimum(n, servers)
    log_weight = n * math.log(load_erlangs) - gammaln(served + 1) - (n - served) * math.log(servers)
    weight = np.exp(log_weight - log_weight.max())
    return np.asarray(weight / weight.sum())


def sojourn_tail(servers: int, places: int, rate_rps: float, service_s: float, t_s: float) -> float:
    """Return the share of the admitted requests that take longer than ``t_s`` seconds.

    Who meets n ≥ c others waits for k = n - c + 1 departures, Erlang(k, cμ), and is then served:
    P(W + S > t) = Q(k, cμt) + e^{-μt}·(c/(c - 1))^k·P(k, (c - 1)μt), with P and Q the regularised
    gamma functions; for one server it is Q(k + 1, μt).
    """
    admitted = met(servers, places, rate_rps * service_s)[:-1]
    admitted = admitted / admitted.sum()
    served = t_s / service_s
    waits = np.arange(1, places + 1, dtype=float)
    if servers == 1:
        tails = gammaincc(waits + 1, served)
    else:
        ratio = servers / (servers - 1)
        # in logarithms, as a power of the ratio overflows where the gamma function vanishes
        log_part = waits * math.log(ratio) - served
        part = np.exp(log_part) * gammainc(waits, (servers - 1) * served)
        tails = gammaincc(waits, servers * served) + part
    at_once = admitted[:servers].sum() * math.exp(-served)
    return float(at_once + admitted[servers:] @ tails)


def sustained_rps(
    servers: int,
    places: int,
    service_s: float,
    latency: tuple[tuple[float, float], ...],
    failures: float,
) -> tuple[float, int]:
    """Return the largest rate that keeps every limit, and which of them binds.

    ``latency`` are pairs (quantile, seconds) over the admitted requests; limit number
    ``len(latency)`` is the share of refused ones. Both rise with the rate. 0 when a limit is missed
    by an idle server.
    """

    def excess(rate_rps: float) -> list[float]:
        tails = [
            sojourn_tail(servers, places, rate_rps, service_s, limit_s) - (1 - quantile)
            for quantile, limit_s in latency
        ]
        refused = float(met(servers, places, rate_rps * service_s)[-1])
        return [*tails, refused - failures]

    def worst(rate_rps: float) -> float:
        return max(excess(rate_rps))

    if worst(0.0) > 0:
        return 0.0, int(np.argmax(excess(0.0)))
    high_rps = servers / service_s
    while worst(high_rps) <= 0:
        high_rps *= 2
        if high_rps > 1e9 / service_s:  # a share of failures of 100 % is never missed
            return math.inf, len(latency)
    rate_rps = root(worst, 0.0, high_rps, xtol=1e-9 * high_rps)
    return rate_rps, int(np.argmax(excess(rate_rps)))
