"""The waiting room: visits wait in front of the shop and are let in at a constant rate.

Who waits needs no record: shoppers are alike until they are in, so there is a number, and each of
them leaves after an exponential patience, counted like the thinking of those inside.
"""

from __future__ import annotations

import math
from typing import Any

from capplan.simulate.kernel import tally as t
from capplan.simulate.kernel.clients import thinking_changed
from capplan.simulate.kernel.jit import jitted

FIELDS = [
    ("room_rate", "f8"),  # visits let in per second; 0: there is no room
    ("room_turn_s", "f8"),  # when the next one may go in
    ("room_s", "f8"),  # the same, if someone waits
    ("room_waiting", "i8"),
]


@jitted
def lets_in(w: Any) -> bool:
    """Let a visit in at once, or let it wait."""
    if w.room_rate <= 0:
        return True
    if w.room_waiting == 0 and w.now_s >= w.room_turn_s:
        w.room_turn_s = w.now_s + 1.0 / w.room_rate
        return True
    _changed(w, 1)
    return False


@jitted
def next_in(w: Any) -> None:
    """Take the next visit out of the room, whose turn has come."""
    w.room_turn_s = w.now_s + 1.0 / w.room_rate
    _changed(w, -1)


@jitted
def tires(w: Any) -> None:
    """Let a visit leave that has waited for too long; the thinking has been counted down."""
    w.room_waiting -= 1
    t.move(w, t.IN_ROOM, w.kind_count, -1)
    t.move(w, t.CLIENT_THINKS, w.kind_count, 1)
    t.add_visit(w, t.TIRED)
    w.room_s = w.room_turn_s if w.room_waiting > 0 else math.inf


@jitted
def _changed(w: Any, by: int) -> None:
    w.room_waiting += by
    t.move(w, t.IN_ROOM, w.kind_count, by)
    t.move(w, t.CLIENT_THINKS, w.kind_count, -by)
    thinking_changed(w, w.kind_count, by)
    w.room_s = w.room_turn_s if w.room_waiting > 0 else math.inf
