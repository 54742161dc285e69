"""M/M/c queues in closed form: the oracle for everything that is simulated or measured.

Poisson arrivals at ``rate_rps``, ``servers`` equal servers, exponential service of mean
``service_s`` seconds, one first-come-first-served queue without bound. A load that the servers
cannot carry is not an error: everybody waits (probability 1), and waits for ever (``inf``).

Sources: A. K. Erlang (1917); D. Gross, C. Harris, "Fundamentals of Queueing Theory", ch. 2.
"""

from __future__ import annotations

import math

from capplan.model.roots import root

_NEGLIGIBLE = 1e-17  # of a sum in double precision


def erlang_b(servers: int, load_erlangs: float) -> float:
    """Return the share of arrivals that find all servers busy when nobody may wait (M/M/c/c).

    1/B = Σ_{j=0..c} c!/((c−j)!·a^j), the inverse of Erlang's formula B = (a^c/c!)/Σ a^k/k!, summed
    from its largest terms, of which about √a matter; so a load of a million is as stable as one.
    A result below 1e-308 is 0. Raises ``ValueError`` for a negative count or load.

    >>> round(erlang_b(10, 10.0), 6), round(erlang_b(100, 90.0), 7)
    (0.214582, 0.0269574)
    """
    _check_whole("servers", servers, 0)
    _check_load(load_erlangs)
    if load_erlangs == 0:
        return 0.0 if servers else 1.0
    inverse = term = 1.0
    for busy in range(servers, 0, -1):
        term *= busy / load_erlangs
        inverse += term
        if term < inverse * _NEGLIGIBLE or math.isinf(inverse):
            break
    return 1.0 / inverse


def erlang_c(servers: int, load_erlangs: float) -> float:
    """Return the probability that an arrival has to wait (M/M/c); 1 at or above capacity.

    C = B / (1 − ρ(1 − B)) with ρ = a/c. Raises ``ValueError`` for impossible inputs.

    >>> round(erlang_c(3, 2.0), 6), round(erlang_c(10, 9.0), 6), erlang_c(2, 2.5)
    (0.444444, 0.668732, 1.0)
    """
    _check_whole("servers", servers, 1)
    _check_load(load_erlangs)
    if load_erlangs >= servers:
        return 1.0
    return _wait_probability(servers, load_erlangs, erlang_b(servers, load_erlangs))


def servers_for_wait(load_erlangs: float, probability: float) -> int:
    """Return the smallest number of servers with which at most ``probability`` of arrivals wait.

    The square-root rule c = a + β√a is often one server low, so this counts up by the recursion
    B(k) = a·B(k−1)/(k + a·B(k−1)) from the first number of servers that carries the load.

    >>> servers_for_wait(10.0, 0.2), servers_for_wait(100.0, 0.2)
    (14, 111)
    """
    _check_load(load_erlangs)
    _check_quantile("probability", probability)
    servers = math.floor(load_erlangs) + 1
    blocked = erlang_b(servers, load_erlangs)
    while _wait_probability(servers, load_erlangs, blocked) > probability:
        servers += 1
        blocked = load_erlangs * blocked / (servers + load_erlangs * blocked)
    return servers


def mmc_mean_wait_s(servers: int, rate_rps: float, service_s: float) -> float:
    """Return the mean seconds that a request waits before its service starts.

    Wq = C / (cμ − λ) with μ = 1/service_s; the mean sojourn is ``service_s`` more.

    >>> round(mmc_mean_wait_s(2, 1.6, 1.0), 6), mmc_mean_wait_s(1, 2.0, 1.0)
    (1.777778, inf)
    """
    load = _load(rate_rps, service_s)
    waits = erlang_c(servers, load)
    return waits * service_s / (servers - load) if load < servers else math.inf


