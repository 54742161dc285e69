"""The ticket gate: an open workload for any Locust script, unmodified.

Locust's users form a closed loop: each waits for its answer before it starts again, so a slow
server receives less load. Here every leaf task first takes a ticket. Tickets come from a Poisson
schedule that does not wait for anybody; the time on the ticket is the *intended start*. Users are
only a pool that serves tickets.

Of Locust, the gate replaces ``TaskSet.execute_next_task`` (to take a ticket first) and
``TaskSet.wait`` (silent between tasks, untouched inside a task), and reads ``TaskSet._task_queue``
and ``User._state``. These private names are under contract tests.
"""

from __future__ import annotations

import itertools
import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any, ClassVar

import gevent
from gevent.hub import Waiter
from locust import User
from locust.exception import (
    InterruptTaskSet,
    RescheduleTask,
    RescheduleTaskImmediately,
    StopTest,
    StopUser,
)
from locust.user.task import (
    LOCUST_STATE_RUNNING,
    LOCUST_STATE_STOPPING,
    LOCUST_STATE_WAITING,
    TaskSet,
)

from capplan.loadtest.worker.flows import is_container

SIGNALS = (
    InterruptTaskSet,
    RescheduleTask,
    RescheduleTaskImmediately,
    StopTest,
    StopUser,
)
"""What Locust raises to steer users; anything else that a task raises is an error."""


class Ticket:
    """The right to run one leaf task, dated with its intended start."""

    __slots__ = ("asked", "fresh", "intended", "requests", "started", "starved", "trial")

    heard: ClassVar[bool] = False
    """Whether the script's clients tell when they send a request; not all of them do."""

    def __init__(self, trial: int, intended: float) -> None:
        self.trial = trial
        self.intended = intended
        self.started = 0.0
        self.asked = 0.0  # when its first request was sent, as far as is known
        self.starved = False
        self.requests = 0
        self.fresh = True  # until its first request is recorded

    def overdue(self, limit_s: float, now: float) -> bool:
        """Return whether its first request can no longer meet the limit.

        What a task does before it asks is its own time, and not the target's.
        """
        if not self.fresh:
            return False
        if not self.started:
            return now - self.intended > limit_s
        late_s = self.started - self.intended
        if self.asked or not Ticket.heard:
            late_s += now - (self.asked or self.started)
        return late_s > limit_s


def current_ticket() -> Ticket | None:
    """Return the ticket on which the running greenlet, or the one that spawned it, works."""
    shared = getattr(gevent.getcurrent(), "spawn_tree_locals", None)
    ticket: Ticket | None = shared.get("capplan_ticket") if shared else None
    return ticket


def note_asked() -> None:
    """Note that the arrival on which the running greenlet works sends a request."""
    Ticket.heard = True
    ticket = current_ticket()
    if ticket is not None and not ticket.asked:
        ticket.asked = perf_counter()


def _work_on(ticket: Ticket | None) -> None:
    # a spawned greenlet shares this dict as it is then: a new one keeps the old ticket for those
    # that the last task left behind
    greenlet: Any = gevent.getcurrent()
    greenlet.spawn_tree_locals = {**(greenlet.spawn_tree_locals or {}), "capplan_ticket": ticket}


@dataclass
class Lane:
    """The users of one class that wait for a ticket, and the tickets that wait for a user."""

    user_class: type[User]
    idle: deque[Waiter[Ticket]] = field(default_factory=deque)
    backlog: deque[Ticket] = field(default_factory=deque)


