"""How many servers each lever would leave, where the capacity of one is known."""

from __future__ import annotations

from collections.abc import Sequence

from capplan.errors import CapplanError
from capplan.plan.load import PlanFile
from capplan.results.demand import Demand, Lever
from capplan.workflow.capacity import current_capacity
from capplan.workflow.shelf import Shelf


def with_servers(plan_file: PlanFile, shelf: Shelf, demand: Demand) -> Demand:
    """Return the demand with the server count of each lever, by the policy of the plan.

    Unchanged where no capacity is known that belongs to the plan, or none that can be counted with:
    an estimate needs no server. ``recommend`` says what is wrong with it.
    """
    from dataclasses import replace

    from capplan.recommend.options import MOST_SERVERS, Decider
    from capplan.results.basis import basis, peaks

    plan = plan_file.plan
    try:
        capacity = current_capacity(plan_file, shelf)
        found = basis(plan, demand, capacity)
    except CapplanError:
        return demand

    def counted(lever: Lever) -> Lever:
        left = demand.model_copy(
            update={
                "peak_rps": lever.peak_rps,
                "peak_quantiles_rps": _scaled(demand, lever, demand.peak_quantiles_rps),
                "peak_quantiles_visits_per_s": _scaled(
                    demand, lever, demand.peak_quantiles_visits_per_s
                ),
            }
        )
        decider = Decider(plan, left, replace(found, peaks=peaks(left, capacity)))
        servers = decider.smallest()
        known = servers < MOST_SERVERS and not decider.basis.beyond(servers)
        return lever.model_copy(update={"servers": servers if known else None})

    return demand.model_copy(update={"levers": tuple(map(counted, demand.levers))})


def _scaled(demand: Demand, lever: Lever, quantiles: Sequence[float]) -> tuple[float, ...]:
    """Return quantiles of the peak with the lever, whose effect is known at five of them."""
    import numpy as np

    levels = {"p5": 0.05, "p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99}
    before, after = demand.peak_rps, lever.peak_rps
    ratios = [getattr(after, name) / getattr(before, name) for name in levels]
    values = np.asarray(quantiles)
    at = (np.arange(len(values)) + 0.5) / len(values)
    scaled = np.sort(values * np.interp(at, list(levels.values()), ratios))
    return tuple(map(float, scaled))
