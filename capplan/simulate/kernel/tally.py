"""What is counted: per second and request class, never a list of requests.

Every count belongs to the second in which it happened; only good answers belong to that in which
their request was first sent, and are counted as received when they come. Latencies are in a
histogram whose bins are a ninth wider than the one before; sums for exact means stand beside it.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from capplan.simulate.kernel.jit import at, jitted, wide

REASONS = (
    "queue-bound",
    "queue-timeout",
    "failed",
    "waf",
    "per-source-limit",
    "concurrency-limit",
    "token-bucket",
    "leaky-bucket",
    "circuit-breaker",
    "back-pressure",
    "downstream",
    "client-throttle",
    "waf-full",
    "gateway-full",
)
"""Who refused an attempt."""

COUNTS = (
    "offered", "attempts", "good", "received", "served", "timed_out", "dropped", "given_up",
    "cached", "degraded", "cut_off", *REASONS,
)  # fmt: skip
(
    OFFERED, ATTEMPTS, GOOD, RECEIVED, SERVED, TIMED_OUT, DROPPED, GIVEN_UP, CACHED, DEGRADED,
    CUT_OFF, FIRST_REASON,
) = range(12)  # fmt: skip
(
    QUEUE_BOUND, QUEUE_TIMEOUT, FAILED, WAF, PER_SOURCE, CONCURRENCY, TOKENS, LEAK, BREAKER,
    PRESSURE, DOWNSTREAM, THROTTLE, WAF_FULL, GATEWAY_FULL,
) = range(len(REASONS))  # fmt: skip

VISITS = ("begun", "paid", "left", "abandoned", "tired")
BEGUN, PAID, LEFT, ABANDONED, TIRED = range(len(VISITS))

LAYERS = (
    "queued", "served", "waiting", "pausing", "thinking", "bucket", "room", "collapsed", "limiter",
    "wire", "queued downstream", "served downstream", "unawaited downstream", "waf", "gateway",
)  # fmt: skip
"""Where calls and shoppers are: in a queue, in a slot; with a client that waits, pauses,
thinks; in a leaky bucket, in the waiting room, at the edge until a like request is answered, on the
way to a shared limiter, behind another call on a connection; in a queue or a slot downstream, or in
a slot there after its server has given up; in work at the WAF, or at the gateway."""
(
    IN_QUEUE, IN_SERVICE, CLIENT_WAITS, CLIENT_PAUSES, CLIENT_THINKS, IN_BUCKET, IN_ROOM,
    IN_COLLAPSE, TO_LIMITER, ON_WIRE, IN_QUEUE_BEHIND, IN_SERVICE_BEHIND,
    UNAWAITED, AT_WAF, AT_GATEWAY,
) = range(len(LAYERS))  # fmt: skip

BINS = 128
SMALLEST_S = 1e-4
_PER_OCTAVE = 6.5
_SCALE = _PER_OCTAVE / math.log(2.0)


CELL = np.dtype([("n", "i8")])
SMALL_CELL = np.dtype([("n", "i4")])
LAYER = np.dtype([("inside", "i8"), ("area_s", "f8"), ("since_s", "f8")])
LEVEL = np.dtype([("inside", "f4")])
SUM = np.dtype([("wait_s", "f8"), ("waits", "f8"), ("latency_s", "f8"), ("answers", "f8")])

FIELDS = [
    ("second", "i8"),
    ("seconds", "i8"),
    ("kind_count", "i8"),
    ("counts", "i8"),  # [second, class, count]
    ("visits", "i8"),  # [second, count]
    ("latency", "i8"),  # [second, class, bin]
    ("layers", "i8"),  # [class, layer]: how many are inside, and the integral of that over time
    ("levels", "i8"),  # [second, class, layer]: how many were inside at its end
    ("sums", "i8"),  # [class], and the waits at each service downstream
]


def tally(seconds: int, kinds: int, services: int) -> dict[str, NDArray[Any]]:
    """Return empty counts."""
    return {
        "counts": np.zeros((seconds, kinds, len(COUNTS)), np.int64),
        "visits": np.zeros((seconds, len(VISITS)), np.int64),
        "latency": np.zeros((seconds, kinds, BINS), np.int32),
        "layers": np.zeros((kinds + 1, len(LAYERS)), LAYER),
        "levels": np.zeros((seconds, kinds + 1, len(LAYERS)), np.float32),
        "sums": np.zeros(kinds + services, SUM),
    }


def bin_ends_s() -> NDArray[np.float64]:
    """Return the upper end of each bin of the histogram, in seconds."""
    return np.asarray(SMALLEST_S * np.exp(np.arange(BINS) / _SCALE))


@jitted
def add(w: Any, kind: int, what: int) -> None:
    """Count something of a request class, now."""
    place = (w.second * w.kind_count + kind) * len(COUNTS) + what
    at(w.counts, place, CELL).n += 1


@jitted
def add_visit(w: Any, what: int) -> None:
    """Count something about visits, now."""
    at(w.visits, w.second * len(VISITS) + what, CELL).n += 1


@jitted
def move(w: Any, layer: int, kind: int, by: int) -> None:
    """Let calls or shoppers of a class enter a layer, or leave it.

    The class of those who wait to be let in, and of what nobody awaits, is one more than there are.
    """
    row = at(w.layers, wide(kind) * len(LAYERS) + layer, LAYER)
    row.area_s += row.inside * (w.now_s - row.since_s)
    row.since_s = w.now_s
    row.inside += by


@jitted
def inside(w: Any, layer: int) -> int:
    """Return how many calls or shoppers of all classes are in a layer."""
    total = 0
    for kind in range(w.kind_count + 1):
        total += at(w.layers, kind * len(LAYERS) + layer, LAYER).inside
    return total


@jitted
def waited(w: Any, kind: int, wait_s: float) -> None:
    """Note how long a call stood in a queue before its service began."""
    sums = at(w.sums, kind, SUM)
    sums.wait_s += wait_s
    sums.waits += 1


@jitted
def good(w: Any, kind: int, first_s: float) -> None:
    """Count an answer to a client that still waits, in the second of its first attempt.

    So it is compared with the requests that were offered in that same second.
    """
    add(w, kind, RECEIVED)
    latency_s = w.now_s - first_s
    second = min(int(first_s), w.seconds - 1)
    at(w.counts, (second * w.kind_count + kind) * len(COUNTS) + GOOD, CELL).n += 1
    sums = at(w.sums, kind, SUM)
    sums.latency_s += latency_s
    sums.answers += 1
    place = 0
    if latency_s > SMALLEST_S:
        place = min(int(_SCALE * math.log(latency_s / SMALLEST_S)) + 1, BINS - 1)
    at(w.latency, (second * w.kind_count + kind) * BINS + place, SMALL_CELL).n += 1


@jitted
def bring_up_to_date(w: Any) -> None:
    """Let the areas of all layers reach up to now."""
    for kind in range(w.kind_count + 1):
        for layer in range(len(LAYERS)):
            move(w, layer, kind, 0)


@jitted
def end_second(w: Any) -> None:
    """Keep the levels of the second that ends, and begin the next one."""
    places = (w.kind_count + 1) * len(LAYERS)
    for number in range(places):
        level = at(w.levels, w.second * places + number, LEVEL)
        level.inside = at(w.layers, number, LAYER).inside
    w.second = min(w.second + 1, w.seconds - 1)
