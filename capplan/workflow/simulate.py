"""``capplan simulate``: what happens when the forecast is wrong, and what saves the sale."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from capplan.errors import UsageError
from capplan.plan.saleday import PROTECTIONS
from capplan.plan.schema import Plan
from capplan.results.capacity import Capacity
from capplan.results.demand import Demand
from capplan.results.simulation import Act, Ranking, SecondsFile, Simulation
from capplan.results.store import write_text
from capplan.simulate.progress import Progress
from capplan.workflow import sections
from capplan.workflow.capacity import current_capacity
from capplan.workflow.compiled import keep_compiled
from capplan.workflow.demand import current_demand
from capplan.workflow.provenance import provenance
from capplan.workflow.shelf import open_plan
from capplan.workflow.threads import all_cores

if TYPE_CHECKING:
    from capplan.results.seconds import ActSeconds
    from capplan.simulate.acts import Script
    from capplan.simulate.scene import Scene
    from capplan.simulate.worth import Comparison

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

    from capplan.simulate.acts import scripts  # loads scipy, which takes its time
    from capplan.simulate.play import simulation
    from capplan.simulate.scaled import check_size
    from capplan.simulate.scene import scene as set_scene
    from capplan.simulate.worth import comparison

    scene = set_scene(plan_file.plan, traffic, measured, visitors, percentile)
    keep_compiled()
    second = _second_servers(plan_file.plan, traffic, measured, visitors, percentile)
    todo = list(scripts(scene, chosen, second))
    if scale is None:
        check_size(scene, todo)
    compared = comparison(scene, chosen, combinations=combinations) if ranking else None
    work = _Work(scene, todo, compared, chosen, seed, scale or 1.0)
    done = _play(work, show, act_done)
    packed, kept = done.packed
    result = simulation(
        scene, done.acts, traffic, origin, notes=(*notes, *(compared.notes if compared else ())),
        scale=work.scale, percentile=percentile, shed=done.shed, worth=done.worth,
        seconds=kept if shelf.folder else None, interrupted=done.interrupted,
    )  # fmt: skip
    shelf.keep_beside(kept.file, packed)
    shelf.keep(result)
    if csv:
        from capplan.render.csv import act as act_as_csv

        texts = (act_as_csv(one, header=not place) for place, one in enumerate(done.seconds))
        write_text(csv, "".join(texts))
    return result


@dataclass(frozen=True)
class _Work:
    """The acts and the ranking that are to be simulated."""

    scene: Scene
    todo: Sequence[Script]
    compared: Comparison | None
    chosen: tuple[str, ...]
    seed: int
    scale: float


@dataclass
class _Done:
    """What of it is over."""

    acts: list[Act] = field(default_factory=list)
    seconds: list[ActSeconds] = field(default_factory=list)
    shed: Act | None = None
    worth: Ranking | None = None
    packed: tuple[bytes, SecondsFile] = field(init=False)
    interrupted: bool = False


def _play(work: _Work, show: Show, act_done: Callable[[Act], None]) -> _Done:
    """Simulate all of it, or what is over when an interrupt comes; without one act that goes on.

    The ranking begins while the last acts go on, and the acts are packed meanwhile.
    """
    from capplan.results.seconds import pack
    from capplan.simulate.acts import shedding
    from capplan.simulate.play import play
    from capplan.simulate.scaled import attempts
    from capplan.simulate.worth import rank, simulated

    scene, seed, scale, done = work.scene, work.seed, work.scale, _Done()
    ranked = work.compared if work.compared and work.compared.affordable else None
    of_acts = scale * sum(attempts(scene, script) for script in work.todo)
    share = of_acts / (of_acts + (ranked.attempts if ranked else 0.0))
    try:
        shown = _part(show, 0.0, share)
        with all_cores() as begin:
            acts = play(scene, work.todo, seed, scale, shown, done.seconds.append, begin)
            shed = play(scene, [shedding(scene)], seed, scale, workers=begin)
            runs = simulated(ranked, seed, begin) if ranked else ()
            for act in acts:
                done.acts.append(act)
                act_done(act)
            done.packed = pack(done.seconds)
            done.shed = next(shed)
            if ranked:
                done.worth = rank(ranked, work.chosen, runs, _part(show, share, 1.0))
    except KeyboardInterrupt:
        if not done.acts:
            raise
        done.interrupted = True
        done.seconds = done.seconds[: len(done.acts)]
        done.packed = pack(done.seconds)
    return done


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
