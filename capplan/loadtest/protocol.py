"""What the load test and its load generators say to each other.

With one of them these are JSON lines on one socket. Several are workers of a Locust master: the
load test speaks with the master's process, which passes on by Locust's messages what is for a
worker, and the other way round.

To a generator: one ``WorkerConfig``, then ``{"do": "begin" | "check" | "trial" | "go" | "lead" |
"end" | "quit" | "leave"}``. ``begin`` says that all generators are there, ``lead`` that this one
is the first of them, which has the users with a fixed number. ``quit`` lets the script's own
clean-up run, ``leave`` does not.

From a generator: ``{"is": "loading" | "ready" | "refused" | "begun" | "checking" | "checked" |
"prepared" | "rows" | "wire" | "visits" | "progress" | "done"}``. One that has spawned its users
says ``prepared``; when all have, ``go`` names the instant of the performance counter at which their
schedules start. That clock is the machine's, the same in every process of it; a worker on another
machine is told in how many seconds instead.

To a master: ``{"do": "line" | "answer" | "begin" | "quit"}``; from it: ``{"is": "listening" |
"refused" | "begun" | "knock" | "stranger"}``. A ``line`` comes with the sockets on which it is to
pass on what a worker says. Who comes from another machine says ``knock`` first, and gets an answer.

This module is imported on both sides and must stay light.
"""

from __future__ import annotations

import base64
from array import array
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

Unit = Literal["task", "visit"]
"""What arrives: one leaf task of a user that is always there, or a new user with a whole visit."""

Role = Literal["alone", "master", "worker"]
"""What a process of the load generator is to Locust: all there is, or a part of several."""

MESSAGE = "capplan"
"""The type of our messages among those of Locust and of the script."""

MOST_USERS = 5000
"""The largest pool, over all processes; a script sees it as the number that is aimed at."""

SUCCESS, FAILURE, TIMEOUT = 0, 1, 2
"""How a request ended. A timeout has no latency that could be compared with a limit."""

NOT_STARTED = "(not started)"
"""The endpoint of an arrival for which no user became free in time."""

TASK_FAILED = "(task failed)"
"""The endpoint of an arrival whose task raised before any of its requests was reported."""

NOT_ASKED = "(raised before a request)"
"""Endpoint of arrivals whose task raised, when it is known that it had sent nothing."""


@dataclass(frozen=True, slots=True)
class MasterAddress:
    """Where a master of Locust listens, and the token without which it lets nobody in.

    ``line`` is by which of its lines the load test speaks with the worker that is told this.
    """

    host: str
    port: int
    token: str
    line: int = 0


@dataclass(frozen=True, slots=True)
class WorkerConfig:
    """What the child needs to load the user's script.

    ``arguments`` are passed to Locust's own command-line parser, so that options which the script
    adds itself work. ``visit_tasks`` is how many tasks make a visit where no flow says so.
    """

    locustfiles: tuple[str, ...]
    target: str
    timeout_s: float
    allowed_hosts: tuple[str, ...]
    arguments: tuple[str, ...] = ()
    unit: Unit = "task"
    visit_tasks: int = 5
    index: int = 0
    """Which of several children this is: the script sees it as the runner's ``worker_index``."""
    role: Role = "alone"
    master: MasterAddress | None = None

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> WorkerConfig:
        """Read what ``dataclasses.asdict`` made, after its way through JSON."""
        values: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in fields.items()
        }
        master = MasterAddress(**fields["master"]) if fields.get("master") else None
        return cls(**{**values, "master": master})


ANSWERED, SHED, FAILED, TIMED_OUT = 0, 1, 2, 3
"""How an attempt ended. Shed is a refusal that the server chose: status 429 or 503."""


@dataclass(frozen=True, slots=True)
class Retry:
    """How a client behaves that does not get an answer.

    It waits ``timeout_s`` for one and then hangs up. After a timeout, a broken connection or a
    status of 500 and above it sends the request again, ``attempts`` times in all; before attempt
    k + 1 it waits ``backoff_s``·2^(k-1), of which a random share of up to ``jitter`` is left out.
    """

    attempts: int
    timeout_s: float
    backoff_s: float
    jitter: float

    @property
    def patience_s(self) -> float:
        """The longest time until the last attempt has ended."""
        return self.attempts * self.timeout_s + self.backoff_s * (2.0 ** (self.attempts - 1) - 1)


@dataclass(frozen=True, slots=True)
class TrialSpec:
    """One load to hold: Poisson arrivals at ``arrivals_per_s`` for ``duration_s``.

    What is older than ``limit_s`` is *overdue*; an arrival that found no user within ``give_up_s``
    is not sent any more once the schedule has ended.
    ``users`` is the size of the pool before the first arrival, ``max_users`` how far it may grow.

    ``steps`` are pairs (seconds, factor) that follow each other, the last one without an end: the
    rate is ``arrivals_per_s`` times the factor. With ``unconnected`` each arrival is a stranger who
    has to connect first. ``retry`` replaces the script's plain clients by ones that try again.

    Once ``most_requests`` were made or are on their way, nothing is issued any more. ``most_users``
    is the largest pool that any trial could have here.
    """

    index: int
    arrivals_per_s: float
    duration_s: float
    limit_s: float
    give_up_s: float
    seed: int
    users: int
    max_users: int
    steps: tuple[tuple[float, float], ...] = ()
    unconnected: bool = False
    retry: Retry | None = None
    most_requests: int | None = None
    most_users: int = MOST_USERS

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> TrialSpec:
        """Read what ``dataclasses.asdict`` made, after its way through JSON."""
        steps = tuple((seconds, factor) for seconds, factor in fields.get("steps", ()))
        retry = Retry(**fields["retry"]) if fields.get("retry") else None
        return cls(**{**fields, "steps": steps, "retry": retry})

    def share(self, worker: int, workers: int) -> TrialSpec:
        """Return the part of the load that one of several workers holds.

        Independent Poisson processes of λ/n each add up to one of λ, so nothing has to be dealt
        out while the load lasts.
        """
        return replace(
            self,
            arrivals_per_s=self.arrivals_per_s / workers,
            seed=self.seed * 1_009 + worker,
            users=-(-self.users // workers),
            max_users=-(-self.max_users // workers),
            most_requests=None if self.most_requests is None else self.most_requests // workers,
        )


COLUMNS: Mapping[str, str] = {
    "intended_s": "d",  # since the start of the trial
    "latency_s": "f",  # from the actual start of the request
    "lateness_s": "f",  # actual minus intended start; 0 after the first request of an arrival
    "endpoint": "H",
    "ending": "B",
}
"""One row per request, shipped as packed arrays: exact, and cheap to write from the child."""


ATTEMPT_COLUMNS: Mapping[str, str] = {
    "start_s": "d",  # since the start of the trial
    "ordinal": "B",  # 0 for the first attempt of a request
    "last": "B",  # 1 when the client asked no more
    "ending": "B",
}
CONNECT_COLUMNS: Mapping[str, str] = {
    "start_s": "d",
    "took_s": "f",
    "failed": "B",
}
"""What requests are made of, one row per attempt and one per connection that was opened."""
VISIT_COLUMNS: Mapping[str, str] = {
    "intended_s": "d",  # since the start of the trial
    "length_s": "f",  # from the intended start to the end; infinite when it had not ended
    "requests": "H",
}
"""One row per visit of a trial in unit ``visit``, shipped at its end."""


def pack(columns: Mapping[str, array[Any]]) -> dict[str, str]:
    """Encode columns for a JSON line."""
    return {name: base64.b64encode(column.tobytes()).decode() for name, column in columns.items()}
