"""The pool of users that serve tickets: spawned before the load, grown when it runs dry."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from time import perf_counter
from typing import Any

import gevent
from locust import User
from locust.runners import STATE_RUNNING, WorkerRunner

from capplan.loadtest.worker.gate import Gate
from capplan.loadtest.worker.script import Script

_LOOK_AGAIN_S = 0.5  # users may have ended by themselves, or what kept them from starting


class Pool:
    """Live users per class: in proportion to the weights, and those that run beside the load."""

    def __init__(self, script: Script, gate: Gate, ended: Callable[[], None]) -> None:
        self._script = script
        self._gate = gate
        self.last_error: str | None = None
        self.failed_starts = 0
        """Users that ended before they were ready, in ``on_start``, since it was set to 0."""
        self.start_error: str | None = None
        """Why the last of them did."""
        self._full_until = 0.0
        self._stop = script.guard_end(ended)
        script.environment.events.user_error.add_listener(self.on_user_error)

    @property
    def size(self) -> int:
        """Users alive that serve tickets."""
        counts: dict[str, int] = self._script.runner.user_classes_count
        return sum(counts[cls.__name__] for cls, weight in self._script.weights.items() if weight)

    def grow_to(self, users: int, settle_s: float) -> int:
        """Spawn until there are ``users``; return how many reached the gate within ``settle_s``.

        Logins in ``on_start`` happen here, before the load starts.
        """
        counts: dict[str, int] = self._script.runner.user_classes_count
        total = sum(self._script.weights.values())
        for cls, weight in self._script.weights.items():
            if weight:
                wanted = max(1, round(users * weight / total))
                self.add(cls, wanted - counts[cls.__name__])
        self.add_beside()
        self.say_complete()
        deadline = perf_counter() + settle_s  # the clock of gevent's loop is the wall's
        while self._gate.idle < self.size and perf_counter() < deadline:
            gevent.sleep(0.01)
        return self._gate.idle

    def add_beside(self) -> None:
        """Spawn the users that run beside the load, where some are missing."""
        counts: dict[str, int] = self._script.runner.user_classes_count
        for cls, count in self._script.beside.items():
            self._gate.ungated.add(cls)
            self.add(cls, count - counts[cls.__name__])

    def widen(self, max_users: int) -> None:
        """Add users to each class whose tickets wait, a tenth of the pool at a time."""
        now = perf_counter()
        if now < self._full_until:
            return
        size = self.size  # which looks at every user
        for lane in self._gate.lanes.values():
            room = max_users - size
            if lane.backlog and room > 0:
                count = min(room, 5 + size // 10)
                self.add(lane.user_class, count)
                size += count
        if size >= max_users:
            self._full_until = now + _LOOK_AGAIN_S

    def recycle(self) -> None:
        """End the users that still work on a ticket, so that none is stuck in the next trial."""
        greenlets: list[Any] = list(self._script.runner.user_greenlets)
        stuck = [
            greenlet
            for greenlet in greenlets
            if greenlet.args and getattr(greenlet.args[0], "_capplan_ticket", None) is not None
        ]
        with suppress(gevent.Timeout):  # a task may catch what ends it
            gevent.killall(stuck, timeout=1.0)

    def stop(self) -> None:
        """End all users and tell the script that the test is over, and then that all is."""
        self._stop()
        self._script.close()

    def say_complete(self) -> None:
        """Tell the script that its users are there: some hold back until then."""
        runner = self._script.runner
        runner.update_state(STATE_RUNNING)
        if isinstance(runner, WorkerRunner):
            runner.spawning_complete(sum(runner.user_classes_count.values()))  # tells the master
        self._script.environment.events.spawning_complete.fire(user_count=runner.user_count)

    def add(self, cls: type[User], count: int) -> None:
        """Spawn ``count`` users of a class."""
        for _ in range(max(0, count)):
            for user in self._script.runner.spawn_users({cls.__name__: 1}):
                # not all versions report an error in on_start as an event
                user.greenlet.link(partial(self._ended, user))
            gevent.sleep(0)  # creating hundreds of clients at once would delay arrivals

    def on_user_error(self, exception: BaseException, **_: Any) -> None:
        """Remember why a user ended or a task did."""
        self.last_error = self._script.describe(exception)[:300]

    def _ended(self, user: User, greenlet: Any) -> None:
        error = greenlet.exception
        if error is not None:
            self.on_user_error(error)
        if self._gate.is_ready(user):
            return
        if error is None:
            self.last_error = "StopUser in on_start"
        self.failed_starts += 1
        self.start_error = self.last_error
        # each attempt may be a login: not fifty times a second
        self._full_until = perf_counter() + _LOOK_AGAIN_S
