"""What an act amounts to: from the kernel's counts to a result."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from capplan.results.simulation import Act, ActSeries, ClassOutcome
from capplan.simulate.acts import Script
from capplan.simulate.judge import judge
from capplan.simulate.kernel.tally import (
    COUNTS,
    FIRST_REASON,
    LAYERS,
    REASONS,
    VISITS,
    bin_ends_s,
)
from capplan.simulate.kernel.world import World
from capplan.simulate.scene import Scene

Ints = NDArray[np.int64]

_LONGEST_SERIES = 1800
_COUNT = {name: place for place, name in enumerate(COUNTS)}


def act(scene: Scene, script: Script, world: World, share: float = 1.0) -> Act:
    """Sum up what happened in an act, of which ``share`` was simulated; counts are of the whole."""
    counts, visits = world.tables["counts"], world.tables["visits"].sum(axis=0)
    people = len(scene.steps)
    offered, good = (counts[:, :people, _COUNT[what]].sum(axis=1) for what in ("offered", "good"))
    capacity_rps = scene.capacity_rps(script.servers)
    judged = judge(
        offered,
        good,
        counts[:, :, _COUNT["offered"]].sum(axis=1),
        capacity_rps * share,
        scene.patience_s,
    )
    begun, paid = (round(visits[VISITS.index(what)] / share) for what in ("begun", "paid"))
    lost = round((visits[VISITS.index("abandoned")] + visits[VISITS.index("tired")]) / share)
    # an expectation, which chance may exceed
    could = scene.paying * min(begun, capacity_rps / scene.per_visit * scene.seconds)
    could = max(could, float(paid))
    value = scene.plan.policy.value_per_visit
    names = [*(step.name for step in scene.steps)]
    names += [group.name for group in scene.bots()] if script.attacked else []
    return Act(
        name=script.name,
        protections=script.protections,
        servers=script.servers,
        capacity_rps=capacity_rps,
        visits=begun,
        paid=paid,
        could_pay=could,
        paid_ratio=paid / could if could > 0 else 1.0,
        abandoned=lost,
        classes={name: _class(world, kind, share) for kind, name in enumerate(names)},
        peak_queue=round(float(world.tables["levels"][:, LAYERS.index("queued")].max()) / share),
        outcome=judged.outcome,
        lost_at_s=_from_start(scene, judged.lost_at_s),
        recovered_at_s=_from_start(scene, judged.recovered_at_s),
        metastable=judged.metastable,
        lost_value=None if value is None else lost * value,
        series=_series(scene, world, share),
    )


def _from_start(scene: Scene, second: float | None) -> float | None:
    return None if second is None else scene.begins_s + second


def _class(world: World, kind: int, share: float) -> ClassOutcome:
    totals = world.tables["counts"][:, kind].sum(axis=0) / share
    offered, good = round(totals[_COUNT["offered"]]), round(totals[_COUNT["good"]])
    bins = world.tables["latency"][:, kind].sum(axis=0)
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
        latency_s_p50=_percentile(bins, 0.5),
        latency_s_p95=_percentile(bins, 0.95),
        latency_s_p99=_percentile(bins, 0.99),
    )


def _percentile(bins: Ints, quantile: float) -> float | None:
    """Return the middle of the bin in which a quantile of the latencies lies."""
    total = int(bins.sum())
    if not total:
        return None
    place = int(np.searchsorted(np.cumsum(bins), quantile * total))
    ends = bin_ends_s()
    return float(np.sqrt(ends[max(place - 1, 0)] * ends[place]))


def _series(scene: Scene, world: World, share: float) -> ActSeries:
    counts, levels = world.tables["counts"] / share, world.tables["levels"] / share
    people, seconds = len(scene.steps), scene.seconds
    step = -(-seconds // _LONGEST_SERIES)
    edges = np.arange(0, seconds, step)

    def per_s(what: str, kinds: slice) -> tuple[float, ...]:
        sums = np.add.reduceat(counts[:, kinds, _COUNT[what]].sum(axis=1), edges)
        return tuple((sums / step).tolist())

    def level(layer: str) -> tuple[float, ...]:
        ends = np.minimum(edges + step - 1, seconds - 1)
        return tuple(float(value) for value in levels[ends, LAYERS.index(layer)])

    refused = np.add.reduceat(counts[:, :, FIRST_REASON:].sum(axis=(1, 2)), edges)
    latency = np.add.reduceat(world.tables["latency"][:, :people].sum(axis=1), edges, axis=0)
    everyone, shoppers = slice(None), slice(people)
    return ActSeries(
        step_s=float(step),
        t_s=tuple((scene.begins_s + edges).astype(float).tolist()),
        offered=per_s("offered", shoppers),
        bots=per_s("offered", slice(people, None)),
        attempts=per_s("attempts", everyone),
        good=per_s("good", shoppers),
        rejected=tuple((refused / step).tolist()),
        timed_out=per_s("timed_out", everyone),
        queue=level("queued"),
        in_service=level("served"),
        thinking=level("thinking"),
        latency_s_p95=tuple(_percentile(bins, 0.95) for bins in latency),
    )
