"""Compare two targets: search for both in turns, then hold pairs of trials until the time is up.

What is decided is decided by ``search`` and ``pairing``; here the trials are run.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import Literal

from capplan.loadtest.generators.engine import Engine
from capplan.loadtest.job import engine_for
from capplan.loadtest.measure import Job, Measurement, Run
from capplan.loadtest.pairing import (
    BETWEEN_TRIALS_S,
    FEWEST_PAIRS,
    Estimate,
    PairedTrial,
    bracketed,
    estimate,
    next_rates,
    trial_s,
)
from capplan.loadtest.progress import Progress
from capplan.loadtest.search.policy import Next, Stop
from capplan.results.capacity import Trial

Name = Literal["base", "head"]
_FIRST_DRAW = 50_000  # draws of arrivals that the trials of the searches do not use
_MOST_INVALID = 4
_OTHER: dict[Name, Name] = {"base": "head", "head": "base"}


@dataclass(frozen=True, slots=True)
class HeldPair:
    """One pair: the place of its trials among those of each side, and which came first."""

    base: int
    head: int
    first: Name


@dataclass(frozen=True, slots=True)
class PairedMeasurement:
    """What is known so far; ``stopped`` says why a search ended before pairs could begin."""

    base: Measurement
    head: Measurement
    pairs: tuple[HeldPair, ...]
    estimate: Estimate | None
    stopped: dict[Name, Stop]
    reason: str
    load_time_s: float
    interrupted: bool = False


def measure_paired(
    base: Job,
    head: Job,
    show: Callable[[Progress], None],
    keep: Callable[[Name, PairedMeasurement], None],
) -> PairedMeasurement:
    """Measure the ratio head/base; the time budget of ``base`` is that of both together.

    ``keep`` hears what is known after each trial, and of which side that was. A KeyboardInterrupt
    ends the load at once and returns what was measured, marked as interrupted.
    """
    half = base.time_budget_s / 2
    both = _Both(
        {
            "base": Run(replace(base, time_budget_s=half), show),
            "head": Run(replace(head, time_budget_s=half), show),
        },
        base.time_budget_s,
        keep,
    )
    try:
        with ExitStack() as stack:
            for name, run in both.runs.items():
                job = run.job
                both.engines[name] = stack.enter_context(engine_for(job))
                run.begin(both.engines[name])
            if both.search():
                both.hold_pairs()
    except KeyboardInterrupt:
        return replace(both.so_far(), interrupted=True)
    return both.so_far()


@dataclass
class _Both:
    runs: dict[Name, Run]
    budget_s: float
    keep: Callable[[Name, PairedMeasurement], None]
    engines: dict[Name, Engine] = field(default_factory=dict)
    pairs: list[HeldPair] = field(default_factory=list)
    stopped: dict[Name, Stop] = field(default_factory=dict)
    reason: str = ""

    def search(self) -> bool:
        """Search for both in turns; return whether it is roughly known what each sustains."""
        waiting: set[Name] = {"base", "head"}
        while waiting:
            for name, run in self.runs.items():
                if name not in waiting:
                    continue
                step = run.next_step()
                if bracketed(step, run.known()):
                    waiting.discard(name)
                elif isinstance(step, Stop):
                    self.stopped[name] = step
                    return False
                else:
                    self._hold(name, step)
        return True

    def hold_pairs(self) -> None:
        """Hold pairs as long as there is time for a whole one."""
        mids = [run.known().mid or 1.0 for run in self.runs.values()]
        sla = self.runs["base"].job.sla
        held_s = trial_s(self._left_s(), math.sqrt(mids[0] * mids[1]), sla)
        invalid = 0
        while self._left_s() >= 2 * (held_s + BETWEEN_TRIALS_S):
            rates = dict(zip(self.runs, next_rates(self._trials(), *mids), strict=True))
            first: Name = "base" if (len(self.pairs) + invalid) % 2 == 0 else "head"
            draw = _FIRST_DRAW + len(self.pairs) + invalid
            for name in (first, _OTHER[first]):
                self._hold(name, Next(rates[name], held_s, "refine"), draw)
            newest = HeldPair(len(self._of("base")) - 1, len(self._of("head")) - 1, first)
            if all(self._of(name)[-1].outcome != "invalid" for name in self.runs):
                self.pairs.append(newest)
            elif (invalid := invalid + 1) > _MOST_INVALID:
                self.reason = "the load generator is the limit"
                return

    def so_far(self) -> PairedMeasurement:
        """Return what is known."""
        base, head = self.runs["base"].so_far(), self.runs["head"].so_far()
        return PairedMeasurement(
            base=base,
            head=head,
            pairs=tuple(self.pairs),
            estimate=estimate(self._trials()),
            stopped=dict(self.stopped),
            reason=self.reason or self._too_few(),
            load_time_s=base.load_time_s + head.load_time_s,
        )

    def _too_few(self) -> str:
        if self.stopped or len(self.pairs) >= FEWEST_PAIRS:
            return ""
        count = "1 pair" if len(self.pairs) == 1 else f"{len(self.pairs)} pairs"
        return f"the time was enough for {count}, {FEWEST_PAIRS} are needed: raise --time-budget"

    def _hold(self, name: Name, step: Next, draw: int | None = None) -> None:
        run = self.runs[name]
        run.trial(self.engines[name], step, draw=draw, to_the_end=draw is not None)
        self.keep(name, self.so_far())
        run.require_target()

    def _left_s(self) -> float:
        return self.budget_s - sum(run.spent_s for run in self.runs.values())

    def _of(self, name: Name) -> list[Trial]:
        return self.runs[name].trials

    def _trials(self) -> list[PairedTrial]:
        return [PairedTrial(self._of("base")[p.base], self._of("head")[p.head]) for p in self.pairs]
