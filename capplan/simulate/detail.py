"""One act second by second and class by class: everything that the kernel counted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from capplan.simulate.acts import Script
from capplan.simulate.kernel.tally import COUNTS, FIRST_REASON, LAYERS, REASONS, bin_ends_s
from capplan.simulate.kernel.world import World
from capplan.simulate.scene import Scene

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

QUANTILES = (0.5, 0.95, 0.99)
AT_ONCE = tuple(
    place
    for place, name in enumerate(REASONS)
    if name not in ("queue-timeout", "failed", "downstream", "circuit-breaker")
)
"""Reasons for which an attempt is refused when it is made, and not later."""
IN_FLIGHT = tuple(
    LAYERS.index(name)
    for name in (
        "queued", "served", "bucket", "limiter", "wire", "queued downstream", "served downstream",
    )
)  # fmt: skip


@dataclass(frozen=True)
class Detail:
    """What happened in each second ``t_s``, from the start of the sale on.

    ``counts[second, class, count]`` has the counts of ``COUNTS``, ``levels[second, layer]`` how
    many were in each of ``LAYERS`` at its end, ``servers[second]`` how many servers there were,
    ``visits[second, count]`` has the counts of ``VISITS``; ``bins[second, class, bin]`` is the
    histogram of latencies. The last class is all.
    """

    act: str
    protections: tuple[str, ...]
    servers: Floats
    classes: tuple[str, ...]
    t_s: Ints
    counts: Floats
    visits: Floats
    levels: Floats
    bins: Ints

    @property
    def admitted(self) -> Floats:
        """Attempts that nobody refused when they were made: ``[second, class]``."""
        refused = self.counts[:, :, [FIRST_REASON + place for place in AT_ONCE]].sum(axis=2)
        cut_off = self.counts[:, :, COUNTS.index("cut_off")]  # by the breaker of the gateway
        return np.asarray(self.counts[:, :, COUNTS.index("attempts")] - refused - cut_off)

    @property
    def latency_s(self) -> Floats:
        """Quantiles of the good answers to requests of each second: ``[second, class, quantile]``.

        Not a number where there are none.
        """
        return percentiles(self.bins, QUANTILES)

    @property
    def in_flight(self) -> Floats:
        """Calls in the system at the end of each second: queued, served, or in a bucket."""
        return np.asarray(self.levels[:, list(IN_FLIGHT)].sum(axis=1))


def detail(scene: Scene, script: Script, world: World, share: float = 1.0) -> Detail:
    """Return what the kernel counted in an act, of which ``share`` was simulated."""
    counts, latency = world.tables["counts"] / share, world.tables["latency"]
    names = [step.name for step in scene.steps]
    names += [group.name for group in scene.bots()] if script.attacked else []
    return Detail(
        act=script.name,
        protections=script.protections,
        servers=servers_per_s(script, world, share),
        classes=(*names, "all"),
        t_s=scene.begins_s + np.arange(len(counts)),
        counts=np.concatenate([counts, counts.sum(axis=1, keepdims=True)], axis=1),
        visits=np.asarray(world.tables["visits"] / share),
        levels=np.asarray(world.tables["levels"].sum(axis=1) / share, float),
        bins=np.concatenate([latency, latency.sum(axis=1, keepdims=True)], axis=1),
    )


def servers_per_s(script: Script, world: World, share: float) -> Floats:
    """Return how many servers there were in each second, in the whole of the fleet."""
    seconds = len(world.tables["counts"])
    if world.scaler is None:
        return np.full(seconds, float(script.servers))
    return np.asarray(world.tables["servers"] / share, float)


def percentiles(bins: NDArray[np.integer], quantiles: tuple[float, ...]) -> Floats:
    """Return the middles of the bins in which the quantiles lie, nan where nothing was counted.

    The last axis of ``bins`` are the bins of the kernel's histogram; in its place come the
    quantiles.
    """
    sums, ends = np.cumsum(bins, axis=-1), bin_ends_s()
    middles = np.sqrt(np.concatenate([ends[:1], ends[:-1]]) * ends)
    total = sums[..., -1:]
    found = [
        middles[np.minimum((sums < quantile * total).sum(axis=-1), len(ends) - 1)]
        for quantile in quantiles
    ]
    return np.where(total > 0, np.stack(found, axis=-1), np.nan)
