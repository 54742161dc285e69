"""Where a visit may end: after enough tasks, but never in the middle of a flow.

A *flow* is a task set with one order of its tasks that ends: a SequentialTaskSet, or a
MarkovTaskSet that comes back to its first task. Locust begins it again and again, so one *pass*
counts: of a sequence from its first task to its last, of a chain until it would begin anew (a cycle
of a renewal process, so that over many passes each task has its stationary share).
"""

from __future__ import annotations

from typing import Any

from locust import MarkovTaskSet, SequentialTaskSet, User
from locust.user.task import TaskSet


def least_tasks(user_class: type[User], visit_tasks: int) -> int:
    """Return after how many tasks a visit of the class may end; none where all it does is flows.

    Then it ends with the pass of the flow, or when the script leaves the flow.
    """
    return 0 if all(_is_flow(task) for task in user_class.tasks) else visit_tasks


def is_container(task: Any) -> bool:
    """Return whether a task is a nested TaskSet, whose tasks count instead."""
    return isinstance(task, type) and issubclass(task, TaskSet)


def count_step(taskset: Any) -> None:
    """Count one task of a task set, nested ones as one."""
    taskset._capplan_steps = getattr(taskset, "_capplan_steps", 0) + 1


def between_passes(taskset: Any) -> bool:
    """Return whether a task set that has just done a step is in the middle of no flow.

    A flow in which it lies waits for it to end, and so is in the middle of a pass.
    """
    if _is_flow(type(taskset)) and not _has_passed(taskset):
        return False
    outer = taskset.parent
    while isinstance(outer, TaskSet):
        if _is_flow(type(outer)):
            return False
        outer = outer.parent
    return True


def _has_passed(flow: Any) -> bool:
    if issubclass(type(flow), MarkovTaskSet):
        # what comes next is drawn before a task is run; the class still has the first one
        return bool(flow.current.__name__ == type(flow).current.__name__)
    return getattr(flow, "_capplan_steps", 0) % len(flow.tasks) == 0


def _is_flow(task: Any) -> bool:
    if not is_container(task):
        return False
    return issubclass(task, SequentialTaskSet) or (
        issubclass(task, MarkovTaskSet) and _comes_back(task)
    )


def _comes_back(chain: type[MarkovTaskSet]) -> bool:
    """Return whether the chain surely reaches its first task again from wherever it may go."""
    start: Any = chain.current
    first: str = start.__name__
    ways = {first: set(_next(chain, first))}
    pending = list(ways[first])
    while pending:
        name = pending.pop()
        if name not in ways:
            ways[name] = set(_next(chain, name))
            pending += ways[name]
    back = {first}
    while grown := {name for name, to in ways.items() if to & back} - back:
        back |= grown
    return set(ways) <= back


def _next(chain: type[MarkovTaskSet], name: str) -> list[str]:
    task: Any = getattr(chain, name)
    names: list[str] = task.transitions
    return names
