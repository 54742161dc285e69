"""Whether the target answers, and as quickly as it did: a few requests, made by the script itself.

Asked when a trial ends in silence, and before a search goes on that was broken off. What is still
queued there, or a cache that is cold, must not be measured as if it were the target's own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from time import monotonic

import numpy as np

from capplan.errors import SetupError
from capplan.loadtest.generators.engine import Engine
from capplan.loadtest.job import Job
from capplan.loadtest.protocol import SUCCESS, TrialSpec
from capplan.loadtest.recording import Recording, Rows
from capplan.results.base import Note
from capplan.results.capacity import Trial
from capplan.units import format_duration, format_rate

SILENT_REQUESTS = 20
"""So many requests in a row without any answer end a trial."""

PATIENCE_S = 10.0
"""How long a target may be away that is restarted."""

RECOVERY_S = 60.0
"""How long a search that goes on waits for the target to be as quick as it was."""

STANDSTILL_S = 1.0
"""So long without an answer, while many wait for one, is no queue: that goes on being served."""

_WAITING = 10  # arrivals; a trial is ended soon when more are late
_RARE = 1 / 6  # of the trials may stand still and be worth another
_UNUSUAL = 10.0  # times the usual time between two answers
_SUSPICIOUS = 5  # requests in a row without an answer, at the end of a trial
_REFUSED = "onnection refused"
_RATE, _LASTS_S = 10.0, 1.0  # arrivals/s and seconds of one pulse
_FIRST_INDEX = 1_000_000  # no trial has it
_SLOWER, _SLOWER_S = 2.0, 0.005  # the median of ten requests is not known better


class TargetLost(SetupError):
    """The target stopped answering in the course of a load test."""


@dataclass(frozen=True, slots=True)
class Pulse:
    """What a few requests met: how many were answered, and the median latency of successes."""

    answers: int
    p50_s: float | None


@dataclass
class Pulses:
    """Takes the pulse of a target: about ten arrivals, in a second. ``made`` counts requests."""

    engine: Engine
    job: Job
    made: int = 0
    _taken: int = field(init=False, default=0)

    def take(self) -> Pulse:
        """Make some requests and wait for their answers."""
        self._taken += 1
        spec = TrialSpec(
            index=_FIRST_INDEX + self._taken,
            arrivals_per_s=_RATE,
            duration_s=_LASTS_S,
            limit_s=self.job.timeout_s,
            give_up_s=self.job.timeout_s,
            seed=self.job.seed * 100_003 + _FIRST_INDEX + self._taken,
            users=10,
            max_users=50,
        )
        recording = self.engine.trial(spec, lambda _: False)
        self.made += recording.requests_made
        rows = recording.rows()
        latency_s = rows.latency_s[rows.ending == SUCCESS]
        p50_s = float(np.median(latency_s)) if len(latency_s) else None
        return Pulse(recording.answers, p50_s)


def fell_silent(recording: Recording) -> bool:
    """Return whether a trial ended without answers, although it may be overload."""
    return recording.silence >= _SUSPICIOUS


def after_silence(pulses: Pulses, trial: Trial, before: Sequence[Trial]) -> tuple[Trial, bool]:
    """Judge again a trial that ended without answers; return whether the target is gone.

    Overload is none of our business here: a target that answers once the load is off fell silent
    because of it, and the trial stands. One that needs a while was restarted: that is worth
    another trial, once, as it may have broken down under the load.
    """
    began = monotonic()
    if pulses.take().answers:
        return trial, False
    while monotonic() - began < PATIENCE_S:
        if pulses.take().answers:
            away = format_duration(round(monotonic() - began, 1))
            note = _restarted(f"the target did not answer for {away}, then it did")
            return _once(trial, note, before), False
    why = f" ({next(iter(trial.errors))})" if trial.errors else ""
    note = Note(
        code="target_lost",
        message=f"the target stopped answering{why}",
        advice="that trial does not count",
    )
    return _noted(trial, note, worthless=True), True


def after_a_break(trial: Trial, rows: Rows, before: Sequence[Trial]) -> Trial:
    """Judge again a trial in which the target was away or stood still, and now answers.

    Under overload connections wait, or are dropped and time out. What refuses them does not listen:
    it was restarted. And a queue, however long, goes on being served: where nothing was answered
    for a while, something else held the target up. Again, either is worth another trial once.
    """
    known = {note.code for note in trial.notes} & {"target_restarted", "target_lost"}
    if known or trial.outcome != "fail":
        return trial
    if refused := sum(count for error, count in trial.errors.items() if _REFUSED in error):
        note = _restarted(f"{refused:,} connections were refused: nothing listened for a while")
        return _once(trial, note, before)
    if still_s := standstill_s(rows):
        note = Note(
            code="target_stood_still",
            message=f"the target answered nothing for {format_duration(still_s)}, then went on",
            advice="look in its log for what held it up: a collection of garbage, a failover",
        )
        return _noted(trial, note, worthless=_rare(note.code, before))
    return trial


def standstill_s(rows: Rows) -> float:
    """Return the longest time in which nothing was answered though many waited; 0 for none."""
    ends_s = rows.intended_s + rows.sojourn_s
    ends_s = np.sort(ends_s[np.isfinite(ends_s)])
    if len(ends_s) < 2 * _WAITING:
        return 0.0
    gaps_s = np.diff(ends_s)
    longest = int(gaps_s.argmax())
    began_s, still_s = float(ends_s[longest]), float(gaps_s[longest])
    came = np.count_nonzero((rows.intended_s > began_s) & (rows.intended_s < began_s + still_s))
    usual_s = float(gaps_s.sum() - still_s) / (len(gaps_s) - 1)
    unusual = still_s >= max(STANDSTILL_S, _UNUSUAL * usual_s)
    return still_s if unusual and came >= _WAITING else 0.0


def _restarted(message: str) -> Note:
    advice = "leave the target alone while it is measured"
    return Note(code="target_restarted", message=message, advice=advice)


def _once(trial: Trial, note: Note, before: Sequence[Trial]) -> Trial:
    return _noted(trial, note, worthless=not _count(note.code, before))


def _rare(code: str, before: Sequence[Trial]) -> bool:
    """Whether one more trial with a note is no habit of the target."""
    return _count(code, before) < max(1, _RARE * len(before))


def _count(code: str, trials: Sequence[Trial]) -> int:
    return sum(code in {note.code for note in trial.notes} for trial in trials)


def _noted(trial: Trial, note: Note, *, worthless: bool) -> Trial:
    outcome = "invalid" if worthless else trial.outcome
    return trial.model_copy(update={"outcome": outcome, "notes": (*trial.notes, note)})


def lost(trials: Sequence[Trial]) -> TargetLost:
    """Say that the target is gone since the last trial."""
    last = trials[-1]
    return TargetLost(
        f"{last.notes[-1].message} in trial {len(trials)}, at {format_rate(last.rate_rps)}",
        "look at its log, and start it again",
    )


def floor_s(trials: Sequence[Trial]) -> float | None:
    """Return the smallest median latency of trials that were worth something, in seconds.

    It counts from the actual start, so that it is the target's alone.
    """
    medians = [t.latency_actual_s.p50 for t in trials if t.outcome != "invalid"]
    return min((m for m in medians if m is not None), default=None)


def recovered(p50_s: float | None, floor: float | None) -> bool:
    """Return whether a pulse is about as quick as the target was at its best.

    >>> recovered(0.015, 0.010), recovered(0.300, 0.010), recovered(None, 0.010)
    (True, False, False)
    """
    if p50_s is None or floor is None:
        return p50_s is not None
    return p50_s <= _SLOWER * floor + _SLOWER_S


def await_floor(pulses: Pulses, trials: Sequence[Trial], say: Callable[[str], None]) -> None:
    """Wait until the target is about as quick as in the trials so far.

    Raises ``SetupError`` when it is not within ``RECOVERY_S``.
    """
    floor, began = floor_s(trials), monotonic()
    known = "" if floor is None else f", it was {format_duration(floor)}"
    said = False
    while not recovered(p50_s := pulses.take().p50_s, floor):
        state = "does not answer" if p50_s is None else f"answers in {format_duration(p50_s)} (p50)"
        if monotonic() - began > RECOVERY_S:
            raise SetupError(
                f"the target {state}{known}: it has not recovered in {format_duration(RECOVERY_S)}",
                "restart it or let it rest, and resume again; or measure anew, without --resume",
            )
        if not said:
            say(f"waiting for the target to recover: it {state}{known}")
            said = True
    if p50_s is not None:
        say(f"the target answers in {format_duration(p50_s)} (p50){known}: the search goes on")
