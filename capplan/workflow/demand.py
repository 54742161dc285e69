"""``capplan estimate``: a plan in, the demand out; and the demand that later commands build on."""

from __future__ import annotations

from pathlib import Path

from capplan import __version__
from capplan.plan.load import PlanFile
from capplan.results.base import Note
from capplan.results.demand import Demand
from capplan.workflow import sections
from capplan.workflow.changes import changed, listed
from capplan.workflow.provenance import provenance
from capplan.workflow.shelf import Shelf, open_plan

DRAWS = 100_000


def estimate(plan: Path | str, *, draws: int = DRAWS, seed: int = 1) -> Demand:
    """Estimate the traffic of the sale in ``plan`` and keep it beside the plan.

    ``draws`` is the number of Monte Carlo draws. Raises ``UsageError`` for a plan with mistakes.

    A notebook needs no more than::

        from capplan.workflow import estimate
        estimate("sale.yaml").peak_rps.p95
    """
    plan_file, shelf = open_plan(plan)
    return _estimate(plan_file, shelf, draws, seed)


def current_demand(plan_file: PlanFile, shelf: Shelf, seed: int) -> tuple[Demand, tuple[Note, ...]]:
    """Return the stored demand while it still belongs to the plan, else a new one.

    The note says why a stored one was not good enough.
    """
    stored = shelf.find(Demand)
    if stored is None:
        return _estimate(plan_file, shelf, DRAWS, seed), ()
    changes = changed(stored.plan.sections, plan_file.sections(*sections.DEMAND))
    if stored.capplan_version != __version__:
        reason = f"it was made by capplan {stored.capplan_version}"
    elif changes:
        reason = f"{listed(changes)} changed since"
    else:
        return stored, ()
    note = Note(code="recomputed", message=f"the traffic was estimated anew: {reason}")
    return _estimate(plan_file, shelf, stored.draws, stored.seed), (note,)


def _estimate(plan_file: PlanFile, shelf: Shelf, draws: int, seed: int) -> Demand:
    from capplan.estimate import estimate as compute  # loads scipy, which takes its time

    demand = compute(plan_file.plan, provenance(plan_file, sections.DEMAND, seed), draws)
    shelf.keep(demand)
    return demand
