"""Timers of the clients: when patience ends, when a retry is due.

A wheel of buckets, each a list of calls that are linked through their own records: setting and
removing one costs the same however many there are (G. Varghese, T. Lauck 1987). When the wheel
turns to a bucket, what is due in it moves to one sorted list, so that timers fire in exact order
and at their exact time. It turns no further than the event that comes next. Timers longer than a
round stay in their bucket for another one.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from capplan.simulate.kernel.calls import NONE, call
from capplan.simulate.kernel.jit import at, jitted, wide

BUCKET = np.dtype([("first", "i4")])
FIELDS = [
    ("buckets", "i8"),
    ("bucket_mask", "i8"),
    ("buckets_per_s", "f8"),
    ("bucket_now", "i8"),
    ("timer_due", "i8"),  # the first of the sorted list
    ("timers", "i8"),  # how many are set
]
_DUE = -2
"""The place of a call in the sorted list; otherwise its place is its bucket."""


def wheel_size(longest_s: float, per_s: float) -> int:
    """Return a number of buckets, a power of two, with which few timers share one.

    ``per_s`` timers are set per second. Turning over an empty bucket costs a few nanoseconds, so
    there should not be many more buckets than timers.

    >>> wheel_size(10.0, 1000.0)
    8192
    """
    wanted = min(max(longest_s * per_s, 64.0), 65536.0)
    return 1 << (int(wanted).bit_length() - 1)


@jitted
def set_timer(w: Any, i: int, at_s: float) -> None:
    """Let call ``i`` be due at ``at_s``."""
    row = call(w, i)
    row.timer_s = at_s
    w.timers += 1
    number = int(at_s * w.buckets_per_s)
    if number <= w.bucket_now:
        _sort_in(w, i)
        return
    place = number & w.bucket_mask
    bucket = at(w.buckets, place, BUCKET)
    head = bucket.first
    row.timer_place = place
    row.timer_before = NONE
    row.timer_after = head
    if head != NONE:
        call(w, head).timer_before = i
    bucket.first = i


@jitted
def remove_timer(w: Any, i: int) -> None:
    """Take the timer of call ``i`` away, if it has one."""
    row = call(w, i)
    place = row.timer_place
    if place == NONE:
        return
    before, after = row.timer_before, row.timer_after
    if after != NONE:
        call(w, after).timer_before = before
    if before != NONE:
        call(w, before).timer_after = after
    elif place == _DUE:
        w.timer_due = after
    else:
        at(w.buckets, place, BUCKET).first = after
    row.timer_place = NONE
    w.timers -= 1


@jitted
def due_by(w: Any, by_s: float) -> int:
    """Return the call whose timer is the first one due up to ``by_s``, or ``NONE``."""
    last = int(by_s * w.buckets_per_s)
    if w.timers == 0:
        w.bucket_now = max(w.bucket_now, last)
        return NONE
    while w.timer_due == NONE and w.bucket_now < last:
        w.bucket_now += 1
        _open(w, w.bucket_now & w.bucket_mask)
    i = w.timer_due
    return i if i != NONE and call(w, i).timer_s <= by_s else NONE


@jitted
def _open(w: Any, place: int) -> None:
    i = wide(at(w.buckets, place, BUCKET).first)
    while i != NONE:
        after = wide(call(w, i).timer_after)
        if int(call(w, i).timer_s * w.buckets_per_s) <= w.bucket_now:
            remove_timer(w, i)
            w.timers += 1
            _sort_in(w, i)
        i = after


@jitted
def _sort_in(w: Any, i: int) -> None:
    # a bucket holds the newest first, so that what was set in order is sorted in at the head
    row = call(w, i)
    before, after = NONE, w.timer_due
    while after != NONE and call(w, after).timer_s < row.timer_s:
        before, after = after, wide(call(w, after).timer_after)
    row.timer_place = _DUE
    row.timer_before = before
    row.timer_after = after
    if after != NONE:
        call(w, after).timer_before = i
    if before != NONE:
        call(w, before).timer_after = i
    else:
        w.timer_due = i
