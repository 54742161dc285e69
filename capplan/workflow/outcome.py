"""``capplan estimate --after``: what came, written into the plan for the next forecast."""

from __future__ import annotations

import codecs
from pathlib import Path

from capplan.errors import UsageError
from capplan.plan.edit import Edited, add_past_sale
from capplan.plan.load import PlanFile, load_plan, parse_plan, read_bytes
from capplan.plan.schema import PastSale, Plan
from capplan.results.demand import Demand
from capplan.results.outcome import Outcome
from capplan.results.store import write_text
from capplan.workflow import sections
from capplan.workflow.provenance import provenance
from capplan.workflow.shelf import Shelf, shown

_LONGEST_NAME = 80


def record_outcome(plan: Path | str, actual_rps: float, *, name: str | None = None) -> Outcome:
    """Add the peak that came to ``history`` of ``plan``, beside the median that was forecast.

    The forecast is the stored one, whatever was changed in the plan since. ``name`` tells the sale
    apart from earlier ones; without it, it is that of the plan with its date. Raises ``UsageError``
    where there is no forecast, the sale is recorded already, or the plan cannot be edited safely.
    """
    from capplan.estimate.outcome import outcome  # loads numpy

    if str(plan) == "-":
        raise UsageError("a plan from standard input cannot be edited", "name the file of the plan")
    path = Path(plan)
    plan_file = load_plan(path)
    demand = _forecast(plan_file)
    sale = _sale(plan_file.plan, demand, actual_rps, name)
    edited = _edit(plan_file, sale)
    origin = provenance(plan_file, sections.DEMAND, demand.seed)
    return outcome(demand, sale, plan_file.plan.history, edited, origin)


def _forecast(plan_file: PlanFile) -> Demand:
    demand = Shelf(plan_file.results_dir).find(Demand)
    if demand is None:
        raise UsageError(
            f"no forecast of {shown(plan_file.path)} is stored, so there is nothing to compare",
            f"make one with: capplan estimate {shown(plan_file.path)}; one made before the sale "
            "would be better",
        )
    return demand


def _sale(plan: Plan, demand: Demand, actual_rps: float, name: str | None) -> PastSale:
    date = f" {demand.sale_start:%Y-%m-%d}"
    called = name or plan.sale.name[: _LONGEST_NAME - len(date)] + date
    try:
        sale = PastSale.model_validate(
            {"name": called, "forecast": demand.peak_rps.p50, "actual": actual_rps}
        )
    except ValueError:
        raise UsageError(
            f"{called[:60]!r} at {actual_rps:g} rps is not an outcome",
            "name it in one line of up to 80 characters, and give a rate above zero",
        ) from None
    if any(past.name == sale.name for past in plan.history):
        raise UsageError(
            f"the outcome of {sale.name!r} is recorded already",
            "change it in the plan, or record another sale with --name",
        )
    return sale


def _edit(plan_file: PlanFile, sale: PastSale) -> Edited:
    """Write the sale into the plan, if the new text says exactly that and nothing else."""
    data = read_bytes(plan_file.path)
    mark = codecs.BOM_UTF8 if data.startswith(codecs.BOM_UTF8) else b""
    edited = add_past_sale(data.removeprefix(mark).decode("utf-8"), sale)
    text = mark.decode("utf-8") + edited.text
    if not _says_only_that(plan_file.plan, sale, text):
        raise UsageError(
            f"{shown(plan_file.path)} cannot be edited safely, and was left as it is",
            f"add this under history yourself: {edited.written}",
        )
    mode = plan_file.path.stat().st_mode
    write_text(plan_file.path, text)
    plan_file.path.chmod(mode)
    return edited


def _says_only_that(before: Plan, sale: PastSale, text: str) -> bool:
    try:
        after = parse_plan(text.encode("utf-8"), "the edited plan")
    except UsageError:
        return False
    same_past = after.history[:-1] == before.history
    added = after.history[-1] if after.history else None
    read_back = added is not None and (
        added.name == sale.name
        and abs(added.actual / sale.actual - 1) < 1e-5
        and abs(added.forecast / sale.forecast - 1) < 1e-5
    )
    rest = after.model_copy(update={"history": before.history})
    return same_past and read_back and rest == before
