"""What a reference server sustains, from theory: the number that a measurement must find."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from capplan.errors import UsageError
from capplan.model.ggc import sustained_rate
from capplan.refserver.config import RefServerConfig
from capplan.units import format_share

if TYPE_CHECKING:
    from capplan.plan.sla import Sla


@dataclass(frozen=True, slots=True)
class Theory:
    """The true sustained rate; ``stderr_rps`` is 0 where it is exact.

    ``limited_by`` is the criterion that binds, as in ``p95<150ms``, or ``capacity`` when the SLA
    does not bind below the rate at which the slots are always busy.
    """

    rate_rps: float
    stderr_rps: float
    limited_by: str


def theory(config: RefServerConfig, sla: Sla) -> Theory:
    """Return the largest Poisson arrival rate at which the server keeps the SLA in steady state.

    The smallest of the rates that each limit allows by itself. Exact when service is exponential,
    else simulated (seconds of work). Refusals lighten the queue a little: where failures and
    latency bind at nearly the same rate, the truth lies slightly above. Raises ``UsageError`` for a
    bounded queue whose truth is not known exactly.
    """
    if config.queue is not None:
        return _bounded(config, config.queue, sla)
    capacity_rps = config.slots / config.service.mean_s
    rates = [Theory(capacity_rps, 0.0, "capacity")]
    for limit in sla.latency:
        found = sustained_rate(config.service, config.slots, limit.quantile, limit.limit_s)
        rates.append(Theory(found.rate_rps, found.stderr_rps, str(limit)))
    if config.fail_above_rps is not None and config.fail_share > sla.failures:
        rate_rps = _rate_at_failures(config.fail_above_rps, sla.failures / config.fail_share)
        rates.append(Theory(rate_rps, 0.0, f"failures<{format_share(sla.failures)}"))
    return min(rates, key=lambda rate: rate.rate_rps)


def _bounded(config: RefServerConfig, places: int, sla: Sla) -> Theory:
    from capplan.model.finite_queue import sustained_rps

    if config.service.kind != "exponential" or config.fail_above_rps is not None:
        raise UsageError(
            "what a bounded queue sustains is known only for exponential service without refusals "
            "of another kind",
            "leave out --queue, or use --service exponential without --fail-above",
        )
    limits = tuple((limit.quantile, limit.limit_s) for limit in sla.latency)
    mean_s = config.service.mean_s
    rate_rps, binding = sustained_rps(config.slots, places, mean_s, limits, sla.failures)
    names = [*map(str, sla.latency), f"failures<{format_share(sla.failures)}"]
    return Theory(rate_rps, 0.0, names[binding])


def _rate_at_failures(above_rps: float, busy_share: float) -> float:
    """Return the rate λ at which the share ``busy_share`` of arrivals sees too many in a second.

    An arrival sees N others in the second before it, Poisson with mean λ, and is at risk when
    N + 1 > above, that is N ≥ m = ⌊above⌋. P(N ≥ m) = γ(m, λ)/Γ(m), inverted in λ.
    """
    from scipy.special import gammaincinv

    others = math.floor(above_rps)
    return float(gammaincinv(others, busy_share)) if others else 0.0
