"""How many servers are recommended, and nothing else: for whoever only goes on with the number."""

from __future__ import annotations

from capplan.plan.schema import Plan
from capplan.recommend.candidates import candidates, cheapest
from capplan.results.capacity import Capacity
from capplan.results.demand import Demand


def fleet(plan: Plan, demand: Demand, capacity: Capacity | None) -> int:
    """Return ``recommend(…).servers``.

    Raises what :func:`capplan.recommend.recommendation.recommend` raises.
    """
    return cheapest(candidates(plan, demand, capacity)).chosen
