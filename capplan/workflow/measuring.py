"""``capplan loadtest``: measure what the target sustains, and keep it beside the plan."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from capplan.errors import Interrupted, SetupError, UsageError
from capplan.loadtest import measure
from capplan.loadtest.generators.engine import CheckedVisit, Engine
from capplan.loadtest.job import Earlier
from capplan.loadtest.measure import Measurement
from capplan.loadtest.phases.asked import NO_PHASES, AskedPhases
from capplan.loadtest.recovery import TargetLost
from capplan.loadtest.search.policy import CONFIDENCE
from capplan.model.overload import ServerRate
from capplan.plan.load import PlanFile
from capplan.results.base import Note, Provenance
from capplan.results.capacity import Capacity, SustainedRate
from capplan.results.phases import Phases
from capplan.results.today import contradiction
from capplan.results.visits import orders_not_seen, visit_mix
from capplan.units import format_duration
from capplan.workflow import sections
from capplan.workflow.keeping import NotKept, keep_partial, store
from capplan.workflow.phases import Holding, Known, require_tasks, stored_for
from capplan.workflow.preparing import AS_PLANNED, Overrides, Prepared, prepare, with_service
from capplan.workflow.provenance import provenance
from capplan.workflow.resume import broken_off, require_time_left
from capplan.workflow.shelf import Shelf, open_plan, shown
from capplan.workflow.watcher import NOBODY, Watcher


def loadtest(
    plan: Path | str,
    *,
    overrides: Overrides = AS_PLANNED,
    seed: int = 1,
    asked: AskedPhases = NO_PHASES,
    reuse: bool = False,
    resume: bool = False,
    watcher: Watcher = NOBODY,
) -> Capacity:
    """Find the sustained rate of the plan's target and keep it as the plan's capacity.

    A run with several servers behind the target joins the runs at other numbers of servers: see
    ``capplan.results.scaling``.

    ``asked`` are phases to hold after the search; with ``reuse`` they are held at the stored rate,
    without a search. With ``resume`` the search goes on with the trials that the last run left,
    whose load time counts. Raises ``UsageError`` for a plan or script that cannot be used, or
    trials of something else; ``SetupError`` when the target does not answer or stops to, or when
    another load test of the plan runs; ``NotKept`` when the result could not be written; and
    ``Interrupted`` after a Ctrl-C, when what was measured is kept.
    """
    plan_file, shelf = open_plan(plan)
    run = prepare(plan_file, shelf, overrides, seed)
    require_tasks(asked, run.job.unit)
    origin = _origin(plan_file, run, seed)
    with shelf.locked():
        earlier = _earlier(shelf)
        phases = Holding(asked, run.job, plan_file.plan.saleday, watcher)
        if reuse:
            return _held_again(shelf, phases, stored_for(earlier, run.identity, origin))
        left = _left(shelf, run, origin, watcher.say) if resume else None
        search = _Search(shelf, run, origin, earlier, phases, watcher)
        try:
            measured = measure.measure(
                run.job, watcher.show, search.keep, search.hold_phases, left, watcher.say
            )
        except TargetLost as lost:
            hint = f"start it again, then: capplan loadtest {shown(plan_file.path)} --resume"
            raise SetupError(lost.message, hint if shelf.folder else lost.hint) from lost
        return search.finish(measured)


@dataclass(frozen=True)
class _Search:
    """A search whose every step is kept at once, beside the ``earlier`` capacity of the plan."""

    shelf: Shelf
    run: Prepared
    origin: Provenance
    earlier: Capacity | None
    phases: Holding
    watcher: Watcher

    def keep(self, measured: Measurement) -> None:
        """Keep what is known after a trial, and tell of it."""
        with suppress(SetupError):  # a full disk is said at the end: the load is not repeated
            keep_partial(self.shelf, _result(self.run, measured, self.origin))
        self.watcher.trial_done(measured)

    def hold_phases(self, engine: Engine, answer: Measurement) -> None:
        """Keep the answer, then hold the phases: one that goes wrong must not cost it."""

        def keep_with(found: Phases) -> None:
            with suppress(SetupError):
                store(self.shelf, self.earlier, _result(self.run, answer, self.origin, found))

        if self.phases.asked:
            with self.phases.remembering():
                keep_with(Phases())
                self.phases.hold(engine, Known.of(answer), keep_with)

    def finish(self, measured: Measurement) -> Capacity:
        """Store the answer; raise ``Interrupted`` where it, or a phase, was broken off."""
        result = _result(self.run, measured, self.origin, self.phases.found)
        if measured.interrupted:
            kept = keep_partial(self.shelf, result)
            raise Interrupted(
                f"interrupted after {len(measured.trials)} trials",
                f"what was measured is in {shown(kept)}" if kept else "",
            )
        result = store(self.shelf, self.earlier, result)
        self.phases.raise_if_interrupted(self.shelf.path(Capacity))
        return result


def _left(
    shelf: Shelf, run: Prepared, origin: Provenance, say: Callable[[str], None]
) -> Earlier | None:
    left = broken_off(shelf, run.identity, origin)
    if left is None:
        say("there are no trials to go on with: the search begins")
        return None
    require_time_left(left, run.job.time_budget_s)
    took = format_duration(round(left.load_time_s))
    say(f"going on after {len(left.trials)} trials, {took} of load")
    return left


def _held_again(shelf: Shelf, phases: Holding, stored: Capacity) -> Capacity:
    def keep_with(found: Phases) -> None:
        with suppress(SetupError):
            shelf.keep(stored.model_copy(update={"phases": found}))

    phases.hold_again(stored, keep_with)
    result = stored.model_copy(update={"phases": phases.found})
    try:
        shelf.keep(result)
    except SetupError as error:
        raise NotKept(error, result) from error
    phases.raise_if_interrupted(shelf.path(Capacity))
    return result


def _earlier(shelf: Shelf) -> Capacity | None:
    """Return the stored capacity; one that cannot be read any more is replaced, not added to."""
    try:
        return shelf.find(Capacity)
    except UsageError:
        return None


def check(
    plan: Path | str,
    *,
    overrides: Overrides = AS_PLANNED,
) -> tuple[CheckedVisit, ...]:
    """Run one visit of each user class without load and return what was called."""
    plan_file, shelf = open_plan(plan)
    job = prepare(plan_file, shelf, overrides, seed=1).job
    with shelf.locked():
        return measure.check(job)


def _origin(plan_file: PlanFile, run: Prepared, seed: int) -> Provenance:
    asked = sections.of_capacity(run.job.unit)
    origin = provenance(with_service(plan_file, run.service), asked, seed)
    # a --target is another way to the same service, not a change of the plan
    plan_ref = origin.plan.sections | plan_file.sections("service.target")
    return origin.model_copy(update={"plan": origin.plan.model_copy(update={"sections": plan_ref})})


def _result(
    run: Prepared, measured: Measurement, origin: Provenance, phases: Phases | None = None
) -> Capacity:
    bounds = measured.bounds_rps
    each = visit_mix(run.job.unit, measured.requests_per_arrival, measured.mix, run.visit)
    return Capacity(
        **dict(origin),
        verdict=measured.verdict,
        reason=measured.reason,
        identity=run.identity,
        sla=run.job.sla,
        sustained_rps=SustainedRate(
            low=bounds.low, mid=bounds.mid, high=bounds.high, confidence=CONFIDENCE
        ),
        visit_mix=each,
        max_rate_rps=run.job.max_rate_rps,
        trials=measured.trials,
        load_time_s=measured.load_time_s,
        predicted_s=measured.predicted_s,
        requests_made=measured.requests_made,
        requests_per_arrival=measured.requests_per_arrival,
        mix=measured.mix,
        binding=measured.binding,
        resources=measured.resources,
        bottleneck=measured.bottleneck,
        notes=measured.notes + _against_today(run, measured) + orders_not_seen(each),
        interrupted=measured.interrupted,
        generator=measured.generator,
        phases=phases or Phases(),
    )


def _against_today(run: Prepared, measured: Measurement) -> tuple[Note, ...]:
    """Compare with today's peak while the load test can still be repeated with another script."""
    known, bounds = measured.resources, measured.bounds_rps
    server = None
    if bounds.low and bounds.mid and bounds.high:
        server = ServerRate(bounds.low, bounds.mid, bounds.high, CONFIDENCE)
    if run.identity.servers > 1:
        return ()
    return tuple(contradiction(run.peak, server, known.cpu_at_sustained if known else None))
