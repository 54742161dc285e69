"""Downstream services: a database, a payment provider, each with slots and a queue of its own.

A server calls them one after the other once its own work is done, and its slot stays taken until
they have answered: a slow service fills the slots of the servers, and then their queue. A call that
has no answer within the service's timeout fails, and with it the request. The service may go on
with what it has begun, for nobody. Its station stands behind those of the fleet in the same table.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from capplan.simulate.kernel import rng
from capplan.simulate.kernel import tally as t
from capplan.simulate.kernel.calls import GONE, NONE, call
from capplan.simulate.kernel.clients import kind_of, refused
from capplan.simulate.kernel.gateway import turns_away
from capplan.simulate.kernel.guards import (
    BADLY,
    FIRST,
    FLEET,
    WELL,
    any_caller,
    full,
    lets_through,
    reports,
    tripped,
)
from capplan.simulate.kernel.jit import at, jitted, wide
from capplan.simulate.kernel.stations import (
    LINE,
    append,
    fill,
    push,
    reschedule,
    start,
    station,
    take,
    take_first,
)
from capplan.simulate.kernel.wires import leaves

SERVICE = np.dtype(
    [
        ("timeout_s", "f8"),  # of a call, in the queue and in a slot together
        ("fails", "f8"),  # share of the answers that are errors
        ("finishes", "i8"),  # 1: it goes on with a call that has been given up
        ("ill_from_s", "f8"),
        ("ill_until_s", "f8"),
        ("slower", "f8"),  # so many times as slow while it is ill
        ("ill_fails", "f8"),
    ],
    align=True,
)
NEED = np.dtype([("mean_s", "f8")])
SECOND = np.dtype(
    [
        ("queued", "f4"),  # at the end of the second
        ("busy", "f4"),
        ("breakers_open", "f4"),  # at its end, half open ones among them
        ("refused", "f4"),  # calls in this second that found the queue full
        ("failed", "f4"),  # that had no answer within the timeout, or an error
        ("cut_off", "f4"),  # that the breaker did not let through
    ]
)
FIELDS = [
    ("downstream_count", "i8"),
    ("downstream", "i8"),
    ("needs", "i8"),  # [class, service]: mean time there; 0: the class does not need it
    ("behind", "i8"),  # [second, service]: what happened there
    ("overdue_s", "f8"),  # no call in a queue there is given up before
]


@jitted
def wanted_behind(w: Any, i: int) -> bool:
    """Let call ``i`` on to the gateway unless a layer that it needs is out of order, or full.

    A class that can be answered cheaply gets that answer instead of being turned away.
    """
    if w.guarded == 0:
        return True
    row = call(w, i)
    if not lets_through(w, FLEET, FIRST):
        t.add(w, row.kind, t.CUT_OFF)
        turns_away(w, i, t.BREAKER)
        return False
    highest = w.priorities > 1 and kind_of(w, row.kind).priority == 0
    waiting = t.inside(w, t.IN_QUEUE) + t.inside(w, t.ON_WIRE)
    pressed = full(w, FLEET, waiting, highest)
    for d in range(w.downstream_count):
        if _need_s(w, row.kind, d) > 0:
            pressed = full(w, d + 1, station(w, w.fleet_count + d).queued, highest) or pressed
    if pressed and not _made_cheap(w, i):
        turns_away(w, i, t.PRESSURE)
        return False
    return True


@jitted
def goes_on(w: Any, s: int, i: int) -> bool:
    """Take call ``i``, whose service at station ``s`` has ended, further; True when it is done."""
    if w.downstream_count == 0:
        if w.guarded == 1:
            reports(w, FLEET, FIRST, WELL, call(w, i).sent_s)
        leaves(w, i)
        fill(w, s)
        return True
    if s < w.fleet_count:
        call(w, i).home = s
        call(w, i).caller = any_caller(w, s)
        station(w, s).held += 1
        reschedule(w, s)
        return _calls(w, i, wide(0))
    if i == NONE:
        _fill_behind(w, s)
        return False
    return _comes_back(w, s, i)


@jitted
def give_up_waiting(w: Any) -> None:
    """Fail the calls that have waited at a service for its timeout; find who is the next one."""
    w.overdue_s = math.inf
    for d in range(w.downstream_count):
        s, timeout_s = w.fleet_count + d, _service(w, d).timeout_s
        for priority in range(w.priorities):
            line = at(w.lines, s * w.priorities + priority, LINE)
            while line.first != NONE:
                until_s = call(w, line.first).queued_s + timeout_s
                if until_s > w.now_s:
                    w.overdue_s = min(w.overdue_s, until_s)
                    break
                t.waited(w, w.kind_count + d, timeout_s)
                _now(w, d).failed += 1
                _fails(w, d, take(w, s, priority), w.now_s - timeout_s)


@jitted
def keep_levels(w: Any) -> None:
    """Keep how many calls are at each service at the end of a second, and its open breakers."""
    for d in range(w.downstream_count):
        there = station(w, w.fleet_count + d)
        now = _now(w, d)
        now.queued, now.busy = there.queued, there.busy
        now.breakers_open = tripped(w, d + 1)


@jitted
def _comes_back(w: Any, s: int, i: int) -> bool:
    """End the call that ``i`` has made to the service at station ``s``."""
    row, d = call(w, i), s - w.fleet_count
    service = _service(w, d)
    if row.late == 1:
        # it was queued, and then served, for the timeout in all
        if service.finishes == 1:
            t.move(w, t.UNAWAITED, w.kind_count, 1)
            push(w, s, station(w, s).virtual_s + row.queued_s - w.now_s, wide(NONE))
        row.late = 0
        _fill_behind(w, s)
        _now(w, d).failed += 1
        _fails(w, d, i, w.now_s - service.timeout_s)
        return False
    _fill_behind(w, s)
    ill = service.ill_from_s <= w.now_s < service.ill_until_s
    fails = service.ill_fails if ill else service.fails
    if fails > 0 and rng.uniform(w, rng.DOWNSTREAM) < fails:
        _now(w, d).failed += 1
        _fails(w, d, i, row.queued_s)
        return False
    if w.guarded == 1:
        reports(w, d + 1, wide(row.caller), WELL, row.queued_s)
    return _calls(w, i, d + 1)


@jitted
def _calls(w: Any, i: int, first: int) -> bool:
    """Let the server of call ``i`` call what it needs from service ``first`` on; True: nothing."""
    row = call(w, i)
    d = first
    while d < w.downstream_count and (row.cheap == 1 or _need_s(w, row.kind, d) <= 0):
        d += 1
    if d == w.downstream_count:
        return _is_done(w, i)
    if w.guarded == 1 and not lets_through(w, d + 1, wide(row.caller)):
        _now(w, d).cut_off += 1
        if _made_cheap(w, i):
            return _is_done(w, i)
        _release(w, i, BADLY)
        refused(w, i, t.BREAKER)
        return False
    s, timeout_s = w.fleet_count + d, _service(w, d).timeout_s
    there = station(w, s)
    row.queued_s = w.now_s
    if there.busy < there.slots:
        _start(w, s, i)
        reschedule(w, s)
    elif there.queued < there.bound:
        append(w, s, i, kind_of(w, row.kind).priority)
        w.overdue_s = min(w.overdue_s, w.now_s + timeout_s)
    else:
        _now(w, d).refused += 1
        _fails(w, d, i, w.now_s)
    return False


@jitted
def _fill_behind(w: Any, s: int) -> None:
    row = station(w, s)
    while row.busy < row.slots and row.queued > 0:
        i = take_first(w, s)
        if w.drops_gone == 1 and call(w, i).client == GONE and call(w, i).object == NONE:
            _release(w, i, BADLY)
            refused(w, i, t.DOWNSTREAM)
        else:
            _start(w, s, i)
    reschedule(w, s)


@jitted
def _start(w: Any, s: int, i: int) -> None:
    row, d = call(w, i), s - w.fleet_count
    service = _service(w, d)
    work_s = _need_s(w, row.kind, d) * rng.exponential(w, rng.DOWNSTREAM)
    if service.ill_from_s <= w.now_s < service.ill_until_s:
        work_s *= service.slower
    left_s = row.queued_s + service.timeout_s - w.now_s
    t.waited(w, w.kind_count + d, w.now_s - row.queued_s)
    if work_s > left_s:
        row.late, row.queued_s, work_s = 1, w.now_s + work_s, max(left_s, 0.0)
    start(w, s, i, work_s)


@jitted
def _is_done(w: Any, i: int) -> bool:
    _release(w, i, WELL)
    return True


@jitted
def _release(w: Any, i: int, well: int) -> None:
    """Free the slot of call ``i`` at its server."""
    home = wide(call(w, i).home)
    station(w, home).held -= 1
    if w.guarded == 1:
        reports(w, FLEET, FIRST, well, call(w, i).sent_s)
    leaves(w, i)
    fill(w, home)


@jitted
def _fails(w: Any, d: int, i: int, sent_s: float) -> None:
    """End a request whose call to service ``d``, sent at ``sent_s``, has failed."""
    if w.guarded == 1:
        reports(w, d + 1, wide(call(w, i).caller), BADLY, sent_s)
    _release(w, i, BADLY)
    refused(w, i, t.DOWNSTREAM)


@jitted
def _made_cheap(w: Any, i: int) -> bool:
    """Let call ``i`` be answered cheaply, without the services behind, if its class can be."""
    row = call(w, i)
    if kind_of(w, row.kind).degraded < 0:
        return False
    if row.cheap == 0:
        t.add(w, row.kind, t.DEGRADED)
    row.cheap = 1
    return True


@jitted
def _service(w: Any, d: int) -> Any:
    return at(w.downstream, d, SERVICE)


@jitted
def _now(w: Any, d: int) -> Any:
    return at(w.behind, w.second * w.downstream_count + d, SECOND)


@jitted
def _need_s(w: Any, kind: int, d: int) -> float:
    return at(w.needs, kind * w.downstream_count + d, NEED).mean_s