class Gate:
    """Hands tickets to users, one lane per user class so that the mix stays as weighted.

    A lane per class is needed because a shared queue would give more tickets to the class whose
    tasks are quick.
    """

    def __init__(self, weights: dict[type[User], float]) -> None:
        self.lanes = {cls: Lane(cls) for cls in weights}
        self._weights = list(itertools.accumulate(weights.values()))
        self._classes = list(weights)
        self.ungated: set[type[User]] = set()
        """Classes whose users run at the script's own pace, without tickets."""
        self.in_flight: set[Ticket] = set()
        self.issued = 0
        self.starved = 0
        self.requests_squared = 0
        """The sum over the tickets that ended of their number of requests, squared."""
        self.lateness_s: list[float] = []
        self.task_failed: Callable[[Ticket, Exception], None] = lambda ticket, error: None
        """Called when a task raises something that is not one of Locust's own signals."""
        self.starting: Callable[[User], None] = lambda user: None
        """Called with a user that has its ticket, before its task."""

    def reset(self) -> None:
        """Forget the counts of the last trial."""
        self.issued = self.starved = self.requests_squared = 0
        self.lateness_s = []

    def choose(self, rng: random.Random) -> type[User]:
        """Draw a user class by weight."""
        if len(self._classes) == 1:
            return self._classes[0]
        return rng.choices(self._classes, cum_weights=self._weights)[0]

    def issue(self, ticket: Ticket, user_class: type[User]) -> None:
        """Give a ticket to an idle user of the class, or queue it until one is free."""
        lane = self.lanes[user_class]
        self.issued += 1
        if lane.idle:
            # the user that was busy last has the warmest connection
            waiter = lane.idle.pop()
            self.in_flight.add(ticket)
            gevent.get_hub().loop.run_callback(waiter.switch, ticket)
        else:
            ticket.starved = True
            self.starved += 1
            lane.backlog.append(ticket)

    def is_ready(self, user: User) -> bool:
        """Return whether a user has been at the gate, or needs no ticket."""
        return type(user) in self.ungated or hasattr(user, "_capplan_ready")

    def take(self, user: Any) -> Ticket:
        """Block the user until it has a ticket; it stays killable meanwhile."""
        lane = self.lanes[type(user)]
        user._capplan_ready = True
        if user._state == LOCUST_STATE_STOPPING:
            raise StopUser
        if lane.backlog:
            # others first: to read all answers and then send all requests keeps the processor's
            # caches warm, which is worth a tenth of the generator's speed
            gevent.sleep(0)
        if lane.backlog:
            ticket = lane.backlog.popleft()
            self.in_flight.add(ticket)
        else:
            waiter: Waiter[Ticket] = Waiter()
            lane.idle.append(waiter)
            user._state = LOCUST_STATE_WAITING
            try:
                ticket = waiter.get()
            except BaseException:  # killed while it waited: nobody may hand it a ticket
                if waiter in lane.idle:
                    lane.idle.remove(waiter)
                raise
            user._state = LOCUST_STATE_RUNNING
        ticket.started = perf_counter()
        if not ticket.starved:
            self.lateness_s.append(ticket.started - ticket.intended)
        return ticket

    def overdue(self, limit_s: float, now: float) -> int:
        """Count the tickets, running or queued, whose first request can no longer meet the limit.

        A task that goes on after its first answer may take its time.
        """
        overdue = sum(ticket.overdue(limit_s, now) for ticket in self.in_flight)
        for lane in self.lanes.values():
            for ticket in lane.backlog:
                if not ticket.overdue(limit_s, now):
                    break  # those behind it are younger
                overdue += 1
        return overdue

    def drop_backlog(self, older_than_s: float, now: float) -> list[Ticket]:
        """Remove queued tickets that are older than ``older_than_s``."""
        dropped: list[Ticket] = []
        for lane in self.lanes.values():
            while lane.backlog and now - lane.backlog[0].intended >= older_than_s:
                dropped.append(lane.backlog.popleft())
        return dropped

    @property
    def queued(self) -> int:
        """Tickets that wait for a user."""
        return sum(len(lane.backlog) for lane in self.lanes.values())

    @property
    def idle(self) -> int:
        """Users that wait for a ticket."""
        return sum(len(lane.idle) for lane in self.lanes.values())

    def install(self) -> None:
        """Put the gate into Locust's run loop, for every kind of TaskSet."""
        taskset_class: Any = TaskSet
        execute, wait = taskset_class.execute_next_task, taskset_class.wait

        def execute_next_task(taskset: Any) -> None:
            user = taskset.user
            if type(user) in self.ungated or is_container(taskset._task_queue[0]):
                execute(taskset)  # the leaves of a container take tickets of their own
                return
            ticket = self.take(user)
            user._capplan_ticket = ticket
            _work_on(ticket)
            self.starting(user)
            try:
                execute(taskset)
            except SIGNALS:
                raise
            except Exception as error:
                self.task_failed(ticket, error)
                raise
            finally:
                _work_on(None)
                user._capplan_ticket = None
                user._capplan_waited = False
                self.in_flight.discard(ticket)
                self.requests_squared += ticket.requests * ticket.requests

        def wait_between_tasks(taskset: Any) -> None:
            user = taskset.user
            if type(user) in self.ungated or getattr(user, "_capplan_ticket", None) is not None:
                wait(taskset)  # the latter is an explicit self.wait() inside a task
            elif getattr(user, "_capplan_waited", True):
                # no ticket since the last wait: something fails before it reaches the gate
                gevent.sleep(0.1)
            user._capplan_waited = True
            if user._state == LOCUST_STATE_STOPPING:
                raise StopUser

        taskset_class.execute_next_task = execute_next_task
        taskset_class.wait = wait_between_tasks
