"""What an act amounts to: from the kernel's counts to a result."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from capplan.results.seconds import ActSeconds
from capplan.results.simulation import Act, ActInShort, ActSeries, ClassOutcome, ServiceOutcome
from capplan.simulate.acts import Script
from capplan.simulate.behind import Service
from capplan.simulate.detail import QUANTILES, percentiles, servers_per_s
from capplan.simulate.judge import judge
from capplan.simulate.kernel.tally import (
    COUNTS,
    FIRST_REASON,
    LAYERS,
    REASONS,
    VISITS,
)
from capplan.simulate.kernel.world import World
from capplan.simulate.scene import Scene
from capplan.simulate.stock import sales, unsold_visits

Floats = NDArray[np.float64]

_LONGEST_SERIES = 1800
_BUSIEST_S = 10
_COUNT = {name: place for place, name in enumerate(COUNTS)}


def act(scene: Scene, script: Script, world: World, shown: ActSeconds, share: float = 1.0) -> Act:
    """Sum up what happened in an act, of which ``share`` was simulated; counts are of the whole.

    ``shown`` is the same second by second.
    """
    names = [*(step.name for step in scene.steps)]
    names += [group.name for group in scene.bots()] if script.attacked else []
    return Act(
        **dict(in_short(scene, script, world, share)),
        capacity_rps=scene.capacity_rps(script.servers),
        classes={name: _class(world, kind, share) for kind, name in enumerate(names)},
        downstream={
            one.name: _service(world, place, one, share) for place, one in enumerate(scene.services)
        },
        series=_series(scene, world, shown),
    )


def in_short(scene: Scene, script: Script, world: World, share: float = 1.0) -> ActInShort:
    """Sum up an act without its classes and seconds, which takes a tenth of the time."""
    counts, visits = world.tables["counts"], world.tables["visits"].sum(axis=0)
    people = len(scene.steps)
    offered, good = (counts[:, :people, _COUNT[what]].sum(axis=1) for what in ("offered", "good"))
    capacity_rps = _capacity_rps(scene, script, world, share)
    judged = judge(
        offered,
        good,
        counts[:, :, _COUNT["offered"]].sum(axis=1),
        capacity_rps * share,
        scene.patience_s,
    )
    begun = round(visits[VISITS.index("begun")] / share)
    sold = sales(scene, script, world, share)
    lost = round((visits[VISITS.index("abandoned")] + visits[VISITS.index("tired")]) / share)
    # an expectation, which chance may exceed
    could = scene.paying * min(begun, float(capacity_rps.sum()) / scene.per_visit)
    could = min(max(could, float(sold.paid)), scene.stock)
    missed = min(lost, unsold_visits(scene, sold))
    value = scene.plan.policy.value_per_visit
    return ActInShort(
        name=script.name,
        protections=script.protections,
        servers=script.servers,
        visits=begun,
        paid=sold.paid,
        could_pay=could,
        paid_ratio=sold.paid / could if could > 0 else 1.0,
        scalped=sold.scalped,
        sold_out_at_s=_from_start(scene, sold.out_at_s),
        abandoned=lost,
        peak_queue=round(
            float(world.tables["levels"][:, :, LAYERS.index("queued")].sum(axis=1).max()) / share
        ),
        outcome=judged.outcome,
        lost_at_s=_from_start(scene, judged.lost_at_s),
        recovered_at_s=_from_start(scene, judged.recovered_at_s),
        metastable=judged.metastable,
        lost_value=None if value is None else missed * value,
    )


def _capacity_rps(scene: Scene, script: Script, world: World, share: float) -> Floats:
    """Return what the servers of each second finish when they are always busy, of the whole."""
    servers = servers_per_s(script, world, share)
    known = {count: scene.capacity_rps(round(count)) for count in set(servers.tolist())}
    return np.array([known[count] for count in servers.tolist()])


def shoppers_per_s(scene: Scene, world: World, what: str, share: float) -> Floats:
    """Return how many requests of shoppers were ``what`` in each second."""
    counted = world.tables["counts"][:, : len(scene.steps), _COUNT[what]]
    return np.asarray(counted.sum(axis=1) / share)


def _from_start(scene: Scene, second: float | None) -> float | None:
    return None if second is None else scene.begins_s + second


def _class(world: World, kind: int, share: float) -> ClassOutcome:
    totals = world.tables["counts"][:, kind].sum(axis=0) / share
    offered, good = round(totals[_COUNT["offered"]]), round(totals[_COUNT["good"]])
    bins = world.tables["latency"][:, kind].sum(axis=0)
    p50, p95, p99 = _or_none(percentiles(bins, QUANTILES))
    return ClassOutcome(
        offered=offered,
        attempts=round(totals[_COUNT["attempts"]]),
        served=good,
        served_ratio=min(good / offered, 1.0) if offered else 1.0,
        timed_out=round(totals[_COUNT["timed_out"]]),
        given_up=round(totals[_COUNT["given_up"]]),
        rejected_by={
            reason: round(count)
            for reason, count in zip(REASONS, totals[FIRST_REASON:], strict=True)
            if count
        },
        latency_s_p50=p50,
        latency_s_p95=p95,
        latency_s_p99=p99,
        degraded=round(totals[_COUNT["degraded"]]),
    )


def _service(world: World, place: int, one: Service, share: float) -> ServiceOutcome:
    levels = world.tables["behind"][:, place]
    busy = np.asarray(levels["busy"], float) / share / one.slots
    window = min(_BUSIEST_S, len(busy))
    return ServiceOutcome(
        slots=one.slots,
        service_s=one.given.service_time,
        capacity_rps=one.capacity_rps,
        busy=min(round(float(np.convolve(busy, np.ones(window), "valid").max()) / window, 4), 1.0),
        peak_queue=round(float(levels["queued"].max()) / share),
        breaker_opened=int(world.tables["guards"]["opened"][place + 1].sum()),
    )


def _or_none(values: Floats) -> tuple[float | None, ...]:
    return tuple(None if np.isnan(value) else float(value) for value in values)


def _series(scene: Scene, world: World, shown: ActSeconds) -> ActSeries:
    people, seconds = len(scene.steps), scene.seconds
    step = -(-seconds // _LONGEST_SERIES)
    edges = np.arange(0, seconds, step)
    ends = np.minimum(edges + step - 1, seconds - 1)
    everyone, shoppers, bots = [-1], slice(people), slice(people, -1)

    def mean(what: str, kinds: slice | list[int]) -> tuple[float, ...]:
        per_second = shown.of_class[what][:, kinds].sum(axis=1)
        return tuple((np.add.reduceat(per_second, edges) / step).tolist())

    def level(values: NDArray[np.floating]) -> tuple[float, ...]:
        return tuple(values[ends].tolist())

    def of_services(what: str) -> dict[str, tuple[float, ...]]:
        values = shown.of_service[what]
        return {name: level(values[:, place]) for place, name in enumerate(shown.services)}

    latency = np.add.reduceat(world.tables["latency"][:, :people].sum(axis=1), edges, axis=0)
    p50, p95, p99 = (_or_none(values) for values in percentiles(latency, QUANTILES).T)
    refused = {
        reason: mean(f"refused_{reason}", everyone)
        for reason in REASONS
        if shown.of_class[f"refused_{reason}"].any()
    }
    return ActSeries(
        step_s=float(step),
        t_s=tuple(float(shown.t_s[edge]) for edge in edges),
        offered=mean("offered", shoppers),
        bots=mean("offered", bots),
        attempts=mean("attempts", everyone),
        admitted=mean("admitted", everyone),
        good=mean("good", shoppers),
        rejected=mean("refused", everyone),
        rejected_by=refused,
        timed_out=mean("timed_out", everyone),
        queue=level(shown.of_class["queued"][:, -1]),
        in_service=level(shown.of_class["served"][:, -1]),
        in_flight=level(shown.of_class["in_flight"][:, -1]),
        thinking=level(shown.of_class["thinking"][:, -1]),
        servers=level(shown.of_everybody["servers"]),
        queue_downstream=of_services("queued"),
        in_service_downstream=of_services("busy"),
        latency_s_p50=p50,
        latency_s_p95=p95,
        latency_s_p99=p99,
    )
