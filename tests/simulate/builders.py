"""Small systems whose behaviour is known in closed form, and how to measure them.

A measured mean comes from independent runs, and with it its standard error. A test accepts four
standard errors, which a right kernel exceeds once in 16,000 seeds, and the seeds are fixed; it also
bounds the error itself, so that the comparison is a sharp one.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from capplan.model.service_time import Exponential, ServiceTime
from capplan.simulate.kernel.setup import Fleet, Kind, Setup, simulate_until
from capplan.simulate.kernel.tally import COUNTS, LAYERS, VISITS
from capplan.simulate.kernel.world import World

SIGMAS = 4.0


def one_class(
    rate_rps: float,
    seconds: int,
    service: ServiceTime | None = None,
    fleet: Fleet | None = None,
    **client: object,
) -> Setup:
    """Single requests of one class, at a constant rate."""
    kind = replace(Kind("request", service or Exponential(1.0)), **client)  # type: ignore[arg-type]
    return Setup([kind], np.full(seconds, rate_rps), fleet or Fleet())


def total(world: World, count: str, kind: int | None = None) -> int:
    """How often something was counted, of one class or of all."""
    counts = world.tables["counts"][:, :, COUNTS.index(count)]
    return int(counts.sum() if kind is None else counts[:, kind].sum())


def per_second(world: World, count: str) -> np.ndarray:
    return np.asarray(world.tables["counts"][:, :, COUNTS.index(count)].sum(axis=1))


def visits(world: World, what: str) -> int:
    return int(world.tables["visits"][:, VISITS.index(what)].sum())


def inside(world: World, layer: str) -> int:
    return int(world.tables["layers"]["inside"][:, LAYERS.index(layer)].sum())


def mean_inside(world: World, layer: str, seconds: float) -> float:
    """The time average of how many were in a layer."""
    return float(world.tables["layers"]["area_s"][:, LAYERS.index(layer)].sum()) / seconds


def wait_s(world: World, kind: int = 0) -> float:
    sums = world.tables["sums"][kind]
    return float(sums["wait_s"] / sums["waits"])


def latency_s(world: World, kind: int = 0) -> float:
    sums = world.tables["sums"][kind]
    return float(sums["latency_s"] / sums["answers"])


@dataclass(frozen=True)
class Measured:
    mean: float
    error: float

    def agrees(self, truth: float, sharp: float = 0.01) -> bool:
        """Within four standard errors, which are at most the share ``sharp`` of the truth."""
        return self.error <= sharp * abs(truth) and abs(self.mean - truth) <= SIGMAS * self.error


def measure(
    setup: Setup,
    read: Callable[[World], float],
    *,
    warm_s: float = 0.0,
    runs: int = 20,
    first_seed: int = 1,
) -> Measured:
    """Read something off independent runs over the whole time of the setup."""
    seconds = float(len(setup.visits_per_s))
    values = [
        read(simulate_until(replace(setup, seed=seed), seconds, warm_s=warm_s))
        for seed in range(first_seed, first_seed + runs)
    ]
    return measured(values)


def measured(values: Sequence[float]) -> Measured:
    return Measured(float(np.mean(values)), float(np.std(values, ddof=1) / np.sqrt(len(values))))
