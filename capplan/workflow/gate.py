"""``capplan gate``: whether the planned fleet is good enough, told to people and to CI."""

from __future__ import annotations

import os
from pathlib import Path

from capplan.errors import SetupError
from capplan.render.junit import junit as as_junit
from capplan.render.markdown import summary
from capplan.results.store import check_writable, write_text
from capplan.results.verdict import Verdict
from capplan.workflow import sections
from capplan.workflow.capacity import current_capacity
from capplan.workflow.demand import current_demand
from capplan.workflow.provenance import provenance
from capplan.workflow.shelf import open_plan


def gate(plan: Path | str, *, junit: Path | None = None, seed: int = 1) -> Verdict:
    """Judge ``servers.planned`` of ``plan`` and keep the verdict beside the plan.

    Reads the demand and the capacity, not the recommendation: a plan must not be judged by an
    answer made from it. Writes a JUnit file when asked, and appends a summary to the file that
    ``GITHUB_STEP_SUMMARY`` names. Raises ``UsageError`` as ``recommend`` does.
    """
    from capplan.gate import judge  # loads scipy, which takes its time

    if junit:
        check_writable(junit)
    plan_file, shelf = open_plan(plan)
    measured = current_capacity(plan_file, shelf)
    traffic, notes = current_demand(plan_file, shelf, seed)
    verdict = judge(
        plan_file.plan, traffic, measured, provenance(plan_file, sections.VERDICT, seed)
    )
    verdict = verdict.model_copy(update={"notes": (*notes, *verdict.notes)})
    shelf.keep(verdict)
    if junit:
        write_text(junit, as_junit(verdict))
    if job_summary := os.environ.get("GITHUB_STEP_SUMMARY"):
        _append(Path(job_summary), summary(verdict))
    return verdict


def _append(path: Path, text: str) -> None:
    try:
        with path.open("a", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise SetupError(
            f"{path}, which GITHUB_STEP_SUMMARY names, cannot be written: {error.strerror}",
            "unset GITHUB_STEP_SUMMARY to do without the summary",
        ) from None
