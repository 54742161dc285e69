"""How many servers are recommended, and nothing else: for whoever only goes on with the number."""

from __future__ import annotations

from capplan.plan.schema import Plan
from capplan.recommend.candidates import candidates, cheapest
from capplan.results.basis import basis
from capplan.results.capacity import Capacity
from capplan.results.demand import Demand
from capplan.results.slots import fitted_server, service_time_measured


def fleet(plan: Plan, demand: Demand, capacity: Capacity | None) -> int:
    """Return ``recommend(…).servers``.

    Raises what :func:`capplan.recommend.recommendation.recommend` raises.
    """
    found = basis(plan, demand, capacity)
    measured = service_time_measured(capacity)
    queue = fitted_server(plan, found.fleet.server.mid, capacity) if measured else None
    return cheapest(candidates(plan, demand, found, queue)).chosen
