"""A call: one attempt of one client, from sending it until nobody holds it any more.

It may outlive its client: a server works on what a client has long given up on. A client that
waits to try again is a call as well, which is not sent yet. Calls are kept in one table, and free
rows are reused, so the table is no longer than the largest number of calls at one time.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from capplan.simulate.kernel.jit import at, jitted

NONE = -1

CALL = np.dtype(
    [
        ("first_s", "f8"),  # when the request's first attempt was sent
        ("queued_s", "f8"),
        ("timer_s", "f8"),
        ("timer_before", "i4"),
        ("timer_after", "i4"),
        ("timer_place", "i4"),
        ("queue_after", "i4"),
        ("attempt", "i4"),
        ("object", "i4"),  # that the edge fetches with it, or NONE
        ("node", "i2"),  # of the gateway
        ("kind", "i2"),  # its request class
        ("client", "i1"),  # one of the following
    ],
    align=True,
)
GONE, WAITING, PAUSING = range(3)

FIELDS = [("calls", "i8"), ("calls_size", "i8"), ("calls_free", "i8"), ("calls_used", "i8")]

_SPARE = 8
"""Rows that must be free before an event: no event takes more."""


def free_calls(start: int, end: int) -> NDArray[np.void]:
    """Return the rows from ``start`` to ``end`` of a table, each pointing to the next free one."""
    rows = np.zeros(end - start, CALL)
    rows["queue_after"] = np.arange(start + 1, end + 1)
    rows["queue_after"][-1] = NONE
    rows["timer_place"] = NONE
    return rows


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
