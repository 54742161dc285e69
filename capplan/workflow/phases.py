"""The phases of a load test: at which rate they are held, and how they join the stored capacity."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from capplan.errors import Interrupted, UsageError
from capplan.loadtest.generators.engine import Engine
from capplan.loadtest.job import Watching, engine_for
from capplan.loadtest.measure import Job, Measurement
from capplan.loadtest.phases.asked import AskedPhases
from capplan.loadtest.phases.run import PhaseRun, Setting
from capplan.loadtest.probes.probe import Probe
from capplan.loadtest.protocol import Retry, Unit
from capplan.loadtest.search.policy import Bounds
from capplan.plan.schema import Saleday
from capplan.results.base import Note, Provenance
from capplan.results.capacity import Capacity, Identity
from capplan.results.phases import Phases
from capplan.units import format_rate
from capplan.workflow.changes import changed, listed
from capplan.workflow.shelf import shown
from capplan.workflow.watcher import Watcher

_ANSWERED = ("measured", "not_reached")


@dataclass(frozen=True, slots=True)
class Known:
    """What the phases need of a capacity: rates in requests/s, ``trials`` so far in this engine."""

    bounds_rps: Bounds
    per_arrival: float
    trials: int = 0

    @classmethod
    def of(cls, answer: Measurement) -> Known:
        """Take it from a search that has just ended."""
        return cls(answer.bounds_rps, answer.requests_per_arrival, len(answer.trials))

    @classmethod
    def stored(cls, capacity: Capacity) -> Known:
        """Take it from a stored capacity: of all the servers that its trials loaded."""
        points = capacity.scaling.points if capacity.scaling else ()
        own = (p.sustained_rps for p in points if p.servers == capacity.identity.servers)
        rate = next(own, capacity.sustained_rps)
        bounds = Bounds(rate.low, rate.mid, rate.high)
        return cls(bounds, capacity.requests_per_arrival or 1.0)

    @property
    def rate_rps(self) -> float | None:
        """The sustained rate, or the highest rate that held; None when there is none."""
        return self.bounds_rps.mid or self.bounds_rps.low


def require_tasks(asked: AskedPhases, unit: Unit) -> None:
    """Raise for phases in unit ``visit``: a surge of visits is one of requests much later."""
    if asked and unit == "visit":
        raise UsageError(
            "the phases after the search are held in service.unit: task only",
            "leave out --opening, --overload and --soak, or measure with unit: task",
        )


@dataclass
class Holding:
    """Phases that are asked for, and what they found so far."""

    asked: AskedPhases
    job: Job
    saleday: Saleday
    watcher: Watcher
    found: Phases = field(default_factory=Phases)
    interrupted: bool = False
    running: str = "start"

    @contextmanager
    def remembering(self) -> Iterator[None]:
        """Remember a KeyboardInterrupt that goes through, wherever it comes."""
        try:
            yield
        except KeyboardInterrupt:
            self.interrupted = True
            raise

    def hold_again(self, stored: Capacity, keep: Callable[[Phases], None]) -> None:
        """Hold the phases at a stored rate and add them to those that are stored with it.

        A KeyboardInterrupt ends the load and is remembered.
        """
        if not self.asked:
            raise UsageError(
                "--reuse without a phase would do nothing",
                "add --opening, --overload '1.5x for 20s' or --soak 10min",
            )
        self.found = stored.phases.model_copy(update={"notes": ()})
        processes = stored.generator.processes if stored.generator else 1
        with (
            suppress(KeyboardInterrupt),
            self.remembering(),
            engine_for(self.job, self.watcher.say, processes) as engine,
        ):
            self.hold(engine, Known.stored(stored), keep)

    def hold(self, engine: Engine, known: Known, keep: Callable[[Phases], None]) -> None:
        """Hold the phases one by one; ``keep`` gets what is known after each.

        A KeyboardInterrupt goes through.
        """
        rate_rps = known.rate_rps
        if rate_rps is None:
            self._note("no_rate", "no phase was run: no rate is known at which the SLA holds")
            return
        if known.bounds_rps.mid is None:
            self._note(
                "rate_unsure",
                f"the phases ran at {format_rate(rate_rps)}, the highest rate that is known to "
                f"hold: the sustained rate may be higher",
            )
        setting = self._setting(known, rate_rps)
        run = PhaseRun(engine, setting, known.trials, self.watcher.show, self.found)

        def ended(found: Phases) -> None:
            keep(found)
            self.watcher.phase_done(found)

        try:
            run.run(self.asked, ended)
        finally:
            self.found, self.running = run.found, run.running or self.running

    def raise_if_interrupted(self, kept: Path | None) -> None:
        """Raise ``Interrupted`` when a phase was; the answer and finished phases are kept."""
        if self.interrupted:
            raise Interrupted(
                f"interrupted in the {self.running}; the sustained rate is known",
                f"what was measured is in {shown(kept)}" if kept else "",
            )

    def _setting(self, known: Known, rate_rps: float) -> Setting:
        sale = self.saleday
        timeout_s = self.job.timeout_s if sale.timeout is None else sale.timeout
        return Setting(
            job=self.job,
            bounds_rps=known.bounds_rps,
            rate_rps=rate_rps,
            low_rps=known.bounds_rps.low or rate_rps,
            per_arrival=known.per_arrival,
            retry=Retry(sale.attempts, timeout_s, sale.backoff, sale.jitter),
            made_at=lambda: datetime.now(UTC).replace(microsecond=0),
            memory_bytes=Probe.of(self.job.target, Watching(self.job.watching.pids)).memory_bytes,
        )

    def _note(self, code: str, message: str) -> None:
        notes = (*self.found.notes, Note(code=code, message=message))
        self.found = self.found.model_copy(update={"notes": notes})


def stored_for(stored: Capacity | None, identity: Identity, origin: Provenance) -> Capacity:
    """Return the stored capacity; ``UsageError`` when it was not measured for the same thing."""
    measure_first = "measure it first, or leave --reuse out to do both"
    if stored is None:
        raise UsageError("--reuse finds no stored capacity", measure_first)
    if stored.verdict not in _ANSWERED:
        raise UsageError(f"the stored capacity is no answer: {stored.reason}", measure_first)
    changes = changed(stored.plan.sections, origin.plan.sections)
    if not changes and stored.identity != identity:
        ours, theirs = dict(identity), dict(stored.identity)
        changes = tuple(name for name in ours if ours[name] != theirs[name])
    if changes:
        raise UsageError(
            f"the stored capacity is of something else: {listed(changes)} changed since "
            f"{stored.made_at:%Y-%m-%d %H:%M %Z}",
            measure_first,
        )
    return stored
