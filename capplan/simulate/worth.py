"""What each protection is worth: alone, and when it is missing from the others.

All runs see the same visits and bots (common random numbers). A difference is taken within a
replication, so that what both runs share drops out; its error follows from how the differences of
several replications scatter (paired t interval).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations as combinations_of

import numpy as np
from scipy.special import stdtrit

from capplan.errors import UsageError
from capplan.plan.saleday import PROTECTIONS
from capplan.results.base import Note
from capplan.results.simulation import Difference, Ranking, RankingRun, Worth
from capplan.simulate.acts import ATTACK, Script
from capplan.simulate.guards import possible
from capplan.simulate.outcome import Floats, in_short, shoppers_per_s
from capplan.simulate.progress import Progress
from capplan.simulate.scaled import ATTEMPTS_PER_S, around_peak, attempts, shrink
from capplan.simulate.scene import Scene
from capplan.simulate.together import Halt, Workers, one_by_one, run
from capplan.units import format_duration

Show = Callable[[Progress], None]

CONFIDENCE = 0.95
_WANTED = 20e6  # attempts in all, spread over replications
_MOST, _LEAST_MOST = 60e6, 20e6  # above this a part of the sale has to do
_TOO_MANY = 4e8
_LEAST, _USEFUL = 3, 10  # replications
_LONGEST_SERIES = 120
_MOST_COMBINED = 8


@dataclass(frozen=True)
class Comparison:
    """What is going to be compared: sets of protections, how often, on which part of the sale.

    ``further`` sets are simulated once, to be looked at: the whole set and one more, and every
    combination where that is asked for.
    """

    scene: Scene
    sets: tuple[tuple[str, ...], ...]
    further: tuple[tuple[str, ...], ...]
    replications: int
    scale: float
    attempts: float

    @property
    def affordable(self) -> bool:
        """Whether it takes no more than about a minute, even on the smallest part."""
        return self.attempts <= _TOO_MANY

    @property
    def notes(self) -> tuple[Note, ...]:
        """Say why there is no ranking."""
        if self.affordable:
            return ()
        taken_s = self.attempts / ATTEMPTS_PER_S
        return (
            Note(
                code="no_ranking",
                message=f"what each protection is worth was not simulated: that takes about "
                f"{format_duration(taken_s)} even on the smallest part of the sale",
                advice="lower saleday.surprise, or compare two sets with --only",
            ),
        )


def comparison(scene: Scene, chosen: Sequence[str], *, combinations: bool = False) -> Comparison:
    """Plan the ranking of all protections, and of those ``chosen``, around the peak.

    As many replications as fit in a fixed number of attempts, 3 to 10. Where 3 of the whole are
    too many attempts they are made on a part of demand and fleet: a third of it if that is neither
    more than a minute's work nor less than a second's. With ``combinations`` every set of those
    chosen is simulated. Raises ``UsageError`` where these are too many.
    """
    peak, full = around_peak(scene), _of_effect(scene, chosen)
    alone = [(name,) for name in possible(scene)]
    missing = [_without(full, name) for name in full]
    sets = tuple(dict.fromkeys([(), full, *alone, *missing]))
    once = attempts(peak, _script(peak, ())) * len(sets)
    scale = min(1.0, min(max(once, _LEAST_MOST), _MOST) / (_LEAST * once))
    part, script = shrink(peak, _script(peak, ()), scale)
    once = attempts(part, script) * len(sets)
    replications = min(max(int(_WANTED / once), _LEAST), _USEFUL)
    more = [_together(full, name) for name in possible(scene)]
    more += _every(full) if combinations else []
    further = tuple(one for one in dict.fromkeys(more) if one not in sets)
    runs = replications + len(further) / len(sets)
    return Comparison(peak, sets, further, replications, scale, once * runs)


def _every(full: tuple[str, ...]) -> list[tuple[str, ...]]:
    if len(full) > _MOST_COMBINED:
        raise UsageError(
            f"--combinations: {len(full)} protections have {2 ** len(full):,} combinations",
            f"name up to {_MOST_COMBINED} with --only",
        )
    return [one for count in range(len(full) + 1) for one in combinations_of(full, count)]


def simulated(
    planned: Comparison, seed: int, workers: Workers = one_by_one
) -> Iterator[RankingRun]:
    """Give the runs to the workers, and yield them: all sets, replicated, and those further."""
    replications = range(planned.replications)
    jobs = [(one, seed + number) for number in replications for one in planned.sets]
    jobs += [(one, seed) for one in planned.further]

    def work(job: tuple[tuple[str, ...], int], halt: Halt) -> RankingRun:
        return _run(planned, *job, halt)

    return workers(work, jobs)


def rank(
    planned: Comparison,
    chosen: Sequence[str],
    found: Iterable[RankingRun],
    show: Show = lambda progress: None,
) -> Ranking:
    """Say what each protection changes in visits paid, by the runs that were simulated."""
    full, sets = _of_effect(planned.scene, chosen), planned.sets
    runs = planned.replications
    compared = runs * len(sets)
    done: list[RankingRun] = []
    for one in found:
        done.append(one)
        share = len(done) / (compared + len(planned.further))
        show(Progress("what each protection is worth", None, None, share))
    paid = np.array([one.paid for one in done[:compared]], float).reshape(runs, len(sets))
    by_set = {one: paid[:, place] for place, one in enumerate(sets)}
    worths = [
        Worth(
            protection=name,
            alone=_difference(by_set[name,] - by_set[()]),
            missing=_difference(by_set[full] - by_set[_without(full, name)])
            if name in full
            else None,
        )
        for name in possible(planned.scene)
    ]
    return Ranking(
        act=ATTACK,
        from_s=float(planned.scene.begins_s),
        to_s=float(planned.scene.begins_s + planned.scene.seconds),
        servers=planned.scene.planned,
        scale=shrink(planned.scene, _script(planned.scene, ()), planned.scale)[0].share,
        replications=runs,
        confidence=CONFIDENCE,
        protections=tuple(sorted(worths, key=lambda one: -one.alone.paid)),
        runs=(
            *(
                one.model_copy(
                    update={"paid": float(by_set[one.protections].mean()), "replications": runs}
                )
                for one in done[: len(sets)]
            ),
            *done[compared:],
        ),
    )


def _script(scene: Scene, protections: tuple[str, ...]) -> Script:
    return Script(ATTACK, scene.plan.saleday.surprise, True, scene.planned, protections)


def _of_effect(scene: Scene, chosen: Sequence[str]) -> tuple[str, ...]:
    return tuple(name for name in chosen if name in possible(scene))


def _without(full: tuple[str, ...], name: str) -> tuple[str, ...]:
    return tuple(other for other in full if other != name)


def _together(full: tuple[str, ...], name: str) -> tuple[str, ...]:
    return tuple(other for other in PROTECTIONS if other in full or other == name)


def _run(planned: Comparison, protections: tuple[str, ...], seed: int, halt: Halt) -> RankingRun:
    scene, script = planned.scene, _script(planned.scene, protections)
    world, share = run(scene, script, seed, planned.scale, halt)
    found = in_short(scene, script, world, share)
    step = max(-(-scene.seconds // _LONGEST_SERIES), 1)
    return RankingRun(
        protections=protections,
        paid=float(found.paid),
        could_pay=found.could_pay,
        outcome=found.outcome,
        step_s=float(step),
        offered=_coarse(shoppers_per_s(scene, world, "offered", share), step),
        good=_coarse(shoppers_per_s(scene, world, "good", share), step),
    )


def _coarse(values: Floats, step: int) -> tuple[float, ...]:
    edges = np.arange(0, len(values), step)
    sums = np.add.reduceat(values, edges)
    return tuple(np.round(sums / np.diff([*edges, len(values)]), 3).tolist())


def _difference(paired: np.ndarray) -> Difference:
    """Return the mean of paired differences, and half the width of its t interval."""
    count = len(paired)
    quantile = float(stdtrit(count - 1, (1 + CONFIDENCE) / 2))
    error = quantile * float(np.std(paired, ddof=1)) / math.sqrt(count)
    return Difference(paid=float(np.mean(paired)), error=error)
