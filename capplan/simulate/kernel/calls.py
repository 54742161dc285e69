"""A call: one attempt of one client, from sending it until nobody holds it any more.

It may outlive its client: a server works on what a client has long given up on. A client that
waits to try again is a call as well, which is not sent yet. Calls are kept in one table, and free
rows are reused, so the table is no longer than the largest number of calls at one time.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from capplan.simulate.kernel.jit import at, jitted, wide

NONE = -1

CALL = np.dtype(
    [
        ("first_s", "f8"),  # when the request's first attempt was sent
        ("queued_s", "f8"),
        ("sent_s", "f8"),  # to the servers
        ("timer_s", "f8"),
        ("timer_before", "i4"),
        ("timer_after", "i4"),
        ("timer_place", "i4"),
        ("queue_after", "i4"),
        ("home", "i4"),  # the server whose slot it holds while it is downstream
        ("wire", "i4"),  # its connection, or NONE; where there are any
        ("object", "i4"),  # that the edge fetches with it, or NONE
        ("attempt", "i2"),
        ("node", "i2"),  # of the gateway
        ("caller", "u2"),  # whose breakers it meets downstream
        ("kind", "i2"),  # its request class
        ("client", "i1"),  # one of the following
        ("eager", "i1"),  # how often its client may still reload
        ("cheap", "i1"),  # 1: it gets the cheap answer
        ("late", "i1"),  # 1: the service that it calls downstream will answer too late
    ],
    align=True,
)
GONE, WAITING, PAUSING, RELOADING = range(4)
"""RELOADING waits as well, and will ask again before its patience is over."""

FIELDS = [("calls", "i8"), ("calls_size", "i8"), ("calls_free", "i8"), ("calls_used", "i8")]

_SPARE = 8
"""Rows that must be free before an event: no event takes more."""


def free_calls(count: int) -> NDArray[np.void]:
    """Return so many rows, each pointing to the next free one."""
    rows = np.zeros(count, CALL)
    _chain(rows, 0, NONE)
    return rows


def double_calls(rows: NDArray[np.void], free: int) -> None:
    """Make the table twice as long, where it is; the new rows stand before ``free``, the next one.

    A copy would take three times the memory for a moment.
    """
    count = len(rows)
    rows.resize(2 * count, refcheck=False)
    _chain(rows, count, free)


def _chain(rows: NDArray[np.void], first: int, after: int) -> None:
    rows["queue_after"][first:] = np.arange(first + 1, len(rows) + 1, dtype=np.int32)
    rows["queue_after"][-1] = after
    rows["timer_place"][first:] = NONE


@jitted
def call(w: Any, i: int) -> Any:
    """Return call ``i``."""
    return at(w.calls, i, CALL)


@jitted
def room(w: Any) -> bool:
    """Say whether the next event has rows enough."""
    return w.calls_used + _SPARE <= w.calls_size


@jitted
def take(w: Any) -> int:
    """Take a free row."""
    i = w.calls_free
    row = call(w, i)
    w.calls_free = row.queue_after
    w.calls_used += 1
    row.queue_after = NONE
    row.timer_place = NONE
    row.object = NONE
    return i


@jitted
def give_back(w: Any, i: int) -> None:
    """Free the row of a call that is over."""
    call(w, i).queue_after = w.calls_free
    w.calls_free = i
    w.calls_used -= 1


@jitted
def join(w: Any, line: Any, i: int) -> None:
    """Let call ``i`` stand last in a line: a row with the ``first`` and the ``last`` of it."""
    call(w, i).queue_after = NONE
    if line.last == NONE:
        line.first = i
    else:
        call(w, line.last).queue_after = i
    line.last = i


@jitted
def leave(w: Any, line: Any) -> int:
    """Take the first call out of a line."""
    i = wide(line.first)
    line.first = call(w, i).queue_after
    if line.first == NONE:
        line.last = NONE
    return i
