"""The breaking point: the largest surprise in which an act holds, found by bisection.

All runs have the same random streams, so that two factors differ in the load and in little else.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from capplan.results.base import Note, Provenance
from capplan.results.breaking import BreakingPoint, BreakingPoints
from capplan.simulate.acts import ATTACK, SURPRISE, Script
from capplan.simulate.progress import Progress
from capplan.simulate.scaled import around_peak, attempts, shrink
from capplan.simulate.scene import Scene
from capplan.simulate.together import Halt, Workers, one_by_one, perform

Show = Callable[[Progress], None]

LEAST, MOST = 1 / 16, 256.0
RUNS = 2
PRECISION = 0.02
_MOST_ATTEMPTS = 2e7  # of one run
_WANTED = 2e6  # of a run at twice the surprise


def breaking_points(
    scene: Scene,
    chosen: Sequence[str],
    origin: Provenance,
    *,
    scale: float | None = None,
    workers: Workers = one_by_one,
    notes: tuple[Note, ...] = (),
    show: Show = lambda progress: None,
) -> BreakingPoints:
    """Find the breaking point without protection, with each of ``chosen``, and with all of them.

    ``scale`` is the share of demand and fleet that is simulated; by default so much that a run
    takes a second or so. Ctrl-C keeps the points that were found, the most telling first.
    """
    peak, full = around_peak(scene), tuple(chosen)
    surprise = scene.plan.saleday.surprise
    if scale is None:
        scale = min(1.0, _WANTED / attempts(peak, _script(peak, 2 * surprise, True, ())))
    sets = tuple(dict.fromkeys([(), *((name,) for name in full), full]))
    jobs = [(attacked, one) for attacked in (False, True) for one in sets]
    told = sorted(jobs, key=lambda job: job[1] not in ((), full))
    part, script = shrink(peak, _script(peak, 1.0, False, ()), scale)
    most = min(MOST, max(_MOST_ATTEMPTS / attempts(part, script), 2 * surprise))

    def search(job: tuple[bool, tuple[str, ...]], halt: Halt) -> BreakingPoint:
        return _search(peak, *job, origin.seed, scale, most, halt)

    points: dict[tuple[bool, tuple[str, ...]], BreakingPoint] = {}
    try:
        for job, point in zip(told, workers(search, told), strict=True):
            points[job] = point
            show(Progress("the breaking point", None, None, len(points) / len(jobs)))
    except KeyboardInterrupt:
        if not points:
            raise
    return BreakingPoints(
        **dict(origin),
        servers=peak.planned,
        full_at=peak.capacity_rps(peak.planned) / _peak_rps(peak),
        from_s=float(peak.begins_s),
        to_s=float(peak.begins_s + peak.seconds),
        runs=RUNS,
        scale=part.share,
        precision=PRECISION,
        protections=full,
        points=tuple(points[job] for job in jobs if job in points),
        notes=(*notes, *scene.notes),
        interrupted=len(points) < len(jobs),
    )


def _script(scene: Scene, factor: float, attacked: bool, protections: tuple[str, ...]) -> Script:
    name = ATTACK if attacked else SURPRISE
    return Script(name, factor, attacked, scene.planned, protections)


def _search(
    scene: Scene,
    attacked: bool,
    protections: tuple[str, ...],
    seed: int,
    scale: float,
    most: float,
    halt: Halt,
) -> BreakingPoint:
    paid: dict[float, float] = {}

    def survives(factor: float) -> bool:
        script = _script(scene, factor, attacked, protections)
        ratios = []
        for run in range(RUNS):
            act = perform(scene, script, seed + run, scale, halt)
            if act.outcome != "held":
                return False
            ratios.append(act.paid_ratio)
        paid[factor] = float(np.mean(ratios))
        return True

    low, high = bisect(survives, LEAST, most)
    return BreakingPoint(
        protections=protections,
        attacked=attacked,
        survives=low,
        breaks=high,
        paid_ratio=None if low is None else paid[low],
    )


def bisect(
    holds: Callable[[float], bool], least: float, most: float, precision: float = PRECISION
) -> tuple[float | None, float | None]:
    """Return the largest factor that was seen to hold, and the smallest above it that does not.

    Goes up or down by factors of two from 1, then halves the interval in its logarithm until its
    ends are within ``precision`` of each other.

    >>> low, high = bisect(lambda factor: factor < 3.3, 0.1, 100.0)
    >>> round(low, 1), round(high, 1)
    (3.3, 3.3)
    >>> bisect(lambda factor: True, 0.1, 10.0), bisect(lambda factor: False, 0.1, 10.0)
    ((10.0, None), (None, 0.1))
    """
    low, high = None, None
    factor = 1.0
    while low is None or high is None:
        if holds(factor):
            low = factor
            if factor >= most:
                return low, None
            factor = min(2 * factor, most)
        else:
            high = factor
            if factor <= least:
                return None, high
            factor = max(factor / 2, least) if low is None else factor
    while high / low > 1 + precision:
        middle = math.sqrt(low * high)
        if holds(middle):
            low = middle
        else:
            high = middle
    return low, high


def _peak_rps(scene: Scene) -> float:
    """Return the requests per second of the busiest seconds, were all of them answered.

    Visits that begin at v(t) make R requests each, θ apart: r' = (v - r/R)/θ.
    """
    rate_rps, highest = 0.0, 0.0
    for begun in scene.visits_per_s:
        # one second of the exact solution, v constant in it
        settled = begun * scene.per_visit
        rate_rps = settled + (rate_rps - settled) * math.exp(
            -1.0 / (scene.think_s * scene.per_visit)
        )
        highest = max(highest, rate_rps)
    return highest
