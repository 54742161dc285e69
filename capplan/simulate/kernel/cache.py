"""The edge cache: the answers most recently asked for, each for a time to live.

What may be kept is drawn from a catalogue by its popularity. An object is in one list with all that
are held, the last one asked for first; where there is no place the end of the list goes (least
recently used). A request for what is not held, or held for too long, goes on to the servers, and
its answer is kept. With *request collapsing* the requests for what is being fetched wait at the
edge for that same answer; without it each of them goes on.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from capplan.simulate.kernel import rng
from capplan.simulate.kernel import tally as t
from capplan.simulate.kernel.calls import NONE, call
from capplan.simulate.kernel.jit import at, jitted, wide

OBJECT = np.dtype(
    [
        ("until_s", "f8"),  # it is held, and may be used up to then
        ("before", "i4"),
        ("after", "i4"),
        ("fetching", "i4"),  # how many calls are under way for it
        ("waiting", "i4"),  # the last of those that wait for the answer, each knows the one before
        ("held", "i4"),
    ],
    align=True,
)
POPULAR = np.dtype([("up_to", "f8"), ("guess", "i8")])
FIELDS = [
    ("objects", "i8"),
    ("popular", "i8"),  # P(object number is at most this), and where to begin to look
    ("catalogue", "i8"),  # how many objects each class has
    ("cache_places", "i8"),  # 0: there is no cache
    ("cache_ttl_s", "f8"),
    ("cache_collapses", "i8"),
    ("cache_first", "i8"),
    ("cache_last", "i8"),
    ("cache_held", "i8"),
]
MISS, HIT, WAITS = range(3)


def popular(weights: NDArray[np.float64]) -> NDArray[np.void]:
    """Return the table from which objects are drawn, with a first guess for each n-th of [0, 1)."""
    rows = np.zeros(len(weights), POPULAR)
    rows["up_to"] = np.cumsum(weights) / weights.sum()
    rows["up_to"][-1] = 1.0
    rows["guess"] = np.searchsorted(rows["up_to"], np.arange(len(rows)) / len(rows), side="right")
    return rows


def objects(count: int, kept: NDArray[np.int64], ttl_s: float = 0.0) -> NDArray[np.void]:
    """Return ``count`` objects, of which those ``kept`` are held, in that order."""
    rows = np.zeros(count, OBJECT)
    rows["before"] = rows["after"] = rows["waiting"] = NONE
    rows["held"][kept], rows["until_s"][kept] = 1, ttl_s
    rows["after"][kept[:-1]], rows["before"][kept[1:]] = kept[1:], kept[:-1]
    return rows


@jitted
def look_up(w: Any, i: int, cacheable: float, first: int) -> int:
    """Say whether call ``i`` is answered from the cache, waits for an answer, or goes on."""
    if cacheable < 1.0 and rng.uniform(w, rng.OBJECTS) >= cacheable:
        return MISS
    number = first + _draw(w)
    row = at(w.objects, number, OBJECT)
    if row.held == 1 and w.now_s <= row.until_s:
        _unlink(w, number)
        _put_first(w, number)
        return HIT
    if row.fetching > 0 and w.cache_collapses == 1:
        call(w, i).queue_after = row.waiting
        row.waiting = i
        t.move(w, t.IN_COLLAPSE, call(w, i).kind, 1)
        return WAITS
    row.fetching += 1
    call(w, i).object = number
    return MISS


@jitted
def fetched(w: Any, i: int) -> int:
    """Keep the answer of call ``i``, and return the first of the calls that have waited for it."""
    number = wide(call(w, i).object)
    row = at(w.objects, number, OBJECT)
    if row.held == 1:
        _unlink(w, number)
    elif w.cache_held < w.cache_places:
        w.cache_held += 1
    else:
        oldest = wide(w.cache_last)
        _unlink(w, oldest)
        at(w.objects, oldest, OBJECT).held = 0
    row.held, row.until_s = 1, w.now_s + w.cache_ttl_s
    _put_first(w, number)
    return failed(w, i)


@jitted
def failed(w: Any, i: int) -> int:
    """End the fetching of call ``i``, and return the first of the calls that have waited for it."""
    row = at(w.objects, call(w, i).object, OBJECT)
    call(w, i).object = NONE
    row.fetching -= 1
    first = wide(row.waiting)
    row.waiting = NONE
    return first


@jitted
def release(w: Any, i: int) -> int:
    """Take call ``i`` out of those that wait for an answer, and return the next one."""
    after = wide(call(w, i).queue_after)
    call(w, i).queue_after = NONE
    t.move(w, t.IN_COLLAPSE, call(w, i).kind, -1)
    return after


@jitted
def _draw(w: Any) -> int:
    drawn = rng.uniform(w, rng.OBJECTS)
    number = at(w.popular, int(drawn * w.catalogue), POPULAR).guess
    while at(w.popular, number, POPULAR).up_to <= drawn:
        number += 1
    return number


@jitted
def _unlink(w: Any, number: int) -> None:
    row = at(w.objects, number, OBJECT)
    before, after = row.before, row.after
    if before == NONE:
        w.cache_first = after
    else:
        at(w.objects, before, OBJECT).after = after
    if after == NONE:
        w.cache_last = before
    else:
        at(w.objects, after, OBJECT).before = before


@jitted
def _put_first(w: Any, number: int) -> None:
    row = at(w.objects, number, OBJECT)
    row.before, row.after = NONE, w.cache_first
    if w.cache_first == NONE:
        w.cache_last = number
    else:
        at(w.objects, w.cache_first, OBJECT).before = number
    w.cache_first = number
