"""The event loop: always the earliest of what can happen next, until a given virtual time."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from capplan.simulate.kernel import desks, rng
from capplan.simulate.kernel import tally as t
from capplan.simulate.kernel.calls import GONE, NONE, PAUSING, call, room, take
from capplan.simulate.kernel.clients import (
    answered,
    draw_eager,
    hangs_up,
    misses,
    next_class,
    ready,
    refused,
    throttled,
    waits,
)
from capplan.simulate.kernel.downstream import give_up_waiting, goes_on, keep_levels, wanted_behind
from capplan.simulate.kernel.edge import passes, takes_in
from capplan.simulate.kernel.gateway import admits, asks_limiter, is_back, leaks, leaves
from capplan.simulate.kernel.jit import at, jitted
from capplan.simulate.kernel.room import lets_in, next_in, tires
from capplan.simulate.kernel.stations import choose, due, ends, fill, next_end_s, offer, turn_away
from capplan.simulate.kernel.timers import due_by, remove_timer
from capplan.simulate.kernel.wires import next_on_wire, takes_wire

DONE, FULL = 0, 1
_SAVED_RETRIES = 100.0
"""A budget that was not used does not grow beyond this, or it would pay for a storm later."""

RATE = np.dtype([("per_s", "f8")])
BOT = np.dtype([("kind", "i8")])
FIELDS = [
    ("now_s", "f8"),
    ("plain", "i8"),  # 1: none of the layers is there that most sales do without
    ("tick_s", "f8"),
    ("visit_s", "f8"),  # the next arrival of a visit
    ("bot_s", "f8"),
    ("rates", "i8"),  # [source, second]: visits, each group of bots, all bots
    ("bot_groups", "i8"),
    ("bot_kinds", "i8"),
]


@jitted
def run(w: Any, until_s: float) -> int:
    """Simulate up to ``until_s``; ``FULL`` says that the table of calls has to grow first."""
    while True:
        if not room(w):
            return FULL
        end_s = next_end_s(w)
        by_s = min(end_s, w.visit_s, w.bot_s, w.think_s, w.room_s, w.leak_s, w.tick_s, until_s)
        if w.plain == 0:
            if w.wire_ready != NONE:
                _leave_wire(w)
                continue
            by_s = min(by_s, w.trip_s, w.overdue_s, w.desk_s)
        i = due_by(w, by_s)
        if i != NONE:
            w.now_s = call(w, i).timer_s
            _ring(w, i)
            continue
        w.now_s = by_s
        if by_s == end_s:
            s = due(w)
            i = ends(w, s)
            if w.plain == 1:
                leaves(w, i)
                fill(w, s)
                answered(w, i)
            elif goes_on(w, s, i):
                answered(w, i)
        elif by_s == w.visit_s:
            _begin_visit(w)
        elif by_s == w.think_s:
            kind = ready(w)
            if kind < w.kind_count:
                _ask(w, kind)
            else:
                tires(w)
        elif by_s == w.bot_s:
            _bot(w)
        elif by_s == w.room_s:
            next_in(w)
            _ask(w, next_class(w, w.kind_count))
        elif by_s == w.leak_s:
            i = leaks(w)
            if i != NONE:
                _forward(w, i)
        elif by_s == w.trip_s:
            _enter(w, is_back(w))
        elif by_s == w.desk_s:
            _leave_desk(w)
        elif by_s == w.overdue_s:
            give_up_waiting(w)
        elif by_s == w.tick_s:
            keep_levels(w)
            t.end_second(w)
            w.tick_s += 1.0
        else:
            t.bring_up_to_date(w)
            return DONE


@jitted
def first_arrivals(w: Any) -> None:
    """Draw the first arrival of every source; call it once before the first run."""
    w.visit_s = _arrival_s(w, 0, rng.VISITS)
    w.bot_s = _arrival_s(w, w.bot_groups + 1, rng.BOTS)
    w.think_left = rng.exponential(w, rng.THINKING)


@jitted
def _rate(w: Any, source: int, second: int) -> float:
    return at(w.rates, source * w.seconds + second, RATE).per_s


@jitted
def _arrival_s(w: Any, source: int, which: int) -> float:
    """Return the next arrival of a Poisson process whose rate is constant within each second."""
    left = rng.exponential(w, which)
    at_s = w.now_s
    second = int(at_s)
    while second < w.seconds:
        per_s = _rate(w, source, second)
        in_second = (second + 1 - at_s) * per_s
        if left < in_second:
            return at_s + left / per_s
        left -= in_second
        second += 1
        at_s = float(second)
    return math.inf


@jitted
def _begin_visit(w: Any) -> None:
    w.visit_s = _arrival_s(w, 0, rng.VISITS)
    t.add_visit(w, t.BEGUN)
    if lets_in(w):
        _ask(w, next_class(w, w.kind_count))


@jitted
def _bot(w: Any) -> None:
    second = min(int(w.now_s), w.seconds - 1)
    drawn = rng.uniform(w, rng.BOTS) * _rate(w, w.bot_groups + 1, second)
    group = 1
    while group < w.bot_groups and drawn >= _rate(w, group, second):
        drawn -= _rate(w, group, second)
        group += 1
    w.bot_s = _arrival_s(w, w.bot_groups + 1, rng.BOTS)
    _ask(w, at(w.bot_kinds, group - 1, BOT).kind)


@jitted
def _ask(w: Any, kind: int) -> None:
    """Let a client make a request of class ``kind``: its first attempt."""
    i = take(w)
    row = call(w, i)
    row.kind, row.attempt, row.first_s = kind, 1, w.now_s
    t.add(w, kind, t.OFFERED)
    if w.plain == 0:
        draw_eager(w, i)
    if w.retry_ratio >= 0:
        w.retry_tokens = min(w.retry_tokens + w.retry_ratio, _SAVED_RETRIES)
    _send(w, i)


@jitted
def _send(w: Any, i: int) -> None:
    waits(w, i)
    if w.plain == 1:
        if passes(w, i) and misses(w, i) and admits(w, i):
            offer(w, choose(w), i)
    elif (
        not throttled(w, i) and takes_in(w, i) and passes(w, i) and desks.passes_on(w, desks.WAF, i)
    ):
        _past_waf(w, i)


@jitted
def _past_waf(w: Any, i: int) -> None:
    if misses(w, i) and wanted_behind(w, i) and asks_limiter(w, i):
        _enter(w, i)


@jitted
def _enter(w: Any, i: int) -> None:
    if admits(w, i):
        _forward(w, i)


@jitted
def _forward(w: Any, i: int) -> None:
    if desks.passes_on(w, desks.GATEWAY + call(w, i).node, i):
        _to_servers(w, i)


@jitted
def _to_servers(w: Any, i: int) -> None:
    if takes_wire(w, i):
        offer(w, choose(w), i)


@jitted
def _leave_desk(w: Any) -> None:
    """Let a call go on whose work is done, unless its client has gone meanwhile."""
    at_waf = w.desk_number == desks.WAF
    i = desks.done(w)
    gone = call(w, i).client == GONE and call(w, i).object == NONE
    if at_waf:
        if gone:
            refused(w, i, t.WAF_FULL)
        else:
            _past_waf(w, i)
    elif gone:
        leaves(w, i)
        refused(w, i, t.GATEWAY_FULL)
    else:
        _to_servers(w, i)


@jitted
def _leave_wire(w: Any) -> None:
    i = next_on_wire(w)
    if w.now_s - call(w, i).queued_s > w.queue_patience_s:
        turn_away(w, i, t.QUEUE_TIMEOUT)
    else:
        offer(w, choose(w), i)


@jitted
def _ring(w: Any, i: int) -> None:
    if call(w, i).client == PAUSING:
        remove_timer(w, i)
        t.move(w, t.CLIENT_PAUSES, call(w, i).kind, -1)
        _send(w, i)
    else:
        hangs_up(w, i)
