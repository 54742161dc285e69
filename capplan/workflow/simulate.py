"""``capplan simulate``: what happens when the forecast is wrong, and what saves the sale."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from capplan.errors import UsageError
from capplan.plan.saleday import PROTECTIONS
from capplan.plan.schema import Plan
from capplan.results.capacity import Capacity
from capplan.results.demand import Demand
from capplan.results.simulation import Act, Simulation
from capplan.results.store import write_text
from capplan.simulate.progress import Progress
from capplan.workflow import sections
from capplan.workflow.capacity import current_capacity
from capplan.workflow.compiled import keep_compiled
from capplan.workflow.demand import current_demand
from capplan.workflow.provenance import provenance
from capplan.workflow.shelf import open_plan
from capplan.workflow.threads import side_by_side

Show = Callable[[Progress], None]


def simulate(
    plan: Path | str,
    *,
    with_: Sequence[str] = (),
    without: Sequence[str] = (),
    only: Sequence[str] | None = None,
    visitors: float | None = None,
    percentile: float = 50.0,
    scale: float | None = None,
    ranking: bool = True,
    combinations: bool = False,
    csv: Path | None = None,
    seed: int = 1,
    show: Show = lambda progress: None,
    act_done: Callable[[Act], None] = lambda act: None,
) -> Simulation:
    """Simulate the sale in ``plan`` and keep the acts beside the plan.

    The protections are those of the plan, and ``with_``, less ``without``; or ``only`` some.
    The demand is that of a ``percentile``; ``visitors`` in all take its place. ``scale`` is the
    share of demand and fleet that is simulated; without one, a sale that takes too long is
    refused. ``ranking`` adds what each protection is worth, ``combinations`` simulates every set of
    them, ``csv`` writes the acts second by second. Ctrl-C keeps the acts that are over. Raises
    ``UsageError`` as ``recommend`` does, and for settings that contradict each other.
    """
    plan_file, shelf = open_plan(plan)
    chosen = protections(plan_file.plan, with_, without, only)
    measured = current_capacity(plan_file, shelf)
    traffic, notes = current_demand(plan_file, shelf, seed)
    origin = provenance(plan_file, sections.SIMULATION, seed)

    from capplan.render.csv import act as act_as_csv
    from capplan.simulate.acts import scripts, shedding  # loads scipy and numba
    from capplan.simulate.detail import Detail
    from capplan.simulate.play import play, simulation
    from capplan.simulate.scaled import attempts, check_size
    from capplan.simulate.scene import scene as set_scene
    from capplan.simulate.worth import comparison, rank

    scene = set_scene(plan_file.plan, traffic, measured, visitors, percentile)
    keep_compiled()
    second = _second_servers(plan_file.plan, traffic, measured, visitors, percentile)
    todo = list(scripts(scene, chosen, second))
    if scale is None:
        check_size(scene, todo)
    compared = comparison(scene, chosen, combinations=combinations)
    notes = (*notes, *(compared.notes if ranking else ()))
    ranking = ranking and compared.affordable
    work = (scale or 1.0) * sum(attempts(scene, script) for script in todo)
    acts_share = work / (work + compared.attempts * ranking)
    acts: list[Act] = []
    shed, worth, interrupted = None, None, False
    seconds: list[str] = []

    def keep(one: Detail) -> None:
        seconds.append(act_as_csv(one, header=not seconds))

    try:
        for act in play(
            scene, todo, seed, scale or 1.0, _part(show, 0.0, acts_share), keep if csv else None
        ):
            acts.append(act)
            act_done(act)
        shed = next(play(scene, [shedding(scene)], seed, scale or 1.0))
        if ranking:
            worth = rank(compared, chosen, seed, side_by_side, _part(show, acts_share, 1.0))
    except KeyboardInterrupt:
        if not acts:
            raise
        interrupted = True
    result = simulation(
        scene, acts, traffic, origin, notes=notes, scale=scale or 1.0, percentile=percentile,
        shed=shed, worth=worth, interrupted=interrupted,
    )  # fmt: skip
    shelf.keep(result)
    if csv:
        write_text(csv, "".join(seconds))
    return result


def _part(show: Show, low: float, high: float) -> Show:
    """Show the progress of a part of the work, from the share ``low`` of all of it to ``high``."""
    return lambda one: show(replace(one, done=low + (high - low) * one.done))


def protections(
    plan: Plan, with_: Sequence[str], without: Sequence[str], only: Sequence[str] | None
) -> tuple[str, ...]:
    """Return the protections to simulate, in the order in which a request meets them.

    Raises ``UsageError`` for one that is not known.
    """
    for option, names in (("--with", with_), ("--without", without), ("--only", only or ())):
        for name in names:
            if name not in PROTECTIONS:
                raise UsageError(
                    f"{option}: {name!r} is not a protection",
                    f"use one of {', '.join(PROTECTIONS)}",
                )
    if only is not None and with_:
        raise UsageError(
            "--only and --with exclude each other", "name all that you want with --only"
        )
    base = set(plan.saleday.protections if only is None else only)
    chosen = (base | set(with_)) - set(without)
    return tuple(name for name in PROTECTIONS if name in chosen)


def _second_servers(
    plan: Plan,
    demand: Demand,
    capacity: Capacity | None,
    visitors: float | None,
    percentile: float,
) -> int:
    """Return the fleet that would be recommended, had the surprise been expected."""
    import numpy as np

    from capplan.recommend.fleet import fleet

    factor = plan.saleday.surprise
    if visitors is not None:
        factor *= visitors / demand.visits_total.p50
    elif percentile != 50:
        factor *= np.quantile(demand.peak_quantiles_rps, percentile / 100) / demand.peak_rps.p50
    return fleet(plan, _scaled(demand, factor), capacity)


def _scaled(demand: Demand, factor: float) -> Demand:
    """Return the demand that had been estimated, had the surprise been known for certain."""
    profile = demand.profile
    median = tuple(rate * factor for rate in profile.rps_p50)
    peak_rps = demand.peak_rps.p50 * factor
    return demand.model_copy(
        update={
            "profile": profile.model_copy(
                update={"rps_p5": median, "rps_p50": median, "rps_p95": median}
            ),
            "peak_quantiles_rps": (peak_rps,) * len(demand.peak_quantiles_rps),
        }
    )
