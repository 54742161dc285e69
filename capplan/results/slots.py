"""How many requests a server works on at once, and for how long: read from its load test."""

from __future__ import annotations

from capplan.model.fitted import Fitted, fit
from capplan.plan.schema import Plan
from capplan.results.capacity import Capacity

UNMEASURED = 0.1
"""Of the tightest latency limit: the service time where none was measured."""


def fitted_server(plan: Plan, sustained_rps: float, capacity: Capacity | None) -> Fitted:
    """Return the M/M/c server that sustains ``sustained_rps`` within the plan's SLA.

    How long a request takes alone is the mean latency of the passed trial with the lowest rate;
    where there is none a share of the tightest limit stands in (see ``service_time_measured``).
    """
    limits = [(limit.quantile, limit.limit_s) for limit in plan.service.sla.latency]
    alone_s = _alone_s(capacity)
    if alone_s is None:
        alone_s = UNMEASURED * min((limit_s for _, limit_s in limits), default=1.0)
    return fit(sustained_rps, alone_s, limits)


def service_time_measured(capacity: Capacity | None) -> bool:
    """Return whether a load test says how long a request takes on a server with nothing to do."""
    return _alone_s(capacity) is not None


def _alone_s(capacity: Capacity | None) -> float | None:
    passed = [trial for trial in capacity.trials if trial.outcome == "pass"] if capacity else []
    return min(passed, key=lambda trial: trial.rate_rps).latency_s.mean if passed else None
