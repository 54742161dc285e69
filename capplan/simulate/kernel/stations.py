"""Stations: servers with slots, cores that the slots share, and queues in front.

A station serves up to ``slots`` calls at once. While no more than ``cores`` are served each runs at
full speed, otherwise they share the cores evenly (egalitarian processor sharing). Slots = cores is
a queue with several servers; slots without end is processor sharing; between them lies a server
with more workers than processors.

Progress is kept in the station's virtual time, which runs at the speed of each call in service. So
a call's end is known when it starts, and a change of speed moves only the station's own next event.
Each station has a heap of its calls by virtual end; one more heap holds the stations by the time of
their next end.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from capplan.simulate.kernel import rng
from capplan.simulate.kernel import tally as t
from capplan.simulate.kernel.calls import GONE, NONE, call, join, leave
from capplan.simulate.kernel.clients import kind_of, refused
from capplan.simulate.kernel.guards import BADLY, FIRST, FLEET, reports
from capplan.simulate.kernel.jit import at, jitted, wide
from capplan.simulate.kernel.wires import leaves

STATION = np.dtype(
    [
        ("slots", "i8"),
        ("cores", "f8"),
        ("bound", "i8"),  # places in the queue
        ("busy", "i8"),
        ("held", "i8"),  # slots of calls that are downstream
        ("queued", "i8"),
        ("virtual_s", "f8"),
        ("since_s", "f8"),
        ("debt_s", "f8"),  # work that refusals have cost, added to the next service
        ("due_s", "f8"),  # the next end of a service
        ("place", "i8"),  # in the order
    ],
    align=True,
)
SERVICE = np.dtype([("end_s", "f8"), ("call", "i8")])
LINE = np.dtype([("first", "i4"), ("last", "i4")])
ORDER = np.dtype([("station", "i8")])
FIELDS = [
    ("stations", "i8"),
    ("station_count", "i8"),
    ("fleet_count", "i8"),  # the first of them are the fleet, the others are downstream
    ("services", "i8"),  # [station, place in its heap]
    ("width", "i8"),
    ("lines", "i8"),  # [station, priority]
    ("priorities", "i8"),
    ("order", "i8"),  # a heap of the stations by due_s
    ("offered_to_servers", "i8"),
    ("open", "i8"),  # how many stations take calls
    ("balance", "i8"),
    ("turn", "i8"),
    ("queue_patience_s", "f8"),  # a call that has waited longer in a queue is refused
    ("refusal_cost", "f8"),  # of a service, for each call that finds the queue full
    ("pushes_out", "i8"),  # 1: where a queue is full, a call of higher priority takes a place
    ("drops_gone", "i8"),  # 1: calls without a client are dropped when their turn comes
]
BALANCES = ("random", "round robin", "least connections")
_RANDOM, _ROUND_ROBIN, _LEAST = range(len(BALANCES))
DETERMINISTIC, EXPONENTIAL, LOGNORMAL, HYPEREXPONENTIAL = range(4)
_ENDLESS = 2**60


def rows(count: int, slots: int, cores: float, bound: int) -> NDArray[np.void]:
    """Return idle stations that are all alike."""
    made = np.zeros(count, STATION)
    made["slots"], made["cores"], made["bound"], made["due_s"] = slots, cores, bound, np.inf
    return made


def stations(made: NDArray[np.void], width: int, priorities: int) -> dict[str, NDArray[np.void]]:
    """Return the tables of stations; ``width`` is the most slots that one of them ever has."""
    count = len(made)
    made["place"] = np.arange(count)
    lines, order = np.zeros(count * priorities, LINE), np.zeros(count, ORDER)
    lines["first"] = lines["last"] = NONE
    order["station"] = np.arange(count)
    return {
        "stations": made,
        "services": np.zeros(count * width, SERVICE),
        "lines": lines,
        "order": order,
    }


@jitted
def station(w: Any, s: int) -> Any:
    """Return station ``s``."""
    return at(w.stations, s, STATION)


@jitted
def next_end_s(w: Any) -> float:
    """Return when the next service ends."""
    return station(w, at(w.order, 0, ORDER).station).due_s


@jitted
def choose(w: Any) -> int:
    """Return the station to which the balancer sends the next call."""
    if w.open == 1:
        return 0
    if w.balance == _RANDOM:
        return int(rng.uniform(w, rng.ROUTING) * w.open)
    if w.balance == _ROUND_ROBIN:
        w.turn = (w.turn + 1) % w.open
        return w.turn
    best, fewest = 0, station(w, 0).busy + station(w, 0).queued
    for s in range(1, w.open):
        here = station(w, s).busy + station(w, s).queued
        if here < fewest:
            best, fewest = s, here
    return best


@jitted
def offer(w: Any, s: int, i: int) -> None:
    """Give call ``i`` to station ``s``: it is served, waits, or is refused."""
    row = station(w, s)
    kind = kind_of(w, call(w, i).kind)
    if w.wire_count == 0:
        call(w, i).sent_s = call(w, i).queued_s = w.now_s
    w.offered_to_servers += 1
    if row.busy + row.held < row.slots:
        start(w, s, i, _work_s(w, i))
        reschedule(w, s)
    elif row.queued < row.bound or _displace(w, s, kind.priority):
        append(w, s, i, kind.priority)
    else:
        row.debt_s += w.refusal_cost * kind.mean_s
        turn_away(w, i, t.QUEUE_BOUND)


@jitted
def due(w: Any) -> int:
    """Return the station whose service ends next."""
    return at(w.order, 0, ORDER).station


@jitted
def ends(w: Any, s: int) -> int:
    """End the service that ends now at station ``s``, and return its call."""
    row = station(w, s)
    ending = at(w.services, s * w.width, SERVICE)
    i = wide(ending.call)
    row.virtual_s, row.since_s = ending.end_s, w.now_s
    _pop(w, s)
    if s < w.fleet_count:
        t.move(w, t.IN_SERVICE, call(w, i).kind, -1)
    elif i == NONE:
        t.move(w, t.UNAWAITED, w.kind_count, -1)
    else:
        t.move(w, t.IN_SERVICE_BEHIND, call(w, i).kind, -1)
    return i


@jitted
def turn_away(w: Any, i: int, reason: int) -> None:
    """End call ``i``, which the gateway had admitted, without serving it."""
    leaves(w, i)
    if w.guarded == 1:
        reports(w, FLEET, FIRST, BADLY, call(w, i).sent_s)
    refused(w, i, reason)


@jitted
def fill(w: Any, s: int) -> None:
    """Let calls that wait at station ``s`` begin while a slot is free."""
    row = station(w, s)
    while row.busy + row.held < row.slots and row.queued > 0:
        i = take_first(w, s)
        gone = call(w, i).client == GONE and call(w, i).object == NONE
        if (gone and w.drops_gone == 1) or w.now_s - call(w, i).queued_s > w.queue_patience_s:
            turn_away(w, i, t.QUEUE_TIMEOUT)
        else:
            start(w, s, i, _work_s(w, i))
    reschedule(w, s)


@jitted
def resize(w: Any, count: int, slots: int) -> None:
    """Let ``count`` stations take calls, with ``slots`` slots each; what they do they finish."""
    w.open = count
    for s in range(count):
        row = station(w, s)
        row.virtual_s += (w.now_s - row.since_s) * _speed(row)
        row.since_s = w.now_s
        row.cores *= slots / row.slots
        row.bound = int(row.bound * (slots / row.slots)) if row.bound < _ENDLESS else row.bound
        row.slots = slots
        fill(w, s)


@jitted
def start(w: Any, s: int, i: int, work_s: float) -> None:
    """Begin the service of call ``i`` at station ``s``, which has a slot for it."""
    row = station(w, s)
    if s < w.fleet_count:
        t.waited(w, call(w, i).kind, w.now_s - call(w, i).queued_s)
        t.move(w, t.IN_SERVICE, call(w, i).kind, 1)
        work_s += row.debt_s
        row.debt_s = 0.0
    else:
        t.move(w, t.IN_SERVICE_BEHIND, call(w, i).kind, 1)
    row.virtual_s += (w.now_s - row.since_s) * _speed(row)
    row.since_s = w.now_s
    push(w, s, row.virtual_s + work_s, i)


@jitted
def _work_s(w: Any, i: int) -> float:
    kind = kind_of(w, call(w, i).kind)
    return _draw(w, kind) * (kind.degraded if call(w, i).cheap == 1 else 1.0)


@jitted
def _draw(w: Any, kind: Any) -> float:
    if kind.law == EXPONENTIAL:
        return kind.mean_s * rng.exponential(w, rng.SERVICE)
    if kind.law == LOGNORMAL:
        return math.exp(kind.a + kind.b * rng.normal(w, rng.SERVICE))
    if kind.law == HYPEREXPONENTIAL:
        mean_s = kind.a if rng.uniform(w, rng.SERVICE) < kind.c else kind.b
        return mean_s * rng.exponential(w, rng.SERVICE)
    return kind.mean_s


@jitted
def _speed(row: Any) -> float:
    return 1.0 if row.busy <= row.cores else row.cores / row.busy


@jitted
def append(w: Any, s: int, i: int, priority: int) -> None:
    """Let call ``i`` wait at station ``s``."""
    join(w, at(w.lines, s * w.priorities + priority, LINE), i)
    station(w, s).queued += 1
    _queue(w, s, i, 1)


@jitted
def take_first(w: Any, s: int) -> int:
    """Take the call that is next out of the queue of station ``s``."""
    priority = 0
    while at(w.lines, s * w.priorities + priority, LINE).first == NONE:
        priority += 1
    return take(w, s, priority)


@jitted
def take(w: Any, s: int, priority: int) -> int:
    """Take the first call of a priority out of the queue of station ``s``."""
    i = leave(w, at(w.lines, s * w.priorities + priority, LINE))
    station(w, s).queued -= 1
    _queue(w, s, i, -1)
    return i


@jitted
def _queue(w: Any, s: int, i: int, by: int) -> None:
    layer = t.IN_QUEUE if s < w.fleet_count else t.IN_QUEUE_BEHIND
    t.move(w, layer, call(w, i).kind, by)


@jitted
def _displace(w: Any, s: int, priority: int) -> bool:
    """Refuse the call that has waited longest in the lowest class below ``priority``."""
    lowest = w.priorities - 1 if w.pushes_out == 1 else 0
    while lowest > priority:
        if at(w.lines, s * w.priorities + lowest, LINE).first != NONE:
            pushed_out = take(w, s, lowest)
            turn_away(w, pushed_out, t.QUEUE_BOUND)
            return True
        lowest -= 1
    return False


@jitted
def push(w: Any, s: int, end_s: float, i: int) -> None:
    """Let call ``i`` take a slot of station ``s`` until ``end_s`` of its virtual time."""
    base, row = s * w.width, station(w, s)
    hole = row.busy
    row.busy += 1
    while hole > 0:
        above = at(w.services, base + ((hole - 1) >> 1), SERVICE)
        if above.end_s <= end_s:
            break
        _put(w, base + hole, above.end_s, above.call)
        hole = (hole - 1) >> 1
    _put(w, base + hole, end_s, i)


@jitted
def _pop(w: Any, s: int) -> None:
    base, row = s * w.width, station(w, s)
    row.busy -= 1
    size = row.busy
    last = at(w.services, base + size, SERVICE)
    end_s, i = last.end_s, last.call
    hole = 0
    while True:
        below = 2 * hole + 1
        if below >= size:
            break
        if (
            below + 1 < size
            and at(w.services, base + below + 1, SERVICE).end_s
            < at(w.services, base + below, SERVICE).end_s
        ):
            below += 1
        least = at(w.services, base + below, SERVICE)
        if least.end_s >= end_s:
            break
        _put(w, base + hole, least.end_s, least.call)
        hole = below
    _put(w, base + hole, end_s, i)


@jitted
def _put(w: Any, place: int, end_s: float, i: int) -> None:
    here = at(w.services, place, SERVICE)
    here.end_s, here.call = end_s, i


@jitted
def reschedule(w: Any, s: int) -> None:
    """Put station ``s`` where its next end belongs among the stations."""
    row = station(w, s)
    due_s = math.inf
    if row.busy > 0:
        left_s = max(at(w.services, s * w.width, SERVICE).end_s - row.virtual_s, 0.0)
        due_s = row.since_s + left_s / _speed(row)
    row.due_s = due_s
    hole = row.place
    while hole > 0 and _due_s(w, (hole - 1) >> 1) > due_s:
        _stand(w, hole, at(w.order, (hole - 1) >> 1, ORDER).station)
        hole = (hole - 1) >> 1
    while True:
        below = 2 * hole + 1
        if below >= w.station_count:
            break
        if below + 1 < w.station_count and _due_s(w, below + 1) < _due_s(w, below):
            below += 1
        if _due_s(w, below) >= due_s:
            break
        _stand(w, hole, at(w.order, below, ORDER).station)
        hole = below
    _stand(w, hole, s)


@jitted
def _due_s(w: Any, place: int) -> float:
    return station(w, at(w.order, place, ORDER).station).due_s


@jitted
def _stand(w: Any, place: int, s: int) -> None:
    at(w.order, place, ORDER).station = s
    station(w, s).place = place
