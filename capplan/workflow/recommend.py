"""``capplan recommend``: how many servers to start, from the demand and the capacity."""

from __future__ import annotations

from pathlib import Path

from capplan.plan.load import PlanFile
from capplan.results.recommendation import Recommendation
from capplan.workflow import sections
from capplan.workflow.capacity import current_capacity
from capplan.workflow.demand import current_demand
from capplan.workflow.provenance import provenance
from capplan.workflow.shelf import Shelf, open_plan


def recommend(
    plan: Path | str, *, why: int | None = None, kind: str | None = None, seed: int = 1
) -> Recommendation:
    """Recommend a server count for the sale in ``plan`` and keep the answer beside the plan.

    ``why`` is a count to explain in full, of the recommended ``kind`` of server or another of the
    plan (``planned`` is its own). Estimates the traffic first where that was not
    done, or was done for another state of the plan. Raises ``UsageError`` for a plan with mistakes
    and for a measured capacity that no longer belongs to the plan.
    """
    return decided(*open_plan(plan), why, kind, seed)


def decided(
    plan_file: PlanFile, shelf: Shelf, why: int | None, kind: str | None, seed: int
) -> Recommendation:
    """Recommend, for a plan that is already read, and keep the answer."""
    from capplan.recommend import recommend as compute  # loads scipy, which takes its time

    measured = current_capacity(plan_file, shelf)
    traffic, notes = current_demand(plan_file, shelf, seed)
    origin = provenance(plan_file, sections.RECOMMENDATION, seed)
    result = compute(plan_file.plan, traffic, measured, origin, why, kind)
    result = result.model_copy(update={"notes": (*notes, *result.notes)})
    shelf.keep(result)
    return result
