"""The acts: what comes, onto which fleet, behind which protections."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from capplan.errors import UsageError
from capplan.model.service_time import Exponential, ServiceTime, TwoSpeeds
from capplan.plan.layers import Refreshers, SlowRequests
from capplan.plan.saleday import BotGroup
from capplan.results.simulation import AS_PLANNED as AS_PLANNED
from capplan.results.simulation import ATTACK as ATTACK
from capplan.results.simulation import SECOND as SECOND
from capplan.results.simulation import SURPRISE as SURPRISE
from capplan.simulate.fleet import fleet
from capplan.simulate.guards import connections, downstream
from capplan.simulate.kernel.setup import Bots, Kind, Setup
from capplan.simulate.protections import identities, protect
from capplan.simulate.scene import Scene
from capplan.units import format_duration


@dataclass(frozen=True)
class Script:
    """One act before it is simulated: ``factor`` times the demand, with bots or without."""

    name: str
    factor: float
    attacked: bool
    servers: int
    protections: tuple[str, ...]


def scripts(scene: Scene, protections: Sequence[str], second_servers: int) -> Iterator[Script]:
    """List the acts: each unprotected and protected, and at last the sale that follows."""
    surprise, chosen = scene.plan.saleday.surprise, tuple(protections)
    for name, factor, attacked in (
        (AS_PLANNED, 1.0, False),
        (SURPRISE, surprise, False),
        (ATTACK, surprise, True),
    ):
        yield Script(name, factor, attacked, scene.planned, ())
        if chosen:
            yield Script(name, factor, attacked, scene.planned, chosen)
    yield Script(SECOND, surprise, True, second_servers, chosen)


def shedding(scene: Scene) -> Script:
    """Return the surprise behind a bounded queue alone: the case of the law of rejection."""
    return Script(SURPRISE, scene.plan.saleday.surprise, False, scene.planned, ("queue-bound",))


def stage(scene: Scene, script: Script, seed: int) -> Setup:
    """Return the simulation of one act."""
    saleday = scene.plan.saleday
    works_s = _works_s(scene, script.servers)
    reloads = saleday.refreshers or Refreshers(share=0.0)
    kinds = [
        Kind(
            name=step.name,
            service=_service_time(works_s[step.name], saleday.slow),
            think_s=scene.think_s,
            patience_s=scene.patience_s,
            restless_s=saleday.impatience or math.inf,
            attempts=saleday.attempts,
            pause_s=saleday.backoff,
            jitter=saleday.jitter,
            cacheable=step.cacheable,
            paid=number == len(scene.steps) - 1,
            degraded=step.degraded,
            eager=reloads.share,
            reload_s=reloads.after,
            reloads=reloads.times,
        )
        for number, step in enumerate(scene.steps)
    ]
    groups = scene.bots() if script.attacked else ()
    kinds += [_bot_kind(scene, group, kinds) for group in groups]
    setup = Setup(
        kinds=kinds,
        visits_per_s=scene.visits_per_s * script.factor,
        fleet=fleet(scene, script.servers),
        walk=_walk(scene, len(kinds)),
        bots=[Bots(g.name, _bot_rate(scene, g), identities(scene, g)) for g in groups],
        throttle=saleday.throttle,
        connections=connections(scene),
        downstream=downstream(scene, {group.name: scene.target(group) for group in groups}),
        seed=seed,
    )
    begins_s = [group.start - scene.begins_s for group in groups]
    return protect(
        setup, scene, script.servers, script.protections, min(begins_s, default=math.inf)
    )


def _works_s(scene: Scene, servers: int) -> dict[str, float]:
    """Return how long a server itself works on a request of each class.

    The measured service time is that of the whole mix. Where a slot is a processor, it is held
    meanwhile, and has the time downstream in it.
    """
    measured_s = scene.server.service_s / scene.basis.efficiency(servers)
    requests = sum(step.per_visit for step in scene.steps)
    mean_cost = sum(step.cost * step.per_visit for step in scene.steps) / requests
    works_s = {step.name: measured_s * step.cost / mean_cost for step in scene.steps}
    if scene.plan.saleday.sharing:
        return works_s
    for name, total_s in works_s.items():
        behind_s = sum(one.need_s[name] for one in scene.services)
        if behind_s >= total_s:
            raise UsageError(
                f"saleday.downstream: a request of class {name!r} takes "
                f"{format_duration(total_s)} on a server, as measured, and its calls downstream "
                f"would take {format_duration(behind_s)} of that",
                "give saleday.workers, how many requests a server holds at once while they wait "
                "(then they share its processors, and these calls come on top), a shorter "
                "service_time, or the class a higher cost",
            )
        works_s[name] = total_s - behind_s
    return works_s


def _service_time(mean_s: float, slow: SlowRequests | None) -> ServiceTime:
    return TwoSpeeds(mean_s, slow.share, slow.factor) if slow else Exponential(mean_s)


def _walk(scene: Scene, kinds: int) -> np.ndarray:
    from capplan.simulate.shoppers import walk

    chances = np.zeros((kinds + 1, kinds))
    people = walk(scene.steps)
    count = len(scene.steps)
    chances[:count, :count] = people[:-1]
    chances[-1, :count] = people[-1]
    return chances


def _bot_kind(scene: Scene, group: BotGroup, kinds: Sequence[Kind]) -> Kind:
    target = scene.target(group)
    same = next((kind for kind in kinds if kind.name == target), None)
    if same is None:
        known = ", ".join(kind.name for kind in kinds)
        raise UsageError(
            f"saleday.bots: {group.name!r} aim at {target!r}, which is not a class of requests",
            f"use one of {known}",
        )
    if any(kind.name == group.name for kind in kinds):
        raise UsageError(f"saleday.bots: {group.name!r} is the name of a class of requests, too")
    return Kind(
        group.name, same.service, patience_s=scene.patience_s, cacheable=same.cacheable, bot=True,
        degraded=same.degraded,
    )  # fmt: skip


def _bot_rate(scene: Scene, group: BotGroup) -> np.ndarray:
    t_s = scene.begins_s + np.arange(scene.seconds) + 0.5
    if group.start >= scene.begins_s + scene.seconds:
        raise UsageError(f"saleday.bots: {group.name!r} start after the end of the sale")
    since_s = t_s - group.start
    risen = np.clip(since_s / group.ramp, 0.0, 1.0) if group.ramp > 0 else since_s >= 0
    lasting = since_s < (group.duration or math.inf)
    return np.asarray(group.rate * risen * (since_s >= 0) * lasting, float)
