"""Play the acts, and put them together."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from threading import Lock

from capplan.results.base import Note, Provenance
from capplan.results.demand import Demand
from capplan.results.seconds import ActSeconds
from capplan.results.simulation import Act, Model, Ranking, SecondsFile, Simulation
from capplan.simulate import detail
from capplan.simulate.acts import Script
from capplan.simulate.laws import disagreements, laws
from capplan.simulate.outcome import act
from capplan.simulate.progress import Progress
from capplan.simulate.protections import settings
from capplan.simulate.scaled import attempts, scaled_notes, shrink
from capplan.simulate.scene import Scene
from capplan.simulate.together import Halt, Workers, one_by_one, run
from capplan.units import format_rate, format_share

_MANY_PAY = 385

Show = Callable[[Progress], None]


def play(
    scene: Scene,
    todo: Sequence[Script],
    seed: int,
    scale: float = 1.0,
    show: Show = lambda progress: None,
    keep: Callable[[ActSeconds], None] = lambda seconds: None,
    workers: Workers = one_by_one,
) -> Iterator[Act]:
    """Give the acts to the workers, and yield them in their order, each as soon as it is over.

    ``scale`` is the share of demand and fleet that is simulated. ``keep`` gets what happened second
    by second. After an interrupt those that are over are yielded before it goes on.
    """
    clocks, over = _Clocks(scene, todo, scale, show), dict[int, tuple[Act, ActSeconds]]()

    def simulated(number: int, halt: Halt) -> int:
        script = todo[number]
        world, share = run(scene, script, seed, scale, halt, partial(clocks.set, number))
        shown = detail.seconds(scene, script, world, share)
        over[number] = act(scene, script, world, shown, share), shown
        return number

    def taken(number: int) -> Act:
        one, shown = over.pop(number)
        keep(shown)
        return one

    def in_order(numbers: Iterator[int]) -> Iterator[Act]:
        try:
            yield from map(taken, numbers)
        except KeyboardInterrupt:
            yield from map(taken, sorted(over))
            raise

    return in_order(workers(simulated, range(len(todo))))


class _Clocks:
    """How far acts are that are simulated side by side; the first that is not over is shown."""

    def __init__(self, scene: Scene, todo: Sequence[Script], scale: float, show: Show) -> None:
        sizes = [attempts(*shrink(scene, script, scale)) for script in todo]
        self._scene, self._todo, self._show = scene, todo, show
        self._shares = [size / sum(sizes) for size in sizes]
        self._until_s, self._lock = [0.0] * len(todo), Lock()

    def set(self, number: int, until_s: float) -> None:
        """Note how many seconds of an act are over."""
        with self._lock:
            self._until_s[number] = until_s
            pairs = zip(self._shares, self._until_s, strict=True)
            done = sum(share * over_s for share, over_s in pairs) / self._scene.seconds
            under_way = (n for n, at_s in enumerate(self._until_s) if at_s < self._scene.seconds)
            first = next(under_way, number)
            script, clock_s = self._todo[first], self._scene.begins_s + self._until_s[first]
            self._show(Progress(script.name, bool(script.protections), clock_s, min(done, 1.0)))


def simulation(
    scene: Scene,
    acts: Sequence[Act],
    demand: Demand,
    origin: Provenance,
    *,
    notes: tuple[Note, ...] = (),
    scale: float = 1.0,
    percentile: float = 50.0,
    shed: Act | None = None,
    worth: Ranking | None = None,
    seconds: SecondsFile | None = None,
    interrupted: bool = False,
) -> Simulation:
    """Put the acts that are over together with what was known in advance."""
    found = laws(scene, tuple(acts), shed)
    saleday, servers = scene.plan.saleday, scene.planned
    return Simulation(
        **dict(origin),
        sale_start=demand.sale_start,
        model=Model(
            slots=scene.server.slots,
            service_s=scene.server.service_s,
            server_capacity_rps=scene.server.capacity_rps,
            fleet_efficiency=scene.basis.efficiency(servers),
            think_s=scene.think_s,
            requests_per_visit=scene.per_visit,
            per_visit={step.name: step.per_visit for step in scene.steps},
            patience_s=scene.patience_s,
            attempts=saleday.attempts,
            surprise=saleday.surprise,
            scale=scale,
            percentile=percentile,
        ),
        acts=tuple(acts),
        settings=tuple(
            one
            for one in settings(scene, servers)
            if any(one.protection in act.protections for act in acts)
        ),
        laws=found,
        protection_worth=worth,
        seconds=seconds,
        notes=(
            *notes,
            *scene.notes,
            *scaled_notes(scene, acts, scale),
            *_few_pay(acts, scale),
            *_connections(scene, acts),
            *disagreements(found),
        ),
        interrupted=interrupted,
    )


def _few_pay(acts: Sequence[Act], scale: float) -> tuple[Note, ...]:
    """Note where chance moves the number that paid by more than a tenth (Poisson, 1.96 sd)."""
    least = scale * min((act.could_pay for act in acts), default=math.inf)
    if least >= _MANY_PAY:
        return ()
    share = format_share(1.96 / math.sqrt(max(least, 1.0)))
    return (
        Note(
            code="few_pay",
            message=f"only about {least:.0f} visits of an act want to pay: chance alone moves that "
            f"by {share}",
            advice="compare acts by the visits that were abandoned, or use several seeds",
        ),
    )


def _connections(scene: Scene, acts: Sequence[Act]) -> tuple[Note, ...]:
    """Note where multiplexing changes nothing, and where too few connections keep slots idle."""
    count, servers = scene.plan.saleday.connections, scene.planned
    if count is None:
        if all("multiplex" not in act.protections for act in acts):
            return ()
        return (
            Note(
                code="nothing_to_multiplex",
                message="multiplex changes nothing: in this plan no connection answers in order",
                advice="give saleday.connections, how many go from the gateway to the servers",
            ),
        )
    carries_rps = count / scene.held_s(servers)
    if carries_rps >= scene.capacity_rps(servers):
        return ()
    return (
        Note(
            code="few_connections",
            message=f"{count} connections that answer in order carry {format_rate(carries_rps)} at "
            f"most, and the servers {format_rate(scene.capacity_rps(servers))}",
            advice="open more, or let them answer in any order: --with multiplex",
        ),
    )
