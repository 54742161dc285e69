"""Hold the loads of the phases with an engine that is already running, and state what they found.

A phase never spoils an answer: what goes wrong in it is a note.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime

import numpy as np

from capplan.errors import SetupError
from capplan.loadtest.evaluate import evaluate
from capplan.loadtest.generators.engine import Engine
from capplan.loadtest.measure import Job
from capplan.loadtest.phases import opening as first_seconds
from capplan.loadtest.phases import overload as surge
from capplan.loadtest.phases.asked import AskedPhases, Surge
from capplan.loadtest.phases.drift import drift
from capplan.loadtest.phases.overload import Definitions
from capplan.loadtest.phases.watch import SurgeWatch, moment
from capplan.loadtest.progress import Progress
from capplan.loadtest.protocol import FAILURE, MOST_USERS, Retry, TrialSpec
from capplan.loadtest.recording import Recording
from capplan.loadtest.search.policy import Bounds
from capplan.loadtest.validity import Usage
from capplan.results.base import Note
from capplan.results.phases import Opening, Overload, Phases, Soak
from capplan.units import format_rate

OPENINGS = 5
MOST_CONNECTIONS = 15_000  # per opening phase: closed ones keep their local port for a minute
STEADY_S, STEADY_WARMUP = 20.0, 0.25
BEFORE_S = 10.0
SOAK_SHARE = 0.9  # of the low bound: it must hold for hours, so drift is all that can be seen
_BLIND = {
    "arrivals_lost",
    "generator_busy",
    "script_holds_up",
    "script_raised",
    "users_missing",
    "worker_died",
}
_DOUBTS = {*_BLIND, "late_arrivals"}
_NO_VERDICT = {*_BLIND, "generator_limit", "unsteady_before"}


@dataclass(frozen=True, slots=True)
class Setting:
    """What the phases build on. Rates are in requests/s, ``per_arrival`` requests each.

    ``rate_rps`` is the sustained rate, ``low_rps`` its lower bound. ``made_at`` reads the clock,
    ``memory_bytes`` the target's memory, None where it cannot be known.
    """

    job: Job
    bounds_rps: Bounds
    rate_rps: float
    low_rps: float
    per_arrival: float
    retry: Retry
    made_at: Callable[[], datetime]
    memory_bytes: Callable[[], float | None]
    definitions: Definitions | None = None
    openings: int = OPENINGS
    steady_s: float = STEADY_S
    before_s: float = BEFORE_S


@dataclass
class PhaseRun:
    """Runs phases one after the other; ``found`` grows as each of them ends."""

    engine: Engine
    setting: Setting
    first_trial: int
    show: Callable[[Progress], None]
    found: Phases = field(default_factory=Phases)
    running: str = ""

    def run(self, asked: AskedPhases, done: Callable[[Phases], None]) -> None:
        """Run what is asked for; ``done`` hears of each phase that has ended.

        A generator that dies ends the phases with a note; a KeyboardInterrupt goes through.
        """
        steps: list[tuple[str, Callable[[], dict[str, object]]]] = []
        if asked.opening:
            steps.append(("opening", lambda: {"opening": self.opening()}))
        if (soak_s := asked.soak_s) is not None:
            steps.append(("soak", lambda: {"soak": self.soak(soak_s)}))
        # last: what clients gave up on may keep the target busy long after they have gone
        if (load := asked.overload) is not None:
            steps.append(("overload", lambda: {"overload": self.overload(load)}))
        for name, step in steps:
            self.running = name
            try:
                found = step()
            except SetupError as error:
                note = Note(
                    code="phase_failed", message=f"the {name} ended: {error}", advice=error.hint
                )
                self.found = self.found.model_copy(update={"notes": (note,)})
                return
            self.found = self.found.model_copy(update=found)
            done(self.found)

    def opening(self) -> Opening:
        """Start a sale several times over, each time with strangers, then hold the rate."""
        setting = self.setting
        length_s = float(first_seconds.OPENING_S)
        fits = int(MOST_CONNECTIONS / max(setting.rate_rps * length_s, 1.0))
        count = max(1, min(setting.openings, fits))
        recordings = []
        for number in range(1, count + 1):
            spec = self._spec(setting.rate_rps, length_s, unconnected=True)
            left_s = (count - number) * length_s + setting.steady_s
            recordings.append(self._hold(spec, f"opening {number}", setting.rate_rps, left_s))
        spec = self._spec(setting.rate_rps, setting.steady_s)
        steady = self._hold(spec, "steady", setting.rate_rps, 0.0)
        seconds = first_seconds.judged_s(recordings, setting.job.sla)
        checks = first_seconds.checks(recordings, setting.job.sla, seconds)
        outcome = first_seconds.outcome(checks)
        notes = self._doubts(*recordings, steady)
        return Opening(
            rate_rps=setting.rate_rps,
            made_at=setting.made_at(),
            repetitions=count,
            judged_s=seconds,
            windows=tuple(
                first_seconds.window(recordings, second, second + 1)
                for second in range(first_seconds.OPENING_S)
            ),
            steady=first_seconds.window([steady], STEADY_WARMUP * setting.steady_s, None),
            checks=checks,
            # a generator that is late makes its target look slow
            outcome="unclear" if notes and outcome == "missed" else outcome,
            notes=notes,
        )

    def overload(self, load: Surge) -> Overload:
        """Ask for more than the target sustains, then for less, with clients that retry."""
        setting, retry = self.setting, self.setting.retry
        self._require_allowed(setting.rate_rps * load.factor)
        definitions = setting.definitions or Definitions.usual(retry.timeout_s)
        limits = setting.job.sla.latency
        good_s = limits[-1].limit_s if limits else retry.patience_s
        before_s = float(round(setting.before_s))
        after_s = definitions.metastable_s + definitions.recovered_s
        users = int(setting.rate_rps / setting.per_arrival * load.factor * retry.patience_s) + 50
        spec = self._spec(
            setting.rate_rps,
            before_s + load.duration_s + after_s,
            limit_s=good_s,
            give_up_s=retry.patience_s,
            users=users,
            steps=(
                (before_s, load.back_factor),
                (load.duration_s, load.factor),
                (after_s, load.back_factor),
            ),
            retry=retry,
        )
        watch = SurgeWatch(spec, load, definitions, before_s, good_s)
        recording = self._hold(spec, "overload", setting.rate_rps, 0.0, watch.enough)
        until_s = float(recording.state["held_s"]) if recording.ended_early else spec.duration_s
        rows, attempts = recording.rows(), recording.attempts()
        series = surge.per_second(rows, attempts, good_s, before_s, until_s)
        parts = surge.parts(series, load.duration_s)
        outcome, after = surge.judge(series, load.duration_s, definitions)
        # without the generator's own lateness the same must have been found
        punctual = replace(rows, lateness_s=np.zeros(len(rows)))
        actual = surge.per_second(punctual, attempts, good_s, before_s, until_s)
        late = outcome != surge.judge(actual, load.duration_s, definitions)[0]
        notes = self._doubts(recording) + watch.notes + surge.doubts(parts, load.back_factor)
        if outcome != "recovered" and (late or {n.code for n in notes} & _NO_VERDICT):
            outcome = "unknown"
        return Overload(
            rate_rps=setting.rate_rps,
            made_at=setting.made_at(),
            factor=load.factor,
            duration_s=load.duration_s,
            back_factor=load.back_factor,
            attempts=retry.attempts,
            client_timeout_s=retry.timeout_s,
            backoff_s=retry.backoff_s,
            good_s=good_s,
            recovered_window_s=definitions.recovered_s,
            metastable_after_s=definitions.metastable_s,
            parts=parts,
            series=series,
            outcome=outcome,
            recovered_after_s=after,
            notes=notes,
        )

    def soak(self, duration_s: float) -> Soak:
        """Hold a load that is surely sustained, and look for what drifts."""
        setting, job = self.setting, self.setting.job
        rate_rps = SOAK_SHARE * setting.low_rps
        warmup_s = min(60.0, 0.1 * duration_s)
        every_s = max(0.25, duration_s / 400)
        sampled: list[tuple[float, float]] = []

        def sample(recording: Recording) -> bool:
            at_s = recording.elapsed_s
            if at_s >= warmup_s and (not sampled or at_s - sampled[-1][0] >= every_s):
                memory = setting.memory_bytes()
                if memory is not None:
                    sampled.append((at_s, memory))
            return False

        recording = self._hold(self._spec(rate_rps, duration_s), "soak", rate_rps, 0.0, sample)
        trial = evaluate(recording, "confirm", warmup_s, job.sla, job.endpoints, Usage())
        rows = recording.rows()
        rows = rows.where((rows.intended_s >= warmup_s) & (rows.ending != FAILURE))
        # a timeout is at least as slow as its bound
        latency = drift("latency_s", rows.intended_s, np.minimum(rows.sojourn_s, job.timeout_s))
        at_s, memory_bytes = np.array(sampled).reshape(-1, 2).T
        memory = drift("memory_bytes", at_s, memory_bytes)
        return Soak(
            rate_rps=rate_rps,
            made_at=setting.made_at(),
            duration_s=duration_s,
            requests=trial.requests,
            failures=trial.failures,
            timeouts=trial.timeouts,
            latency_s=trial.latency_s,
            held=all(criterion.held for criterion in trial.criteria),
            drifts=tuple(found for found in (latency, memory) if found is not None),
            notes=self._doubts(recording),
        )

    def _require_allowed(self, rate_rps: float) -> None:
        highest = self.setting.job.max_rate_rps
        if highest is not None and rate_rps > highest:
            raise SetupError(
                f"it would ask for {format_rate(rate_rps)}, over the {format_rate(highest)} of "
                "--max-rate",
                "allow more, or overload by less",
            )

    def _spec(
        self,
        rate_rps: float,
        duration_s: float,
        *,
        limit_s: float | None = None,
        give_up_s: float | None = None,
        users: int | None = None,
        steps: tuple[tuple[float, float], ...] = (),
        unconnected: bool = False,
        retry: Retry | None = None,
    ) -> TrialSpec:
        job, rate = self.setting.job, rate_rps / self.setting.per_arrival
        limits = job.sla.latency
        longest_s = limits[-1].limit_s if limits else job.timeout_s
        most = int(rate * job.timeout_s) + 50 if users is None else users
        index, self.first_trial = self.first_trial, self.first_trial + 1
        return TrialSpec(
            index=index,
            arrivals_per_s=rate,
            duration_s=duration_s,
            limit_s=limit_s or longest_s,
            give_up_s=give_up_s or longest_s,
            seed=job.seed * 100_003 + 50_021 + index,
            users=min(MOST_USERS, users or int(rate * longest_s * 4) + 20),
            max_users=min(MOST_USERS, most),
            steps=steps,
            unconnected=unconnected,
            retry=retry,
        )

    def _hold(
        self,
        spec: TrialSpec,
        purpose: str,
        rate_rps: float,
        left_s: float,
        enough: Callable[[Recording], bool] = lambda recording: False,
    ) -> Recording:
        def watch(recording: Recording) -> bool:
            self.show(moment(recording, purpose, rate_rps, self.setting.bounds_rps, left_s))
            return enough(recording)

        return self.engine.trial(spec, watch)

    def _doubts(self, *recordings: Recording) -> tuple[Note, ...]:
        """Return what the generator did not do as it should, one note of each kind."""
        job = self.setting.job
        trials = [evaluate(r, "probe", 0.0, job.sla, {}, Usage()) for r in recordings]
        found = {n.code: n for t in trials for n in t.notes if n.code in _DOUBTS}
        return tuple(found.values())
