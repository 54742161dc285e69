"""Measure the sustained rate of a target: search, run trials, judge them, until the search stops.

The search thinks in arrivals/s (tasks or visits); people think in requests/s. One arrival makes
``requests_per_arrival`` requests, which is measured along the way and pooled over all trials.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from capplan.loadtest.asking import Asked, ask
from capplan.loadtest.binding import what_binds
from capplan.loadtest.bottleneck import find_bottleneck
from capplan.loadtest.caps import affordable, allowed, cap_note, pooled, surely_at_most
from capplan.loadtest.endpoints import unjudged
from capplan.loadtest.evaluate import evaluate, watch_for_hopeless
from capplan.loadtest.generators.engine import CheckedVisit, Engine
from capplan.loadtest.job import Earlier, engine_for
from capplan.loadtest.job import Job as Job
from capplan.loadtest.job import Measurement as Measurement
from capplan.loadtest.machine import Meter, cores
from capplan.loadtest.observed import observation
from capplan.loadtest.preview import preview, require_names
from capplan.loadtest.probes.probe import Probe
from capplan.loadtest.progress import Progress, snapshot
from capplan.loadtest.protocol import TrialSpec
from capplan.loadtest.reach import without_means
from capplan.loadtest.recording import Recording
from capplan.loadtest.recovery import (
    SILENT_REQUESTS,
    Pulses,
    after_a_break,
    after_silence,
    await_floor,
    fell_silent,
    lost,
)
from capplan.loadtest.remedy import Standing, missing
from capplan.loadtest.resources import target_side, with_use
from capplan.loadtest.search import policy
from capplan.loadtest.search.policy import Bounds, Next, Settings, Stop
from capplan.loadtest.summary import lowest_miss, mix, trial_notes
from capplan.loadtest.target import is_here
from capplan.loadtest.validity import Usage, beside_the_target, mean_doubt, widen
from capplan.loadtest.visiting import Pace, paced_by, require_time
from capplan.loadtest.warmup import settled_s
from capplan.results.base import Note
from capplan.results.capacity import CapacityVerdict, Generator, Trial

FIRST_RATE = 20.0
BETWEEN_TRIALS_S = 0.4  # to start the schedule, to drain, to send and judge what was recorded
_LIMIT = "the load generator is the limit"
_CAPPED = "all requests were made that may be made"
_WORTHLESS = "too many trials in a row were worthless"


def check(job: Job) -> tuple[CheckedVisit, ...]:
    """Run one visit of each user class without load."""
    with engine_for(job) as engine:
        return engine.check()


def measure(
    job: Job,
    show: Callable[[Progress], None],
    keep: Callable[[Measurement], None],
    afterwards: Callable[[Engine, Measurement], None] = lambda engine, answer: None,
    earlier: Earlier | None = None,
    say: Callable[[str], None] = lambda text: None,
) -> Measurement:
    """Find the sustained rate, or go on with the search that ``earlier`` left.

    ``show`` hears of progress about ten times a second; ``keep`` gets what is known after each
    trial, so that nothing measured is lost. ``afterwards`` gets the answer and the engine, still
    running; ``say`` gets what a person should know meanwhile. ``TargetLost`` when the target stops
    answering. A KeyboardInterrupt ends the load at once and returns what was measured; when that is
    no answer yet, it is marked as interrupted.
    """
    run, answer = Run(job, show), None
    try:
        with engine_for(job, say) as engine:
            run.begin(engine)
            if earlier:
                run.resume(engine, earlier, say)
            run.predict()
            while isinstance(step := run.next_step(), Next):
                run.trial(engine, step)
                keep(run.so_far())
                run.require_target()
            answer = run.finished(step)
            afterwards(engine, answer)
    except KeyboardInterrupt:
        return answer or replace(run.so_far(), interrupted=True)
    return answer


@dataclass
class Run:
    """One search, trial by trial: whoever holds the engine decides when the next one runs."""

    job: Job
    show: Callable[[Progress], None]
    trials: list[Trial] = field(default_factory=list)
    spent_s: float = 0.0
    notes: tuple[Note, ...] = ()
    per_arrival: float = 1.0
    standing: Standing = field(default_factory=Standing)
    same_machine: bool = False
    pace: Pace | None = None
    probe: Probe = field(default_factory=Probe)
    made: int = 0
    """Requests since the beginning, those before and between the trials included."""
    target_lost: bool = False
    capped: bool = False
    allowed: float | None = None  # arrivals/s
    short: Note | None = None  # what kept the pool of users small
    predicted_s: float | None = None

    def begin(self, engine: Engine) -> None:
        """Make one visit of each class first: it shows what an arrival is, and fails early."""
        job = self.job
        order = [job.order_endpoint] if job.order_endpoint else []
        self.probe = Probe.of(job.target, job.watching)
        visits = engine.check({*job.endpoints, *order}, job.time_budget_s)
        first = preview(visits, engine.ready.classes, job.unit, job.log)
        require_names(job.endpoints, visits, "service.endpoints")
        require_names(order, visits, "visit.order_endpoint")
        self.per_arrival, self.pace = first.per_arrival, first.pace
        self.notes = tuple(Note(code="script", message=text) for text in engine.ready.notes)
        if self.pace:
            self.notes += require_time(self.pace, job.time_budget_s)
        self.notes += self.probe.notes
        self.same_machine = engine.here and is_here(job.target)
        if self.same_machine:
            self.notes += (beside_the_target(cores()),)

    def resume(self, engine: Engine, earlier: Earlier, say: Callable[[str], None]) -> None:
        """Take over the trials of a search that was broken off, once the target has recovered.

        Their load time and requests count as if nothing had come between. What the generator could
        not do then, it may be able to do now.
        """
        self.trials, self.spent_s = list(earlier.trials), earlier.load_time_s
        self.made += earlier.requests_made
        for trial in self.trials:
            self.pace = self.pace and paced_by(self.pace, trial)
        self._restate()
        pulses = Pulses(engine, self.job)
        await_floor(pulses, self.trials, say)
        self.made += pulses.made

    def require_target(self) -> None:
        """Raise ``TargetLost`` when the target stopped answering in the last trial."""
        if self.target_lost:
            raise lost(self.trials)

    def predict(self) -> None:
        """Say how much load the search will need, before it begins."""
        between_s = self.pace.prefill_s if self.pace else BETWEEN_TRIALS_S
        self.predicted_s = policy.predict_s(self._settings(self.per_arrival), between_s)

    def next_step(self) -> Next | Stop:
        """Ask the search what to do, unless the generator leaves it no choice."""
        standing, seen = self.standing, [observation(t) for t in self._valid()]
        failed = any(o.failed for o in seen)
        room = failed or standing.leaves_room_above([o.rate for o in seen])
        if standing.given_up or not room:
            why = _WORTHLESS if standing.limit is None else _LIMIT
            return Stop("inconclusive", policy.known_bounds(seen), why)
        most = surely_at_most(self._whole()) or self.per_arrival
        self.allowed = allowed(self.job.max_rate_rps, most, self.allowed if seen else None)
        settings = self._settings(most)
        prefill_s = self.pace.prefill_s if self.pace else 0.0  # the next trial fills the shop first
        step = policy.decide(seen, settings, self.spent_s + prefill_s)
        if isinstance(step, Next) and not self._affordable(step, most):
            self.capped = True
            step = policy.decide(seen, settings, settings.time_budget_s)  # as when time is over
            if isinstance(step, Next) or step.verdict == "inconclusive":
                return Stop("inconclusive", policy.known_bounds(seen), _CAPPED)
        if (
            isinstance(step, Stop)
            and step.verdict == "not_reached"
            and settings.max_rate != self.allowed
        ):
            return Stop("inconclusive", step.bounds, _LIMIT)
        return step

    def _settings(self, most: float) -> Settings:
        asked = self.allowed or allowed(self.job.max_rate_rps, most, None)
        highest = min((r for r in (asked, self.standing.ceiling) if r is not None), default=None)
        first, lowest = FIRST_RATE / max(self.per_arrival, 1.0), policy.LOWEST_RATE
        if asked is not None and not self._valid():
            # the check visit is too short to tell how many requests an arrival makes
            first = min(first, asked / 2)
        if self.pace is None:
            return Settings(self.job.time_budget_s, first, highest, lowest_rate=lowest)
        lowest /= max(self.per_arrival, 1.0)
        return Settings(self.job.time_budget_s, first, highest, self.pace.measured_s, lowest)

    def trial(
        self, engine: Engine, step: Next, *, draw: int | None = None, to_the_end: bool = False
    ) -> None:
        """Run one trial and judge it.

        ``draw`` names its arrivals: two runs of one seed get the same for the same draw. A trial
        ``to_the_end`` is not ended early, however much it misses, and its warm-up is as planned:
        two such trials are compared, and leave out the same.
        """
        asked = self._asked(engine, step, draw)
        recording, usage = self._held(engine, step, asked.spec, to_the_end=to_the_end)
        warmup_s = asked.warmup_s
        if not self.pace and not to_the_end:  # a shop that was filled has warmed up
            warmup_s = settled_s(recording.rows(), asked.spec)
        sla, endpoints = self.job.sla, self.job.endpoints
        trial = evaluate(recording, step.purpose, warmup_s, sla, endpoints, usage)
        trial = self._with_the_target(engine, trial, recording)
        proven = max((t.arrivals_per_s for t in self._valid()), default=0.0)
        remedy, self.standing = self.standing.after(trial, proven)
        if remedy == "add_process":
            engine.grow()
        self.trials.append(trial)
        self.pace = self.pace and paced_by(self.pace, trial)
        self._restate()

    def _asked(self, engine: Engine, step: Next, draw: int | None) -> Asked:
        """Fit a step to the pool that there may be, and note what keeps it small."""
        reach = engine.reach
        asked = ask(
            self.job,
            step,
            self.pace,
            index=len(self.trials),
            draw=len(self.trials) if draw is None else draw,
            pool_factor=self.standing.pool_factor,
            most_users=reach.users,
            requests_left=self._requests_left,
        )
        if reach.because and asked.spec.max_users == reach.users:
            self.short = reach.note
        return asked

    def _held(
        self, engine: Engine, step: Next, spec: TrialSpec, *, to_the_end: bool
    ) -> tuple[Recording, Usage]:
        """Hold a load, show how it goes, and end it early where it can only miss."""
        sla, rate_rps = self.job.sla, step.rate * self.per_arrival
        allowed = 1 - sla.latency[0].quantile if sla.latency else sla.failures
        planned = rate_rps * spec.duration_s
        hopeless = watch_for_hopeless(allowed, sla.failures, planned, step.purpose)
        bounds, left_s = self._bounds_rps(), self.job.time_budget_s - self.spent_s

        def watch(recording: Recording) -> bool:
            self.probe.sample(recording.elapsed_s)
            self.show(snapshot(recording, step.purpose, rate_rps, bounds, left_s, self.predicted_s))
            if recording.silence >= SILENT_REQUESTS:
                return True
            return not to_the_end and hopeless(recording)

        self.probe.begin(spec.duration_s)
        meter = Meter()
        recording = engine.trial(spec, watch)
        self.spent_s += meter.elapsed_s
        self.made += recording.requests_made
        fixed = engine.processes if engine.fixed else None
        return recording, meter.usage(fixed=fixed, here=engine.here)

    def _with_the_target(self, engine: Engine, trial: Trial, recording: Recording) -> Trial:
        """Judge a trial again, by what the target used and whether it was there all the time."""
        use = self.probe.use(trial.warmup_s, trial.duration_s)
        trial = with_use(trial, use, self.job.watching.limits, self.probe.missing)
        trial = without_means(trial)
        if not recording.answers and not any(t.successes for t in self.trials):
            return trial  # it has never worked
        if fell_silent(recording):
            pulses = Pulses(engine, self.job)
            trial, self.target_lost = after_silence(pulses, trial, self.trials)
            self.made += pulses.made
        return after_a_break(trial, recording.rows(), self.trials)

    @property
    def _requests_left(self) -> int | None:
        most = self.job.max_requests
        return None if most is None else max(0, most - self.made)

    def _affordable(self, step: Next, per_arrival: float) -> bool:
        left = self._requests_left
        lasts_s = step.duration_s + (self.pace.prefill_s if self.pace else 0.0)
        return left is None or affordable(step.rate * lasts_s, per_arrival, left)

    def known(self) -> Bounds:
        """Return what the valid trials say of the sustained rate, in arrivals/s."""
        valid = self._valid()
        return policy.known_bounds([observation(t) for t in valid]) if valid else Bounds()

    def so_far(self) -> Measurement:
        """Return what is known when the search ends before it is done."""
        return self._measurement("inconclusive", "the run ended before the search did", None)

    def finished(self, stop: Stop) -> Measurement:
        """Return the answer."""
        found = "" if stop.verdict == "not_reached" else lowest_miss(self.trials)
        why = ": ".join(filter(None, (stop.reason, found)))
        return self._measurement(stop.verdict, why, stop.bounds)

    def _valid(self) -> list[Trial]:
        return [t for t in self.trials if t.outcome != "invalid"]

    def _whole(self) -> list[Trial]:
        return [t for t in self._valid() if not t.ended_early] or self.trials

    def _restate(self) -> None:
        """Pool the requests per arrival and state every trial's rate with it."""
        self.per_arrival = pooled(self._whole()) or self.per_arrival
        self.trials = [
            t.model_copy(update={"rate_rps": t.arrivals_per_s * self.per_arrival})
            for t in self.trials
        ]

    def _bounds_rps(self, bounds: Bounds | None = None) -> Bounds:
        known = bounds or policy.known_bounds([observation(t) for t in self._valid()])
        low, mid, high = (
            None if rate is None else rate * self.per_arrival
            for rate in (known.low, known.mid, known.high)
        )
        return Bounds(low, mid, high)

    def _measurement(
        self, verdict: CapacityVerdict, reason: str, bounds: Bounds | None
    ) -> Measurement:
        bounds_rps = self._bounds_rps(bounds)
        low, high = bounds_rps.low, bounds_rps.high
        if low is not None and high is not None:
            share = mean_doubt(self.trials, same_machine=self.same_machine)
            low, high = widen(low, high, share)
        bounds_rps = Bounds(low, None if verdict == "inconclusive" else bounds_rps.mid, high)
        limit = self._limit()
        answer = bounds_rps.mid or bounds_rps.low
        binding = None
        if verdict != "not_reached":
            seen = [observation(t) for t in self._valid()]
            binding = what_binds(self.trials, bounds_rps.mid, seen)
        resources = target_side(self.trials, answer, self.probe.seen)
        lacking = [missing(limit)] if limit and verdict == "inconclusive" else []
        if self.short:
            lacking.append(self.short)
        if self.capped and self.job.max_requests:
            lacking.append(cap_note(self.job.max_requests, self.made))
        return Measurement(
            verdict=verdict,
            reason=reason,
            bounds_rps=bounds_rps,
            trials=tuple(self.trials),
            load_time_s=self.spent_s,
            requests_made=self.made,
            requests_per_arrival=self.per_arrival,
            mix=mix(self._whole()),
            notes=self.notes
            + trial_notes(self.trials)
            + unjudged(self.trials, self.job.sla, self.job.endpoints, answer)
            + tuple(lacking),
            binding=binding,
            resources=resources,
            bottleneck=find_bottleneck(self.trials, bounds_rps.mid, resources, binding),
            predicted_s=self.predicted_s,
            generator=Generator(
                processes=max((t.health.processes for t in self.trials), default=1),
                cores=cores(),
                same_machine=self.same_machine,
                limit_rps=limit.rate_rps if limit else None,
            ),
        )

    def _limit(self) -> Trial | None:
        limit = self.standing.limit
        rate_rps = limit.arrivals_per_s * self.per_arrival if limit else 0.0
        return limit and limit.model_copy(update={"rate_rps": rate_rps})
