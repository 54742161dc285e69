"""Look at a phase while it runs: what to show of it, and whether it may end early."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import accumulate

from capplan.loadtest.phases.asked import Surge
from capplan.loadtest.phases.overload import Definitions, judge, per_second
from capplan.loadtest.progress import Progress, snapshot
from capplan.loadtest.protocol import TrialSpec
from capplan.loadtest.recording import Recording
from capplan.loadtest.search.policy import Bounds
from capplan.results.base import Note
from capplan.units import format_number

_MESSAGES = 10  # about the last second: a soak is too long to be summed up ten times a second
_SHORT_OF_USERS_S = 2.0


def moment(
    recording: Recording, purpose: str, rate_rps: float, bounds_rps: Bounds, left_s: float
) -> Progress:
    """Summarise the last second of a phase; ``left_s`` is what comes after this trial."""
    spec = recording.spec
    asked_rps = rate_rps * _factor_at(spec, recording.elapsed_s)
    whole_s = spec.duration_s + left_s
    return snapshot(recording, purpose, asked_rps, bounds_rps, whole_s, latest=_MESSAGES)


@dataclass
class SurgeWatch:
    """Ends an overload when the target is back for good, or when the pool of users is the limit."""

    spec: TrialSpec
    load: Surge
    definitions: Definitions
    before_s: float
    good_s: float
    notes: tuple[Note, ...] = ()
    _looked_s: float = 0.0
    _short_since_s: float | None = field(default=None)

    def enough(self, recording: Recording) -> bool:
        """Return whether nothing more can be learnt."""
        if self._short_of_users(recording):
            users = int(recording.state["users"])
            self.notes = (
                Note(
                    code="generator_limit",
                    message=f"the overload ended early: all {format_number(users)} users of the "
                    f"generator waited for answers",
                    advice="give clients less patience (saleday.timeout, saleday.attempts) or ask "
                    "for a smaller overload",
                ),
            )
            return True
        return self._is_back(recording)

    def _short_of_users(self, recording: Recording) -> bool:
        state, elapsed_s = recording.state, recording.elapsed_s
        short = state.get("queued", 0) > 0 and state.get("users", 0) >= self.spec.max_users
        if not short:
            self._short_since_s = None
        elif self._short_since_s is None:
            self._short_since_s = elapsed_s
        return short and elapsed_s - (self._short_since_s or elapsed_s) >= _SHORT_OF_USERS_S

    def _is_back(self, recording: Recording) -> bool:
        elapsed_s = recording.elapsed_s
        earliest_s = self.before_s + self.load.duration_s + self.definitions.recovered_s
        if elapsed_s < max(earliest_s, self._looked_s + 1):
            return False
        if recording.state.get("overdue", 0):
            return False  # requests of the seconds looked at have not ended, and are not counted
        self._looked_s = elapsed_s
        series = per_second(
            recording.rows(),
            recording.attempts(),
            self.good_s,
            self.before_s,
            elapsed_s - self.good_s,
        )
        return judge(series, self.load.duration_s, self.definitions)[0] == "recovered"


def _factor_at(spec: TrialSpec, at_s: float) -> float:
    ends_s = accumulate(length_s for length_s, _ in spec.steps)
    now = (factor for end_s, (_, factor) in zip(ends_s, spec.steps, strict=True) if at_s < end_s)
    return next(now, spec.steps[-1][1] if spec.steps else 1.0)
