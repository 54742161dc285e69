"""Some visits of each user class without load and without waits: what they call, how long they are.

The waits are asked for and added up, not waited for, so that the length of a visit of minutes is
known in seconds. What a task itself sleeps takes its time.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from functools import partial
from time import perf_counter
from typing import Any

from locust import User

from capplan.loadtest.worker.check import call_of, wait_until
from capplan.loadtest.worker.gate import current_ticket
from capplan.loadtest.worker.pool import Pool
from capplan.loadtest.worker.script import Script
from capplan.loadtest.worker.visits import MOST_DRY_TASKS, Visit, Visits

VISITS = 20
"""Of each class: the longest is about the 95th percentile of their length."""

MOST_VISITS = 60
_NEXT_AFTER_S = 0.25  # so that visitors who sleep in their tasks do so beside each other
_SAY_EVERY_S = 1.0


def check_visits(
    script: Script,
    gate: Visits,
    pool: Pool,
    alive: Callable[[], None],
    expect: Iterable[str],
    limit_s: float,
) -> list[dict[str, Any]]:
    """Return what the first user of each class called, and how long the visits were.

    There are more visits where they may still find a request whose name is in ``expect``. What has
    not ended after ``limit_s`` is sent home.
    """
    pool.say_complete()
    checking = _Checking(script, gate, pool, alive, expect, perf_counter() + limit_s)
    script.environment.events.request.add_listener(checking.listen)
    checked = [checking.visit_as(cls) for cls in script.classes]
    script.environment.events.request.remove_listener(checking.listen)
    return checked


class _Checking:
    def __init__(
        self,
        script: Script,
        gate: Visits,
        pool: Pool,
        alive: Callable[[], None],
        expect: Iterable[str],
        deadline: float,
    ) -> None:
        self._script, self._gate, self._pool = script, gate, pool
        self._alive, self._missing, self._deadline = alive, set(expect), deadline
        self._visits: list[Visit] = []
        self._calls: list[dict[str, Any]] = []
        self._names: set[str] = set()
        self._said = 0.0
        gate.most = MOST_VISITS

    def visit_as(self, user_class: type[User]) -> dict[str, Any]:
        """Make the visits of one class."""
        self._visits, self._calls, self._pool.last_error = [], [], None
        self._names = set()
        while len(self._visits) < (MOST_VISITS if self._missing else VISITS):
            visit = Visit(-1, perf_counter(), dry=True)
            self._visits.append(visit)
            self._gate.issue(visit, user_class)
            wait_until(partial(self._is_over, visit), _NEXT_AFTER_S)
            if perf_counter() > self._deadline or self._endless():
                break
        wait_until(
            lambda: all(self._is_over(visit) for visit in self._visits),
            max(0.0, self._deadline - perf_counter()),
        )
        ended = [visit.ended is not None and not visit.endless for visit in self._visits]
        error = self._pool.last_error
        if self._endless():
            error = f"it had not ended after {MOST_DRY_TASKS} tasks"
        elif not all(ended):
            error = "it had not ended in time"
        self._gate.cut_off()
        return {
            "user_class": user_class.__name__,
            "tasks": self._visits[0].tasks,
            "calls": self._calls,
            "error": error,
            "lengths_s": [
                _length_s(visit) if over else math.inf
                for visit, over in zip(self._visits, ended, strict=True)
            ],
            "requests": [visit.requests for visit in self._visits],
            "names": sorted(self._names),
        }

    def listen(self, **event: Any) -> None:
        """Listen to Locust's request event."""
        call = call_of(event, in_task=True)
        self._missing.discard(call["name"])
        self._names.add(call["name"])
        if current_ticket() is self._visits[0]:
            self._calls.append(call)

    def _endless(self) -> bool:
        return any(visit.endless for visit in self._visits)

    def _is_over(self, visit: Visit) -> bool:
        now = perf_counter()
        if now - self._said > _SAY_EVERY_S:
            self._said = now
            self._alive()
        return visit.ended is not None


def _length_s(visit: Visit) -> float:
    return (visit.ended or visit.started) - visit.intended + visit.skipped_s