def mmc_sojourn_tail(servers: int, rate_rps: float, service_s: float, t_s: float) -> float:
    """Return P(T > t), the share of requests that take longer than ``t_s`` to wait and be served.

    A request that waits does so for an exponential time of rate r = cμ − λ, then is served at rate
    μ. The sum of the two has a closed form with r − μ below a fraction bar; written as

        P(T > t) = e^{−μt} + C·μt·e^{−mt}·φ(|r − μ|·t),   m = min(r, μ),   φ(x) = (1 − e^{−x})/x

    it is exact where r = μ, too (φ(0) = 1), and nothing cancels near there.

    >>> round(mmc_sojourn_tail(1, 0.9, 1.0, 46.0517), 6)
    0.01
    """
    load = _load(rate_rps, service_s)
    waits = erlang_c(servers, load)
    if not t_s >= 0:
        raise ValueError(f"t_s={t_s} must not be negative")
    if load >= servers or t_s == 0:
        return 1.0
    served = t_s / service_s
    drained = (servers - load) * served
    apart = abs(drained - served)
    phi = -math.expm1(-apart) / apart if apart > 0 else 1.0
    return math.exp(-served) + waits * served * math.exp(-min(drained, served)) * phi


def mmc_sojourn_quantile_s(
    servers: int, rate_rps: float, service_s: float, quantile: float
) -> float:
    """Return the seconds within which the share ``quantile`` of requests is answered.

    The root of :func:`mmc_sojourn_tail` = 1 − quantile, to a relative 1e-12.

    >>> round(mmc_sojourn_quantile_s(1, 0.9, 1.0, 0.99), 4)
    46.0517
    """
    _check_quantile("quantile", quantile)
    load = _load(rate_rps, service_s)
    _check_whole("servers", servers, 1)
    if load >= servers:
        return math.inf
    missed = math.log1p(-quantile)

    def excess(t_s: float) -> float:
        return math.log(mmc_sojourn_tail(servers, rate_rps, service_s, t_s)) - missed

    high_s = service_s
    while excess(high_s) > 0:
        high_s *= 2
    return root(excess, 0.0, high_s, xtol=1e-12 * service_s, rtol=1e-12)


def mmc_sustained_rps(servers: int, service_s: float, quantile: float, limit_s: float) -> float:
    """Return the largest arrival rate at which the latency ``quantile`` stays within ``limit_s``.

    The root of P(T > limit_s) = 1 − quantile in the rate, to a relative 1e-12 of capacity; 0 when
    even an idle server misses: e^{−limit/service} ≥ 1 − quantile.

    >>> round(mmc_sustained_rps(1, 1.0, 0.99, 46.0517), 6), mmc_sustained_rps(4, 0.02, 0.95, 0.05)
    (0.9, 0.0)
    """
    _check_whole("servers", servers, 1)
    _check_positive("service_s", service_s)
    _check_positive("limit_s", limit_s)
    _check_quantile("quantile", quantile)
    capacity_rps = servers / service_s

    def excess(utilisation: float) -> float:
        rate_rps = utilisation * capacity_rps
        return mmc_sojourn_tail(servers, rate_rps, service_s, limit_s) - (1 - quantile)

    if excess(0.0) >= 0:
        return 0.0
    return capacity_rps * root(excess, 0.0, 1.0, xtol=1e-12)


def _wait_probability(servers: int, load_erlangs: float, blocked: float) -> float:
    return blocked / (1 - load_erlangs / servers * (1 - blocked))


def _load(rate_rps: float, service_s: float) -> float:
    _check_positive("service_s", service_s)
    if not 0 <= rate_rps < math.inf:
        raise ValueError(f"rate_rps={rate_rps} must be finite and not negative")
    return rate_rps * service_s


def _check_whole(name: str, value: int, least: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise ValueError(f"{name}={value!r} must be a whole number of at least {least}")


def _check_load(load_erlangs: float) -> None:
    if not 0 <= load_erlangs < math.inf:
        raise ValueError(f"load_erlangs={load_erlangs} must be finite and not negative")


def _check_positive(name: str, value: float) -> None:
    if not 0 < value < math.inf:
        raise ValueError(f"{name}={value} must be finite and more than zero")


def _check_quantile(name: str, value: float) -> None:
    if not 0 < value < 1:
        raise ValueError(f"{name}={value} must lie between 0 and 1")
