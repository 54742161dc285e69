"""Desks: the processors of the WAF and of each gateway node, where deciding on a call is work.

A desk works on one call after the other: on one that it lets through for as long as its capacity
says, on one that it refuses for the share κ of that. A refusal is told at once, and its work
delays those behind it. A desk with half a second of work before it refuses, which is work as well:
so where it is always busy μ - κλ = (1 - κ)·g, and beyond μ/κ calls per second none gets through.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from capplan.simulate.kernel import tally as t
from capplan.simulate.kernel.calls import NONE, call, join, leave
from capplan.simulate.kernel.jit import at, jitted, wide

DESK = np.dtype(
    [
        ("work_s", "f8"),  # on a call that is let through; 0: deciding is free
        ("refusal_s", "f8"),
        ("free_s", "f8"),  # when all work that has come is done
        ("first", "i4"),  # of the calls that are let through when their work is done
        ("last", "i4"),
    ],
    align=True,
)
FIELDS = [
    ("desks", "i8"),  # the WAF, then the nodes of the gateway
    ("desk_count", "i8"),
    ("desk_s", "f8"),  # when the next call leaves a desk
    ("desk_number", "i8"),
]
WAF: Any = np.int64(0)
GATEWAY: Any = np.int64(1)
"""The first node."""
LONGEST_S = 0.5
"""Work that may lie before a desk."""


def desks(carries_rps: Sequence[float], refusal_cost: Sequence[float]) -> Any:
    """Return desks that have nothing to do: what each carries, and its κ."""
    rows = np.zeros(len(carries_rps), DESK)
    rows["work_s"] = 1.0 / np.asarray(carries_rps, float)
    rows["refusal_s"] = rows["work_s"] * np.asarray(refusal_cost, float)
    rows["first"] = rows["last"] = NONE
    return rows


@jitted
def has_time(w: Any, d: int) -> bool:
    """Say whether desk ``d`` can take a call."""
    row = at(w.desks, d, DESK)
    return row.free_s <= w.now_s + LONGEST_S


@jitted
def refuses(w: Any, d: int) -> None:
    """Let desk ``d`` work on a refusal."""
    row = at(w.desks, d, DESK)
    row.free_s = max(row.free_s, w.now_s) + row.refusal_s


@jitted
def passes_on(w: Any, d: int, i: int) -> bool:
    """Let desk ``d`` work on call ``i``; True when there is nothing to do."""
    row = at(w.desks, d, DESK)
    if row.work_s <= 0:
        return True
    row.free_s = max(row.free_s, w.now_s) + row.work_s
    call(w, i).queued_s = row.free_s
    join(w, row, i)
    t.move(w, t.AT_WAF if d == WAF else t.AT_GATEWAY, call(w, i).kind, 1)
    if row.free_s < w.desk_s:
        w.desk_s, w.desk_number = row.free_s, d
    return False


@jitted
def done(w: Any) -> int:
    """Take the call that is ready next off its desk; find the next one."""
    number = w.desk_number
    i = leave(w, at(w.desks, number, DESK))
    t.move(w, t.AT_WAF if number == WAF else t.AT_GATEWAY, call(w, i).kind, -1)
    w.desk_s = math.inf
    for d in range(w.desk_count):
        first = wide(at(w.desks, d, DESK).first)
        if first != NONE and call(w, first).queued_s < w.desk_s:
            w.desk_s, w.desk_number = call(w, first).queued_s, d
    return i
