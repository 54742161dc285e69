"""Clients: how long they wait, what they do without an answer, where shoppers go next.

A visit is a walk through the request classes: after each good answer the shopper thinks for an
exponential time and asks for something of the next class, or leaves. Since the future depends on
the class alone, shoppers who think are counted per class and need no record (the walk is a Markov
chain); the next of n shoppers is ready after an exponential time of rate n / (mean think time).

A client that gets no answer within its patience hangs up, or learns that it was refused; either way
it pauses and tries again, up to its number of attempts, and then the visit is lost.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from capplan.simulate.kernel import cache, rng
from capplan.simulate.kernel import tally as t
from capplan.simulate.kernel.calls import (
    GONE,
    NONE,
    PAUSING,
    RELOADING,
    WAITING,
    call,
    give_back,
    take,
)
from capplan.simulate.kernel.jit import at, jitted, wide
from capplan.simulate.kernel.timers import remove_timer, set_timer

KIND = np.dtype(
    [
        ("patience_s", "f8"),  # hangs up after so long
        ("restless_s", "f8"),  # or after an exponential time of this mean, when that is earlier
        ("attempts", "i8"),
        ("pause_s", "f8"),  # before the second attempt
        ("growth", "f8"),  # of the pause from attempt to attempt
        ("jitter", "f8"),
        ("memoryless", "i8"),  # 1: the pause is exponential
        ("eager", "f8"),  # share of the clients that reload
        ("reload_s", "f8"),  # after an exponential time of this mean
        ("reloads", "i8"),  # so often at most, beside their attempts
        ("degraded", "f8"),  # cost of a cheap answer, of a full one; below 0: there is none
        ("fails", "f8"),  # the share of answers that are errors
        ("thinks_per_s", "f8"),
        ("paid", "i8"),  # 1: an answer of this class makes the visit a paid one
        ("bot", "i8"),  # 1: no visit belongs to such a request
        ("first_source", "i8"),  # of a bot: which of all sources are its own
        ("source_count", "i8"),
        ("law", "i8"),
        ("mean_s", "f8"),  # of the service time
        ("a", "f8"),
        ("b", "f8"),
        ("c", "f8"),
        ("priority", "i8"),  # 0 is served first
        ("cacheable", "f8"),  # the share of its answers that the edge may keep
        ("first_object", "i8"),
        ("reserve", "f8"),  # the part of every limit that is kept for higher classes
        ("thinking", "i8"),  # shoppers who think before such a request
    ],
    align=True,
)
SHARE = np.dtype([("p", "f8")])
FIELDS = [
    ("kinds", "i8"),  # one more than there are: those who wait to be let in
    ("follows", "i8"),  # [class, next]: P(the next is at most that one); how visits begin, last
    ("retry_ratio", "f8"),  # of the requests, which may be retries; below 0: no budget
    ("retry_tokens", "f8"),
    ("throttle_factor", "f8"),  # K of the clients' own throttling; 0: there is none
    ("throttle_s", "f8"),  # over about how long they remember
    ("throttle_asked", "f8"),
    ("throttle_accepted", "f8"),
    ("throttle_at_s", "f8"),
    ("think_s", "f8"),  # when the next shopper has thought
    ("think_left", "f8"),
    ("think_since_s", "f8"),
    ("think_rate", "f8"),
]


@jitted
def kind_of(w: Any, k: int) -> Any:
    """Return request class ``k``."""
    return at(w.kinds, k, KIND)


@jitted
def waits(w: Any, i: int) -> None:
    """Start the patience of a client that has just sent call ``i``."""
    row = call(w, i)
    kind = kind_of(w, row.kind)
    row.client = WAITING
    t.add(w, row.kind, t.ATTEMPTS)
    t.move(w, t.CLIENT_WAITS, row.kind, 1)
    patience_s = kind.patience_s
    if kind.restless_s < math.inf:
        patience_s = min(patience_s, kind.restless_s * rng.exponential(w, rng.CLIENTS))
    if row.eager > 0:
        reload_s = kind.reload_s * rng.exponential(w, rng.RELOADS)
        if reload_s < patience_s:
            row.client, patience_s = RELOADING, reload_s
    if patience_s < math.inf:
        set_timer(w, i, w.now_s + patience_s)


@jitted
def misses(w: Any, i: int) -> bool:
    """Say whether call ``i`` has to go on to the gateway, since the edge cannot answer it."""
    row = call(w, i)
    kind = kind_of(w, row.kind)
    if w.cache_places == 0 or kind.cacheable <= 0:
        return True
    found = cache.look_up(w, i, kind.cacheable, kind.first_object)
    if found == cache.HIT:
        t.add(w, row.kind, t.CACHED)
        _content(w, i)
    return found == cache.MISS


@jitted
def refused(w: Any, i: int, reason: int) -> None:
    """Tell the client of call ``i``, which is over, that it was refused or failed.

    Those whose requests the edge has held back for the same answer are told as well.
    """
    other = cache.failed(w, i) if call(w, i).object != NONE else NONE
    _tell(w, i, reason)
    while other != NONE:
        after = cache.release(w, other)
        if reason == t.FAILED:
            t.add(w, call(w, other).kind, t.CACHED)  # the edge hands on an answer, if a bad one
        _tell(w, other, reason)
        other = after


@jitted
def _tell(w: Any, i: int, reason: int) -> None:
    row = call(w, i)
    if row.client == GONE:
        t.add(w, row.kind, t.DROPPED)
        give_back(w, i)
        return
    t.add(w, row.kind, t.FIRST_REASON + reason)
    remove_timer(w, i)
    t.move(w, t.CLIENT_WAITS, row.kind, -1)
    _try_again(w, i)


@jitted
def hangs_up(w: Any, i: int) -> None:
    """Let the client of call ``i`` give up on it; the call itself goes on without anyone."""
    row = call(w, i)
    reloads = row.client == RELOADING  # the page, and does not count it as an attempt
    t.add(w, row.kind, t.TIMED_OUT)
    t.move(w, t.CLIENT_WAITS, row.kind, -1)
    row.client = GONE
    remove_timer(w, i)
    again = take(w)
    same = call(w, again)
    same.kind, same.attempt, same.first_s = row.kind, row.attempt, row.first_s
    same.eager = row.eager
    if reloads:
        same.eager -= 1
        _pause(w, again, 0.0)
    else:
        _try_again(w, again)


@jitted
def answered(w: Any, i: int) -> None:
    """Hand the answer of call ``i``, which is over, to its client, if that still waits."""
    row = call(w, i)
    fails = kind_of(w, row.kind).fails
    t.add(w, row.kind, t.SERVED)
    if fails > 0 and row.client != GONE and rng.uniform(w, rng.CLIENTS) < fails:
        refused(w, i, t.FAILED)
        return
    other = cache.fetched(w, i) if row.object != NONE else NONE
    _content(w, i)
    while other != NONE:
        after = cache.release(w, other)
        t.add(w, call(w, other).kind, t.CACHED)
        _content(w, other)
        other = after


@jitted
def _content(w: Any, i: int) -> None:
    row = call(w, i)
    if row.client != GONE:
        remove_timer(w, i)
        t.move(w, t.CLIENT_WAITS, row.kind, -1)
        if w.throttle_factor > 0 and kind_of(w, row.kind).bot == 0:
            w.throttle_accepted += 1.0
        t.good(w, row.kind, row.first_s)
        _go_on(w, wide(row.kind))
    give_back(w, i)


@jitted
def next_class(w: Any, kind: int) -> int:
    """Draw the class that follows, or the number of classes for leaving."""
    drawn = rng.uniform(w, rng.PATH)
    following = 0
    while (
        following < w.kind_count
        and drawn >= at(w.follows, kind * w.kind_count + following, SHARE).p
    ):
        following += 1
    return following


@jitted
def thinking_changed(w: Any, kind: int, by: int) -> None:
    """Let a shopper begin or end to think; find when the next one will be ready.

    What is left of a unit exponential runs down at the rate of all who think, so that each draw is
    used once, however often the rate changes meanwhile.
    """
    w.think_left -= w.think_rate * (w.now_s - w.think_since_s)
    w.think_since_s = w.now_s
    kind_of(w, kind).thinking += by
    t.move(w, t.CLIENT_THINKS, kind, by)
    rate = 0.0
    for k in range(w.kind_count + 1):
        rate += kind_of(w, k).thinking * kind_of(w, k).thinks_per_s
    w.think_rate = rate
    w.think_s = w.now_s + max(w.think_left, 0.0) / rate if rate > 0 else math.inf


@jitted
def ready(w: Any) -> int:
    """End the thinking of the shopper who is ready, and return the class it asks for."""
    drawn = rng.uniform(w, rng.THINKING) * w.think_rate
    chosen = -1
    for kind in range(w.kind_count + 1):
        if kind_of(w, kind).thinking > 0:
            chosen = kind
            drawn -= kind_of(w, kind).thinking * kind_of(w, kind).thinks_per_s
            if drawn < 0:
                break
    thinking_changed(w, chosen, -1)
    # the draw that has run down is replaced only now, when the rate is the new one
    w.think_left = rng.exponential(w, rng.THINKING)
    if w.think_rate > 0:
        w.think_s = w.now_s + w.think_left / w.think_rate
    return chosen


@jitted
def _go_on(w: Any, kind: int) -> None:
    following = next_class(w, kind)
    if following < w.kind_count:
        thinking_changed(w, following, 1)
        return
    if kind_of(w, kind).bot == 0:
        t.add_visit(w, t.PAID if kind_of(w, kind).paid == 1 else t.LEFT)


@jitted
def _affordable(w: Any) -> bool:
    """Take a retry from the budget that all clients share."""
    if w.retry_ratio < 0:
        return True
    if w.retry_tokens < 1.0:
        return False
    w.retry_tokens -= 1.0
    return True


@jitted
def draw_eager(w: Any, i: int) -> None:
    """Draw whether the client of call ``i``, a new one, is one that reloads, and may so often."""
    row = call(w, i)
    kind = kind_of(w, row.kind)
    row.eager = row.cheap = row.late = 0
    if kind.eager > 0 and rng.uniform(w, rng.RELOADS) < kind.eager:
        row.eager = kind.reloads


@jitted
def throttled(w: Any, i: int) -> bool:
    """Let the client of call ``i`` refuse it by itself, where too little was answered of late.

    With probability max(0, (requests - K·accepts)/(requests + 1)) (Google, *Site Reliability
    Engineering*, ch. 21); both are counted over all people, and fade exponentially.
    """
    if w.throttle_factor <= 0 or kind_of(w, call(w, i).kind).bot == 1:
        return False
    fades = math.exp(-(w.now_s - w.throttle_at_s) / w.throttle_s)
    asked = w.throttle_asked * fades
    w.throttle_asked = asked + 1.0
    w.throttle_accepted *= fades
    w.throttle_at_s = w.now_s
    share = (asked - w.throttle_factor * w.throttle_accepted) / (asked + 1.0)
    if rng.uniform(w, rng.THROTTLE) >= share:
        return False
    refused(w, i, t.THROTTLE)
    return True


@jitted
def _try_again(w: Any, i: int) -> None:
    row = call(w, i)
    kind = kind_of(w, row.kind)
    if row.attempt >= kind.attempts or not _affordable(w):
        t.add(w, row.kind, t.GIVEN_UP)
        if kind.bot == 0:
            t.add_visit(w, t.ABANDONED)
        give_back(w, i)
        return
    pause_s = kind.pause_s * kind.growth ** (row.attempt - 1)
    if kind.memoryless == 1:
        pause_s *= rng.exponential(w, rng.CLIENTS)
    elif kind.jitter > 0:
        pause_s *= 1.0 - kind.jitter * rng.uniform(w, rng.CLIENTS)
    row.attempt += 1
    _pause(w, i, pause_s)


@jitted
def _pause(w: Any, i: int, pause_s: float) -> None:
    row = call(w, i)
    row.cheap = 0
    row.client = PAUSING
    t.move(w, t.CLIENT_PAUSES, row.kind, 1)
    set_timer(w, i, w.now_s + pause_s)
