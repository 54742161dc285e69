"""One visit of each user class without load, to see that the script works and what it calls."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from time import perf_counter
from typing import Any

import gevent
from locust import User
from locust.user.task import TaskSet

from capplan.loadtest.worker.gate import Gate, Ticket, current_ticket
from capplan.loadtest.worker.pool import Pool
from capplan.loadtest.worker.script import Script

MAX_TASKS = 50
MAX_EXTRA_TASKS = 200


def check(
    script: Script,
    gate: Gate,
    pool: Pool,
    timeout_s: float,
    alive: Callable[[], None],
    expect: Iterable[str] = (),
) -> list[dict[str, Any]]:
    """Return what one user of each class called, request by request.

    A visit is as many leaf tasks as the class has different ones: one pass of a sequential flow,
    or as many random draws. It goes on for a while where it may still find a request whose name is
    in ``expect``. ``alive`` is called before everything that may take ``timeout_s``.
    """
    missing = set(expect)
    visits: list[dict[str, Any]] = []
    calls: list[dict[str, Any]] = []

    def listen(**event: Any) -> None:
        call = call_of(event, in_task=current_ticket() is not None)
        missing.discard(call["name"])
        calls.append(call)

    script.environment.events.request.add_listener(listen)
    for user_class in script.classes:
        calls = []
        alive()
        pool.last_error = None
        pool.add(user_class, 1)
        pool.say_complete()
        tasks = min(MAX_TASKS, len(_leaves(user_class)))
        most = tasks + (MAX_EXTRA_TASKS if tasks > 1 else 0)
        done = 0
        lane = gate.lanes[user_class]
        while done < (most if missing else tasks) and wait_until(
            partial(bool, lane.idle), timeout_s
        ):
            gate.issue(Ticket(-1, perf_counter()), user_class)
            gevent.sleep(0)
            alive()
            if not wait_until(lambda: not gate.in_flight, timeout_s + 1):
                pool.last_error = f"it had not ended after {timeout_s + 1:g} s"
                break
            done += 1
        visits.append(
            {
                "user_class": user_class.__name__,
                "tasks": done,
                "calls": calls,
                "error": pool.last_error,
            }
        )
        script.runner.stop_users({user_class.__name__: 1})
        gate.in_flight.clear()
    script.environment.events.request.remove_listener(listen)
    return visits


def call_of(event: Mapping[str, Any], *, in_task: bool) -> dict[str, Any]:
    """Return what the parent is told of a request, from Locust's event of it."""
    exception = event.get("exception")
    return {
        "in_task": in_task,
        "name": f"{event['request_type']} {event['name']}",
        "latency_s": (event.get("response_time") or 0.0) / 1000,
        "bytes": event.get("response_length") or 0,
        "error": None if exception is None else str(exception)[:300],
    }


def _leaves(holder: type[User] | type[TaskSet]) -> set[Any]:
    leaves: set[Any] = set()
    # a Markov chain keeps its tasks to itself
    chain = [task for task in vars(holder).values() if hasattr(task, "transitions")]
    for task in holder.tasks or chain:
        if isinstance(task, type) and issubclass(task, TaskSet):
            leaves |= _leaves(task)
        else:
            leaves.add(task)
    return leaves


def wait_until(condition: Callable[[], bool], timeout_s: float) -> bool:
    """Wait for a condition; return whether it came about in time."""
    deadline = perf_counter() + timeout_s
    while not condition():
        if perf_counter() > deadline:
            return False
        gevent.sleep(0.005)
    return True
