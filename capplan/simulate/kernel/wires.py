"""Connections that answer in order: a call waits until those before it on its wire are done.

That is pipelining in HTTP/1.1, where one slow request holds up all behind it, idle servers or not
(head-of-line blocking). Multiplexed connections (HTTP/2, gRPC) answer in any order: no call waits
for another, so they need no wires here.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from capplan.simulate.kernel import gateway, rng
from capplan.simulate.kernel import tally as t
from capplan.simulate.kernel.calls import NONE, call, join, leave
from capplan.simulate.kernel.clients import refused
from capplan.simulate.kernel.jit import at, jitted, wide

WIRE = np.dtype(
    [("busy", "i8"), ("queued", "i8"), ("first", "i4"), ("last", "i4"), ("after", "i8")], align=True
)
FIELDS = [
    ("wires", "i8"),
    ("wire_count", "i8"),  # 0: answers come in any order
    ("wire_bound", "i8"),  # calls that may wait on each
    ("wire_ready", "i8"),  # the first of those on which the next call may go on now
]


def wires(count: int) -> Any:
    """Return idle connections."""
    rows = np.zeros(max(count, 1), WIRE)
    rows["first"] = rows["last"] = rows["after"] = NONE
    return rows


@jitted
def takes_wire(w: Any, i: int) -> bool:
    """Put call ``i`` on one of the connections, and say whether it may go on at once."""
    if w.wire_count == 0:
        return True
    number = int(rng.uniform(w, rng.WIRES) * w.wire_count)
    wire = at(w.wires, number, WIRE)
    call(w, i).sent_s = call(w, i).queued_s = w.now_s
    if wire.busy == 0:
        wire.busy = 1
        call(w, i).wire = number
        return True
    if wire.queued >= w.wire_bound:
        call(w, i).wire = NONE
        gateway.leaves(w, i)
        refused(w, i, t.QUEUE_BOUND)
        return False
    call(w, i).wire = number
    join(w, wire, i)
    wire.queued += 1
    t.move(w, t.ON_WIRE, call(w, i).kind, 1)
    return False


@jitted
def leaves(w: Any, i: int) -> None:
    """Free the place of call ``i`` at the gateway, and its connection for the one behind it."""
    gateway.leaves(w, i)
    if w.wire_count == 0:
        return
    number = wide(call(w, i).wire)
    if number == NONE:
        return
    call(w, i).wire = NONE
    wire = at(w.wires, number, WIRE)
    if wire.first == NONE:
        wire.busy = 0
    else:
        wire.after = w.wire_ready
        w.wire_ready = number


@jitted
def next_on_wire(w: Any) -> int:
    """Take a call that may go on now off the line on its connection, which it keeps."""
    wire = at(w.wires, w.wire_ready, WIRE)
    w.wire_ready = wire.after
    i = leave(w, wire)
    wire.queued -= 1
    t.move(w, t.ON_WIRE, call(w, i).kind, -1)
    return i
