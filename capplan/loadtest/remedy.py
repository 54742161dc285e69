"""What to do about a trial that is worthless: another process, more users, or a lower ceiling.

Pure. Each remedy changes something, and the number of worthless trials in a row is bounded, so that
no run repeats the same trial until its time is over.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from capplan.loadtest.validity import MAX_GENERATOR_CPU
from capplan.results.base import Note
from capplan.results.capacity import Health, Trial
from capplan.units import format_rate, format_share

SPARE_CORES = 0.3
"""So much of a core must have been idle for one more process to be of use."""

MOST_IN_A_ROW = 6
_LOWER = 0.7  # the next ceiling, as a part of the rate that the generator could not hold
_ROOM = 1.05  # a ceiling nearer than this to a rate that held is not worth a trial
_FULL_CPU = 0.95
_SAME = 1.02  # a rate that is higher than another by less is the same one

Remedy = Literal["none", "repeat", "add_process", "grow_pool", "lower"]
_WEAK = frozenset(
    {"generator_busy", "late_arrivals", "arrivals_lost", "lateness_decides", "script_holds_up"}
)

_AT_ANY_LOAD = frozenset(
    {"worker_died", "target_restarted", "target_stood_still", "script_raised", "no_requests"}
)
"""What a lower load would not cure."""


@dataclass(frozen=True, slots=True)
class Standing:
    """What the generator has been found to be able to do.

    ``pool_factor``: users per arrival that is on its way within the limit. ``ceiling``: no higher
    rate (arrivals/s) is tried, because the generator could not hold one; ``limit`` is the trial
    that showed it. ``in_a_row``: how many worthless trials there were since the last valid one.
    """

    pool_factor: float = 2.0
    ceiling: float | None = None
    limit: Trial | None = None
    in_a_row: int = 0

    @property
    def given_up(self) -> bool:
        """Whether too many trials in a row were worthless."""
        return self.in_a_row >= MOST_IN_A_ROW

    def leaves_room_above(self, passed: Sequence[float]) -> bool:
        """Return whether a rate is left between those that passed and the ceiling."""
        return self.ceiling is None or self.ceiling > _ROOM * max(passed, default=0.0)

    def after(self, trial: Trial, proven: float) -> tuple[Remedy, Standing]:
        """Choose the remedy for a trial that has just ended.

        ``proven`` is the highest rate (arrivals/s) of which there is a valid trial.
        """
        if trial.outcome != "invalid":
            return "none", replace(self, in_a_row=0)
        remedy = _choose(trial, proven, repeated=self.in_a_row > 0)
        if remedy == "add_process":  # the number of cores is bound enough
            return remedy, self
        if remedy == "grow_pool":  # so is the largest pool
            return remedy, replace(self, pool_factor=2 * self.pool_factor)
        counted = replace(self, in_a_row=self.in_a_row + 1)
        if remedy == "lower":
            ceiling = _LOWER * min(trial.arrivals_per_s, self.ceiling or math.inf)
            counted = replace(counted, ceiling=ceiling, limit=trial)
        return remedy, counted


def _choose(trial: Trial, proven: float, *, repeated: bool) -> Remedy:
    codes = {note.code for note in trial.notes}
    if codes & _AT_ANY_LOAD:
        return "repeat"
    if codes & _WEAK and can_grow(trial.health):
        return "add_process"
    if "pool_too_small" in codes:
        return "grow_pool"
    if trial.arrivals_per_s <= _SAME * proven:
        return "repeat"  # it has held this load before, so something else kept it from it
    # a generator that was late but had time left may have met one bad moment
    chance = not codes & {"generator_busy", "pool_limit", "users_missing"} and not repeated
    return "repeat" if chance else "lower"


def can_grow(health: Health) -> bool:
    """Return whether one more process would find a core: a target beside it needs some as well."""
    return health.processes < health.cores and (health.idle_cores or 0.0) >= SPARE_CORES


def missing(limit: Trial) -> Note:
    """Say what the generator lacked to hold the load of ``limit``, the trial that showed it."""
    health = limit.health
    notes = {note.code: note for note in limit.notes}
    if "users_missing" in notes:
        return Note(
            code="generator_limit",
            message=f"the generator could not hold {format_rate(limit.rate_rps)}: there were no "
            f"more than {health.users:,} users, as others ended in on_start "
            f"({health.start_error})",
            advice=notes["users_missing"].advice,
        )
    if "pool_limit" in notes:
        return Note(
            code="generator_limit",
            message=f"the generator could not hold {format_rate(limit.rate_rps)}: all of its "
            f"{health.users:,} users were busy",
            advice="shorten the waits in the script, or measure a smaller server",
        )
    cores = max(math.ceil(sum(health.generator_cpus) / MAX_GENERATOR_CPU), health.processes + 1)
    # a process without a moment of rest may have wanted much more
    needs = f"more than {cores - 1}" if health.generator_cpu > _FULL_CPU else f"about {cores}"
    known = health.idle_cores is not None
    idle = f", and {health.idle_cores:.1f} of {health.cores} cores were idle" if known else ""
    many = "1 process" if health.processes == 1 else f"{health.processes} processes"
    return Note(
        code="generator_limit",
        message=f"the generator could not hold {format_rate(limit.rate_rps)}: {many} used up to "
        f"{format_share(health.generator_cpu)} of a core{idle}",
        advice=f"it needs {needs} cores to itself: use a machine that has them beside the target; "
        "or FastHttpUser in the script, which needs less",
    )
