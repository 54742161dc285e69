"""``capplan simulate --find`` and ``--sweep``: questions that take many simulations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict, Unpack

from capplan.plan.load import PlanFile
from capplan.plan.vary import variation, varied
from capplan.results.base import Note, Provenance
from capplan.results.breaking import BreakingPoints
from capplan.results.capacity import Capacity
from capplan.results.demand import Demand
from capplan.results.sweep import Sweep, SweepPoint
from capplan.simulate.progress import Progress
from capplan.workflow import sections
from capplan.workflow.capacity import current_capacity
from capplan.workflow.compiled import keep_compiled
from capplan.workflow.demand import current_demand
from capplan.workflow.provenance import provenance
from capplan.workflow.shelf import Shelf, open_plan
from capplan.workflow.simulate import protections
from capplan.workflow.threads import side_by_side

Show = Callable[[Progress], None]


class Options(TypedDict, total=False):
    """Which protections, which demand, which share of all: as for ``simulate``."""

    with_: Sequence[str]
    without: Sequence[str]
    only: Sequence[str] | None
    visitors: float | None
    percentile: float
    scale: float | None


def find_breaking_point(
    plan: Path | str,
    *,
    seed: int = 1,
    show: Show = lambda progress: None,
    **options: Unpack[Options],
) -> BreakingPoints:
    """Find the largest surprise that each set of protections survives, and keep it.

    Ctrl-C keeps the points that are found. Raises what ``simulate`` raises.
    """
    read = _read(plan, seed, options)

    from capplan.simulate.breaking import breaking_points  # loads scipy, which takes its time
    from capplan.simulate.scene import scene

    keep_compiled()
    found = breaking_points(
        scene(
            read.plan_file.plan,
            read.demand,
            read.capacity,
            options.get("visitors"),
            options.get("percentile", 50.0),
        ),
        read.chosen,
        read.origin,
        scale=options.get("scale"),
        workers=side_by_side,
        notes=read.notes,
        show=show,
    )
    read.shelf.keep(found)
    return found


def sweep(
    plan: Path | str,
    asked: str,
    *,
    steps: int = 7,
    seed: int = 1,
    show: Show = lambda progress: None,
    **options: Unpack[Options],
) -> Sweep:
    """Simulate the surprise at each value of a key, ``KEY=LOW..HIGH``, and keep it.

    Ctrl-C keeps the values that are over. Raises what ``simulate`` raises, and ``UsageError`` for
    a key that cannot be varied.
    """
    read = _read(plan, seed, options)
    wanted = variation(read.plan_file.plan, asked, steps)
    plans = [varied(read.plan_file.plan, wanted.key, value) for value in wanted.values]

    from capplan.simulate.scene import scene  # loads scipy, which takes its time
    from capplan.simulate.sweep import swept

    keep_compiled()
    wanted_by = (options.get("visitors"), options.get("percentile", 50.0))
    scenes = [scene(one, read.demand, read.capacity, *wanted_by) for one in plans]
    values = list(zip(wanted.values, wanted.texts, strict=True))
    points: list[SweepPoint] = []
    interrupted, scale = False, options.get("scale")
    try:
        for point in swept(
            scenes, values, read.chosen, seed, scale=scale, workers=side_by_side, show=show
        ):
            points.append(point)
    except KeyboardInterrupt:
        if not points:
            raise
        interrupted = True
    found = Sweep(
        **dict(read.origin),
        key=wanted.key,
        scale=scale or 1.0,
        points=tuple(points),
        notes=(*read.notes, *scenes[0].notes),
        interrupted=interrupted,
    )
    read.shelf.keep(found)
    return found


@dataclass(frozen=True)
class _Read:
    plan_file: PlanFile
    shelf: Shelf
    chosen: tuple[str, ...]
    demand: Demand
    capacity: Capacity | None
    origin: Provenance
    notes: tuple[Note, ...]


def _read(plan: Path | str, seed: int, options: Options) -> _Read:
    plan_file, shelf = open_plan(plan)
    chosen = protections(
        plan_file.plan,
        options.get("with_", ()),
        options.get("without", ()),
        options.get("only"),
    )
    capacity = current_capacity(plan_file, shelf)
    demand, notes = current_demand(plan_file, shelf, seed)
    origin = provenance(plan_file, sections.SIMULATION, seed)
    return _Read(plan_file, shelf, chosen, demand, capacity, origin, notes)
