"""``capplan estimate``: a plan in, the demand out; and the demand that later commands build on."""

from __future__ import annotations

from pathlib import Path

from capplan import __version__
from capplan.plan.load import PlanFile
from capplan.render.csv import profile as as_csv
from capplan.results.base import Note, Provenance
from capplan.results.demand import Demand
from capplan.results.store import check_writable, write_text
from capplan.workflow import sections
from capplan.workflow.changes import changed, listed
from capplan.workflow.curves import curve_hashes, read_curves
from capplan.workflow.levers import with_servers
from capplan.workflow.provenance import provenance
from capplan.workflow.shelf import Shelf, open_plan

DRAWS = 100_000


def estimate(
    plan: Path | str, *, draws: int = DRAWS, seed: int = 1, csv: Path | None = None
) -> Demand:
    """Estimate the traffic of the sale in ``plan`` and keep it beside the plan.

    ``draws`` is the number of Monte Carlo draws; ``csv`` is a file for λ(t) second by second. Where
    the capacity of one server is known, the answer says how many servers each lever would leave.
    Raises ``UsageError`` for a plan with mistakes.
    """
    if csv:
        check_writable(csv)
    plan_file, shelf = open_plan(plan)
    return with_servers(plan_file, shelf, _estimate(plan_file, shelf, draws, seed, csv))


def current_demand(plan_file: PlanFile, shelf: Shelf, seed: int) -> tuple[Demand, tuple[Note, ...]]:
    """Return the stored demand while it still belongs to the plan, else a new one.

    The note says why a stored one was not good enough.
    """
    stored = shelf.find(Demand)
    if stored is None:
        return _estimate(plan_file, shelf, DRAWS, seed), ()
    now = plan_file.sections(*sections.DEMAND) | curve_hashes(plan_file)
    changes = changed(stored.plan.sections, now)
    if stored.capplan_version != __version__:
        reason = f"it was made by capplan {stored.capplan_version}"
    elif changes:
        reason = f"{listed(changes)} changed since"
    else:
        return stored, ()
    note = Note(code="recomputed", message=f"the traffic was estimated anew: {reason}")
    return _estimate(plan_file, shelf, stored.draws, stored.seed), (note,)


def _estimate(
    plan_file: PlanFile, shelf: Shelf, draws: int, seed: int, csv: Path | None = None
) -> Demand:
    from capplan.estimate import by_second, forecast, summary  # loads scipy, which takes its time

    found = forecast(plan_file.plan, seed, draws, read_curves(plan_file))
    demand = summary(found, _origin(plan_file, seed))
    shelf.keep(demand)
    if csv:
        write_text(csv, as_csv(by_second(found), demand.sale_start))
    return demand


def _origin(plan_file: PlanFile, seed: int) -> Provenance:
    """Say where a demand comes from: the plan, and the curves that it names."""
    made = provenance(plan_file, sections.DEMAND, seed)
    read = made.plan.sections | curve_hashes(plan_file)
    return made.model_copy(update={"plan": made.plan.model_copy(update={"sections": read})})
