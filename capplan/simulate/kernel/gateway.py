"""The gateway: rate limiters of three kinds, on each of its nodes or shared by all.

- *concurrency limit*: at most so many calls inside at once; a place is free again when a call is
  over;
- *token bucket*: ``rate`` tokens per second are filled in, up to ``burst``; each call takes one;
- *leaky bucket*: calls leave at a constant rate and wait for their turn; one that would wait for
  longer than the bound is refused.

To refuse is work for a node, if less than to let through (:mod:`capplan.simulate.kernel.desks`).
A class of requests may leave a part of each limit, its reserve, to the classes above it.
A balancer in front picks a node at random. Limits shared through a cache are those of one node.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from capplan.simulate.kernel import desks, rng
from capplan.simulate.kernel import tally as t
from capplan.simulate.kernel.calls import GONE, NONE, call, join, leave
from capplan.simulate.kernel.clients import kind_of, refused
from capplan.simulate.kernel.jit import at, jitted, wide

NODE = np.dtype(
    [
        ("inside", "i8"),
        ("tokens", "f8"),
        ("filled_s", "f8"),
        ("turn_s", "f8"),  # when the next call may leave the leaky bucket
        ("first", "i4"),  # of those that wait in it
        ("last", "i4"),
    ],
    align=True,
)
FIELDS = [
    ("nodes", "i8"),
    ("node_count", "i8"),
    ("most_inside", "i8"),  # per node; 0: no limit
    ("token_rate", "f8"),  # per node; 0: no limit
    ("token_burst", "f8"),
    ("leak_rate", "f8"),  # per node; 0: no limit
    ("leak_wait_s", "f8"),
    ("leak_s", "f8"),  # when the next call leaves a leaky bucket
    ("leak_node", "i8"),
    ("round_trip_s", "f8"),  # to the cache that all nodes share
    ("trip_s", "f8"),  # when the next call is back from there
    ("trip_first", "i8"),
    ("trip_last", "i8"),
]


def nodes(count: int, burst: float) -> Any:
    """Return the nodes of a gateway on which nothing has happened yet."""
    rows = np.zeros(count, NODE)
    rows["tokens"], rows["first"], rows["last"] = burst, NONE, NONE
    return rows


@jitted
def asks_limiter(w: Any, i: int) -> bool:
    """Say whether call ``i`` may be decided at once, without a round trip."""
    if w.round_trip_s <= 0:
        return True
    call(w, i).queued_s = w.now_s + w.round_trip_s
    call(w, i).queue_after = NONE
    if w.trip_first == NONE:
        w.trip_first, w.trip_s = i, call(w, i).queued_s
    else:
        call(w, w.trip_last).queue_after = i
    w.trip_last = i
    t.move(w, t.TO_LIMITER, call(w, i).kind, 1)
    return False


@jitted
def is_back(w: Any) -> int:
    """Return the call about which the shared limiter can be asked now."""
    i = wide(w.trip_first)
    w.trip_first = call(w, i).queue_after
    w.trip_s = math.inf if w.trip_first == NONE else call(w, w.trip_first).queued_s
    t.move(w, t.TO_LIMITER, call(w, i).kind, -1)
    return i


@jitted
def admits(w: Any, i: int) -> bool:
    """Let call ``i`` on to the servers now; else it is refused, or waits in a leaky bucket."""
    number = _any_node(w)
    node = at(w.nodes, number, NODE)
    reserve = kind_of(w, call(w, i).kind).reserve
    if not desks.has_time(w, desks.GATEWAY + number):
        return _refuses(w, i, number, t.GATEWAY_FULL)
    if w.most_inside > 0 and node.inside >= w.most_inside * (1.0 - reserve):
        return _refuses(w, i, number, t.CONCURRENCY)
    if w.token_rate > 0:
        filled = node.tokens + (w.now_s - node.filled_s) * w.token_rate
        node.tokens = min(filled, w.token_burst)
        node.filled_s = w.now_s
        if node.tokens < 1.0 + w.token_burst * reserve:
            return _refuses(w, i, number, t.TOKENS)
    if w.leak_rate > 0 and node.turn_s > w.now_s + w.leak_wait_s * (1.0 - reserve):
        return _refuses(w, i, number, t.LEAK)
    if w.token_rate > 0:
        node.tokens -= 1.0
    node.inside += 1
    call(w, i).node = number
    return w.leak_rate <= 0 or _at_once(w, i, number)


@jitted
def turns_away(w: Any, i: int, reason: int) -> None:
    """Refuse call ``i`` for what is behind the gateway, before any of its limits."""
    _refuses(w, i, _any_node(w) if at(w.desks, desks.GATEWAY, desks.DESK).work_s > 0 else 0, reason)


@jitted
def leaves(w: Any, i: int) -> None:
    """Free the place of call ``i``, which the gateway had admitted."""
    at(w.nodes, call(w, i).node, NODE).inside -= 1


@jitted
def leaks(w: Any) -> int:
    """Return the call whose turn has come, or ``NONE`` when its client has gone meanwhile."""
    node = at(w.nodes, w.leak_node, NODE)
    i = leave(w, node)
    t.move(w, t.IN_BUCKET, call(w, i).kind, -1)
    _find_next(w)
    if call(w, i).client == GONE and call(w, i).object == NONE:
        leaves(w, i)
        refused(w, i, t.LEAK)
        return NONE
    return i


@jitted
def _any_node(w: Any) -> int:
    return int(rng.uniform(w, rng.ROUTING) * w.node_count) if w.node_count > 1 else 0


@jitted
def _refuses(w: Any, i: int, number: int, reason: int) -> bool:
    desks.refuses(w, desks.GATEWAY + number)
    refused(w, i, reason)
    return False


@jitted
def _at_once(w: Any, i: int, number: int) -> bool:
    node = at(w.nodes, number, NODE)
    turn_s = max(node.turn_s, w.now_s)
    node.turn_s = turn_s + 1.0 / w.leak_rate
    if turn_s <= w.now_s:
        return True
    call(w, i).queued_s = turn_s
    join(w, node, i)
    t.move(w, t.IN_BUCKET, call(w, i).kind, 1)
    if turn_s < w.leak_s:
        w.leak_s, w.leak_node = turn_s, number
    return False


@jitted
def _find_next(w: Any) -> None:
    w.leak_s = math.inf
    for number in range(w.node_count):
        first = wide(at(w.nodes, number, NODE).first)
        if first != NONE and call(w, first).queued_s < w.leak_s:
            w.leak_s, w.leak_node = call(w, first).queued_s, number
