"""One act second by second and class by class: everything that the kernel counted."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from capplan.results.seconds import EVERYONE, ActSeconds
from capplan.simulate.acts import Script
from capplan.simulate.kernel.tally import COUNTS, LAYERS, REASONS, VISITS, bin_ends_s
from capplan.simulate.kernel.world import World
from capplan.simulate.scene import Scene

Floats = NDArray[np.float64]

QUANTILES = (0.5, 0.95, 0.99)
_LATER = ("queue-timeout", "failed", "downstream", "circuit-breaker")
"""Reasons for which an attempt may be refused after it was admitted."""
_IN_FLIGHT = (
    "waf", "gateway", "queued", "served", "bucket", "limiter", "wire", "queued downstream",
    "served downstream",
)  # fmt: skip
_OF_NO_CLASS = ("room", "unawaited downstream")


def seconds(scene: Scene, script: Script, world: World, share: float = 1.0) -> ActSeconds:
    """Return what the kernel counted in an act, of which ``share`` was simulated."""
    names = [step.name for step in scene.steps]
    names += [group.name for group in scene.bots()] if script.attacked else []
    counts, levels = world.tables["counts"], world.tables["levels"]
    counted = dict(zip(COUNTS, np.moveaxis(_with_all(counts) / share, 2, 0), strict=True))
    # those who wait to be let in, and work for nobody, belong to all and to no class
    inside = np.concatenate([levels[:, :-1], levels.sum(axis=1, keepdims=True)], axis=1) / share
    layers = dict(zip(LAYERS, np.moveaxis(inside, 2, 0), strict=True))
    refused = {name: counted[name] for name in REASONS}
    at_once = sum(count for name, count in refused.items() if name not in _LATER)
    latency = percentiles(_with_all(world.tables["latency"]), QUANTILES)
    told = (
        "cached", "served", "received", "good", "timed_out", "given_up", "degraded",
    )  # fmt: skip
    visits, behind = world.tables["visits"] / share, world.tables["behind"]
    return ActSeconds(
        act=script.name,
        protections=script.protections,
        t_s=tuple(range(scene.begins_s, scene.begins_s + len(counts))),
        classes=(*names, EVERYONE),
        services=tuple(one.name for one in scene.services),
        of_class={
            "offered": counted["offered"],
            "attempts": counted["attempts"],
            "admitted": counted["attempts"] - at_once - counted["cut_off"],
            **{"answered" if name == "served" else name: counted[name] for name in told},
            "refused": sum(refused.values(), np.zeros(())),
            **{f"refused_{name}": count for name, count in refused.items()},
            **{
                f"latency_s_p{100 * quantile:g}": latency[:, :, place]
                for place, quantile in enumerate(QUANTILES)
            },
            "in_flight": np.asarray(sum(layers[name] for name in _IN_FLIGHT)),
            **{name: level for name, level in layers.items() if name not in _OF_NO_CLASS},
        },
        of_service={
            name: np.asarray(behind[name] / share, float) for name in behind.dtype.names or ()
        },
        of_everybody={
            "servers": servers_per_s(script, world, share),
            **{name: layers[name][:, -1] for name in _OF_NO_CLASS},
            **{f"visits_{name}": visits[:, place] for place, name in enumerate(VISITS)},
        },
    )


def _with_all(values: NDArray[np.integer]) -> NDArray[np.integer]:
    """Append the sum over all classes, which are the second dimension."""
    return np.concatenate([values, values.sum(axis=1, keepdims=True, dtype=values.dtype)], axis=1)


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
