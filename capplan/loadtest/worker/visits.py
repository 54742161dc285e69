"""The other unit of arrival: a ticket is a visit, made by a user who is new and then gone.

The intended start of a visit comes from the schedule, and so does that of its first request; what
follows is the script's own: its waits, its order, its end. A visit begins with ``on_start`` on a
connection and with cookies of its own, and is over after enough tasks (see ``flows``), or when the
script stops its user.

Of Locust, this replaces ``TaskSet.execute_next_task`` (to count tasks and to end the visit),
``TaskSet.wait`` (only to skip the waits of a dry visit) and ``User.run`` (to know when a visit
begins and ends), and sets ``User._state``, by which Locust itself ends a user gracefully.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from contextlib import suppress
from time import perf_counter
from typing import Any

import gevent
from locust import User
from locust.exception import StopUser
from locust.user.task import LOCUST_STATE_STOPPING, LOCUST_STATE_WAITING, TaskSet

from capplan.loadtest.worker.flows import between_passes, count_step, is_container, least_tasks
from capplan.loadtest.worker.gate import SIGNALS, Gate, Ticket
from capplan.loadtest.worker.script import Script
from capplan.loadtest.worker.wire import disconnect

MOST_DRY_TASKS = 500
"""A visit without waits that has made so many tasks has no end of its own."""


class Visit(Ticket):
    """The right to make one visit.

    A ``dry`` visit skips the script's waits and adds them up in ``skipped_s``.
    """

    __slots__ = ("dry", "ended", "least_tasks", "skipped_s", "tasks", "user")

    def __init__(self, trial: int, intended: float, *, dry: bool = False) -> None:
        super().__init__(trial, intended)
        self.dry = dry
        self.skipped_s = 0.0
        self.tasks = self.least_tasks = 0
        self.ended: float | None = None
        self.user: User | None = None

    @property
    def endless(self) -> bool:
        """Whether a dry visit had to be ended from outside."""
        return self.dry and self.tasks >= MOST_DRY_TASKS + self.least_tasks

    @property
    def waits(self) -> bool:
        """Whether its user thinks, between two tasks or by an explicit wait inside of one."""
        return self.user is not None and self.user._state == LOCUST_STATE_WAITING


class Visits(Gate):
    """A gate that lets in a new user with each ticket, while there are fewer than ``most``."""

    def __init__(self, script: Script, visit_tasks: int) -> None:
        super().__init__(script.weights)
        self.most = 0
        self.peak = 0
        """The most users there were at once in the running trial."""
        self.rate = 0.0
        """Visits/s of those that go on."""
        self.log: list[Visit] = []
        """The visits of the running trial, in the order of their tickets."""
        self.failed: Callable[[BaseException], None] = lambda error: None
        """Called when ``on_start`` raises."""
        self._script = script
        self._least_tasks = {cls: least_tasks(cls, visit_tasks) for cls in script.classes}

    def reset(self) -> None:
        """Forget the counts of the last trial; its visits may still go on."""
        super().reset()
        self.log = []
        self.peak = len(self.in_flight)

    def issue(self, ticket: Ticket, user_class: type[User]) -> None:
        """Begin a visit, or queue it until there is room for its user."""
        assert isinstance(ticket, Visit)
        self.issued += 1
        self.log.append(ticket)
        if len(self.in_flight) < self.most:
            self._begin(ticket, user_class)
        else:
            ticket.starved = True
            self.starved += 1
            self.lanes[user_class].backlog.append(ticket)

    def overdue(self, limit_s: float, now: float) -> int:
        """Count the visits of this trial whose first request can no longer meet the limit.

        A visit that began in time and then waits, before it has asked for anything, is not late.
        """
        return sum(
            visit.ended is None and not visit.waits and visit.overdue(limit_s, now)
            for visit in self.log
        )

    def thin(self, keep: float, rng: random.Random) -> None:
        """Send home all visitors but a share.

        What is left of a Poisson population in steady state is that of ``keep`` times its rate.
        """
        self.send_home([visit for visit in self.in_flight if rng.random() >= keep])

    def send_home(self, visits: Iterable[Any]) -> None:
        """End visits after the task that they are in, or at once where their users wait."""
        for visit in visits:
            user = visit.user
            if user is not None and user._state in (None, LOCUST_STATE_WAITING):
                user.greenlet.kill(block=False)
            elif user is not None:
                user._state = LOCUST_STATE_STOPPING

    def close(self) -> None:
        """Send everybody home and wait for them a little."""
        greenlets = self._greenlets()
        self.send_home(self.in_flight)
        gevent.joinall(greenlets, timeout=0.5)

    def cut_off(self) -> None:
        """End all visits at once, also those that await an answer."""
        with suppress(gevent.Timeout):  # a task may catch what ends it
            gevent.killall(self._greenlets(), timeout=1.0)
        self.in_flight.clear()

    def install(self) -> None:
        """Let Locust's users make visits; those without a ticket run as they always do."""
        taskset_class: Any = TaskSet
        user_class: Any = User
        execute, wait = taskset_class.execute_next_task, taskset_class.wait
        run = user_class.run

        def run_visit(user: Any) -> None:
            visit: Visit | None = getattr(user, "_capplan_visit", None)
            if visit is None:
                run(user)
                return
            visit.started = perf_counter()
            if not visit.starved:
                self.lateness_s.append(visit.started - visit.intended)
            self.starting(user)
            try:
                run(user)
            except SIGNALS:
                pass  # raised in on_start, or once more in on_stop
            except Exception as error:
                self.task_failed(visit, error)
                self.failed(error)
                raise
            finally:
                _hang_up(user)

        def execute_next_task(taskset: Any) -> None:
            visit: Visit | None = getattr(taskset.user, "_capplan_visit", None)
            if visit is None:
                execute(taskset)
                return
            try:
                if is_container(taskset._task_queue[0]):
                    execute(taskset)
                else:
                    self._run_task(visit, lambda: execute(taskset))
            finally:
                count_step(taskset)
                if visit.tasks >= visit.least_tasks and between_passes(taskset):
                    taskset.user._state = LOCUST_STATE_STOPPING

        def wait_or_skip(taskset: Any) -> None:
            visit: Visit | None = getattr(taskset.user, "_capplan_visit", None)
            if visit is None or not visit.dry:
                wait(taskset)
                return
            if taskset.user._state == LOCUST_STATE_STOPPING:
                raise StopUser
            _skip(taskset, visit)
            gevent.sleep(0)

        user_class.run = run_visit
        taskset_class.execute_next_task = execute_next_task
        taskset_class.wait = wait_or_skip

    def _run_task(self, visit: Visit, execute: Callable[[], None]) -> None:
        if visit.endless:
            raise StopUser
        visit.tasks += 1
        try:
            execute()
        except SIGNALS:
            raise
        except Exception as error:
            self.task_failed(visit, error)
            raise

    def _begin(self, visit: Visit, user_class: type[User]) -> None:
        # the runner's own way to spawn users goes through all that there are
        user: Any = user_class(self._script.environment)
        user._capplan_visit = visit
        visit.user = user
        visit.least_tasks = self._least_tasks[user_class]
        self.in_flight.add(visit)
        self.peak = max(self.peak, len(self.in_flight))
        greenlet: Any = user.start(self._script.runner.user_greenlets)
        greenlet.spawn_tree_locals = {
            **(greenlet.spawn_tree_locals or {}),
            "capplan_ticket": visit,
        }
        greenlet.rawlink(lambda _: self._over(visit, user_class))

    def _over(self, visit: Visit, user_class: type[User]) -> None:
        visit.ended = perf_counter()
        visit.user = None
        self.in_flight.discard(visit)
        backlog = self.lanes[user_class].backlog
        while backlog and len(self.in_flight) < self.most:
            waiting = backlog.popleft()
            assert isinstance(waiting, Visit)
            self._begin(waiting, user_class)

    def _greenlets(self) -> list[Any]:
        going_on: list[Any] = list(self.in_flight)
        return [visit.user.greenlet for visit in going_on if visit.user is not None]


def _skip(taskset: Any, visit: Visit) -> None:
    waited_s = max(0.0, taskset.wait_time())
    visit.skipped_s += waited_s
    holder: Any = taskset
    while isinstance(holder, TaskSet | User):
        if hasattr(holder, "_cp_last_run"):  # constant_pacing has to see that time went by
            holder._cp_last_run -= waited_s
        holder = holder.parent if isinstance(holder, TaskSet) else None


def _hang_up(user: Any) -> None:
    """Close what the user has open; its object may live until the next garbage collection."""
    shared = getattr(user, "pool_manager", None) or getattr(user, "client_pool", None)
    if shared is None:  # the script lets its users share connections
        disconnect(user)
