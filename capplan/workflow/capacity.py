"""The measured capacity that later commands build on: never one that was measured for less.

A demand is cheap and is computed again when the plan changed. A measurement is not: it is refused,
with the command that renews it.
"""

from __future__ import annotations

from capplan.errors import UsageError
from capplan.loadtest.generators.sources import sources
from capplan.plan.load import PlanFile
from capplan.results.capacity import Capacity
from capplan.workflow import sections
from capplan.workflow.changes import changed, file_hash, listed
from capplan.workflow.shelf import Shelf, shown


def current_capacity(plan_file: PlanFile, shelf: Shelf) -> Capacity | None:
    """Return the measured capacity, or None when only the plan's assumption can stand in.

    Raises ``UsageError`` when the measurement belongs to an earlier state of the plan or of the
    locustfile, and when there is neither a measurement nor an assumption.
    """
    measured = shelf.find(Capacity)
    if measured is None:
        if plan_file.plan.servers.capacity is None:
            raise UsageError(
                "it is not known what one server sustains",
                f"measure it with: capplan loadtest {shown(plan_file.path)}; "
                "or assume it in the plan, such as servers: {capacity: 350 to 420 rps}",
            )
        return None
    asked = sections.of_capacity(measured.identity.unit)
    changes = changed(measured.plan.sections, plan_file.sections(*asked))
    if not changes and _locustfile_changed(plan_file, measured):
        changes = (f"the content of {measured.identity.locustfile} or of what it imports",)
    if changes:
        raise UsageError(
            f"the measured capacity no longer belongs to the plan: {listed(changes)} changed "
            f"since {measured.made_at:%Y-%m-%d %H:%M %Z}",
            f"measure again with: capplan loadtest {shown(plan_file.path)}",
        )
    return measured


def _locustfile_changed(plan_file: PlanFile, measured: Capacity) -> bool:
    # a locustfile that is not here, as in a CI job that has only the results, cannot have changed
    paths = [plan_file.resolve(name) for name in plan_file.plan.service.locustfile or ()]
    here = paths and all(path.is_file() for path in paths)
    return bool(here and file_hash(*sources(paths)) != measured.identity.locustfile_hash)
