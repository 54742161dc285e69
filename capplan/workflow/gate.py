"""``capplan gate``: whether the planned fleet is good enough, told to people and to CI."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from capplan.errors import SetupError, UsageError
from capplan.plan.load import PlanFile
from capplan.results.capacity import Capacity
from capplan.results.paired import Paired
from capplan.results.store import check_writable, read_result, write_text
from capplan.results.verdict import Verdict
from capplan.workflow import sections
from capplan.workflow.capacity import current_capacity
from capplan.workflow.changes import changed, listed
from capplan.workflow.demand import current_demand
from capplan.workflow.provenance import provenance
from capplan.workflow.shelf import Shelf, open_plan

if TYPE_CHECKING:
    from capplan.gate import Change


def gate(
    plan: Path | str,
    *,
    junit: Path | None = None,
    baseline: Path | None = None,
    seed: int = 1,
) -> Verdict:
    """Judge ``servers.planned`` of ``plan`` and keep the verdict beside the plan.

    Reads the demand and the capacity, not the recommendation: a plan must not be judged by an
    answer made from it. A paired measurement that is newer than the capacity says what changed
    since: its ratio is judged, and multiplies the capacity. ``baseline`` is an earlier capacity to
    compare with. Writes a JUnit file when asked, and appends a summary to the file that
    ``GITHUB_STEP_SUMMARY`` names. Raises ``UsageError`` as ``recommend`` does.
    """
    if junit:
        check_writable(junit)
    plan_file, shelf = open_plan(plan)

    from capplan.gate import judge  # loads scipy, which takes its time

    measured = _measured(plan_file, shelf, baseline)
    traffic, notes = current_demand(plan_file, shelf, seed)
    changes = [*_paired(plan_file, shelf, measured), *_since(baseline, measured)]
    origin = provenance(plan_file, sections.VERDICT, seed)
    verdict = judge(plan_file.plan, traffic, measured, origin, changes)
    verdict = verdict.model_copy(update={"notes": (*notes, *verdict.notes)})
    shelf.keep(verdict)
    if junit:
        from capplan.render.junit import junit as as_junit

        write_text(junit, as_junit(verdict))
    if job_summary := os.environ.get("GITHUB_STEP_SUMMARY"):
        from capplan.render.markdown import summary

        _append(Path(job_summary), summary(verdict))
    return verdict


def _measured(plan_file: PlanFile, shelf: Shelf, baseline: Path | None) -> Capacity | None:
    """Return the capacity, which has to fit the plan where anything is judged by it."""
    from capplan.gate import criteria

    asked, stored = criteria(plan_file.plan), shelf.find(Capacity)
    if asked.fleet or baseline or (asked.ceiling_risk is not None and stored):
        return current_capacity(plan_file, shelf)
    return stored  # only tells whether a paired measurement is newer


def _paired(plan_file: PlanFile, shelf: Shelf, measured: Capacity | None) -> Iterator[Change]:
    """Give what a paired measurement says that is newer than the capacity and fits the plan."""
    from capplan.gate import Change

    found = shelf.find(Paired)
    if found is None or (measured is not None and found.made_at < measured.made_at):
        return
    asked = [name for name in sections.CAPACITY if name != "service.target"]
    unlike = lost = ""
    if changes := changed(found.plan.sections, plan_file.sections(*asked)):
        unlike = f"{listed(changes)} changed since the paired measurement"
    elif found.verdict == "below_sla":
        lost = found.reason
    elif found.verdict != "measured":
        unlike = f"the paired measurement is {found.verdict.replace('_', ' ')}: {found.reason}"
    yield Change(found.ratio, "paired", unlike, lost)


def _since(baseline: Path | None, measured: Capacity | None) -> Iterator[Change]:
    if baseline is None:
        return
    if measured is None:
        raise UsageError(
            "--baseline needs a measured capacity to compare with it",
            "measure it with: capplan loadtest",
        )
    from capplan.gate import Change
    from capplan.workflow.compare import compared

    found = compared(read_result(baseline, Capacity), measured)
    yield Change(found.ratio, "baseline", "; ".join(note.message for note in found.notes))


def _append(path: Path, text: str) -> None:
    try:
        with path.open("a", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise SetupError(
            f"{path}, which GITHUB_STEP_SUMMARY names, cannot be written: {error.strerror}",
            "unset GITHUB_STEP_SUMMARY to do without the summary",
        ) from None
