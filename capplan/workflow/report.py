"""``capplan report``: every result of a plan in one page, or in a comment."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeVar

from capplan.errors import CapplanError, UsageError
from capplan.plan.load import PlanFile
from capplan.results.base import Result
from capplan.results.breaking import BreakingPoints
from capplan.results.simulation import Simulation
from capplan.results.sweep import Sweep
from capplan.results.verdict import Verdict
from capplan.workflow import sections
from capplan.workflow.capacity import current_capacity
from capplan.workflow.changes import changed, listed
from capplan.workflow.curves import read_curves
from capplan.workflow.demand import current_demand
from capplan.workflow.levers import with_servers
from capplan.workflow.provenance import provenance
from capplan.workflow.shelf import Shelf, open_plan

if TYPE_CHECKING:
    from capplan.render.contents import Contents
    from capplan.results.seconds import ActSeconds

Format = Literal["html", "md"]
S = TypeVar("S", Simulation, BreakingPoints, Sweep, Verdict)

_MISSING: dict[type[Result], str] = {
    Simulation: "the sale day, simulated request by request",
    BreakingPoints: "up to which surprise the plan holds",
    Sweep: "a key of the plan, varied",
    Verdict: "the verdict on the planned fleet",
}


def report(plan: Path | str, *, style: Format = "html", seed: int = 1) -> str:
    """Return the report on ``plan``: an HTML page, or Markdown for a comment.

    Shows whichever results exist and still belong to the plan, and says what is missing. The
    traffic and the recommendation are computed anew where they can be; nothing is stored. Raises
    ``UsageError`` for a plan with mistakes.
    """
    contents = gather(*open_plan(plan), seed)
    if style == "md":
        from capplan.render.markdown import report as as_markdown

        return as_markdown(contents)
    from capplan.render.html import page

    return page(contents)


def gather(plan_file: PlanFile, shelf: Shelf, seed: int) -> Contents:
    """Collect everything that a report shows."""
    from capplan.estimate import forecast, what_if
    from capplan.recommend import recommend
    from capplan.render.contents import Contents
    from capplan.results.basis import basis
    from capplan.results.whatif import fleet_table

    plan = plan_file.plan
    stored, _ = current_demand(plan_file, shelf, seed)
    demand = with_servers(plan_file, shelf, stored)
    draws = what_if(forecast(plan, demand.seed, demand.draws, read_curves(plan_file)))
    capacity, advice, fleets, missing = None, None, None, []
    try:
        capacity = current_capacity(plan_file, shelf)
        origin = provenance(plan_file, sections.RECOMMENDATION, seed)
        advice = recommend(plan, demand, capacity, origin)
        kind = basis(plan, demand, capacity).of(advice.instance)
        fleets = fleet_table(kind, advice.servers)
    except CapplanError as error:
        missing.append(f"a recommendation: {error.message}; {error.hint}")
    if capacity is None and advice is not None:
        missing.append("a measurement of one server: capplan loadtest")
    simulation = _stored(plan_file, shelf, Simulation, sections.SIMULATION, "simulate", missing)
    seconds = _seconds(shelf, simulation, missing)
    breaking = _stored(
        plan_file, shelf, BreakingPoints, sections.SIMULATION, "simulate --find breaking-point",
        missing, expected=False,
    )  # fmt: skip
    sweep = _stored(
        plan_file, shelf, Sweep, sections.SIMULATION, "simulate --sweep", missing, expected=False
    )
    verdict = _stored(plan_file, shelf, Verdict, sections.VERDICT, "gate", missing)
    return Contents(
        plan, demand, capacity, advice, simulation, seconds, breaking, sweep, verdict, draws,
        fleets, tuple(missing),
    )  # fmt: skip


def _seconds(
    shelf: Shelf, simulation: Simulation | None, missing: list[str]
) -> tuple[ActSeconds, ...]:
    """Return the acts second by second from the file that the simulation names."""
    if simulation is None or simulation.seconds is None or shelf.folder is None:
        return ()
    from capplan.results.seconds import NAME, unpack

    try:
        return unpack(shelf.folder / NAME, simulation.seconds)
    except UsageError as error:
        missing.append(f"the acts class by class: {error.message}; {error.hint}")
        return ()


def _stored(
    plan_file: PlanFile,
    shelf: Shelf,
    kind: type[S],
    read: tuple[str, ...],
    command: str,
    missing: list[str],
    *,
    expected: bool = True,
) -> S | None:
    found = shelf.find(kind)
    if found is None and not expected:
        return None
    if found is None:
        missing.append(f"{_MISSING[kind]}: capplan {command}")
        return None
    if changes := changed(found.plan.sections, plan_file.sections(*read)):
        missing.append(f"{_MISSING[kind]}, as {listed(changes)} changed since: capplan {command}")
        return None
    return found
