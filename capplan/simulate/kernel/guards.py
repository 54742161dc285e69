"""What a caller knows of the layer behind it: a circuit breaker, and a signal that it is full.

Layer 0 is the fleet, whose caller is the gateway; layer d + 1 is downstream service d, called by
the servers.

- A *circuit breaker* counts in windows of time, in each process that calls. When enough calls
  failed, or were slower than a limit, it opens: calls fail at once. After a pause it lets a few
  through; when these are well it closes, else it pauses again (M. Nygard, *Release It!*, 2007).
- *Back-pressure*: a layer whose queue has reached its high mark says so, until the queue is down
  to its low mark; meanwhile what needs the layer is turned away in front. The highest of several
  priorities is turned away only while the queue is above the high mark.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from capplan.simulate.kernel import rng
from capplan.simulate.kernel.jit import at, jitted

GUARD = np.dtype(
    [
        ("breaks", "i8"),  # 1: there is a breaker
        ("window_s", "f8"),
        ("least", "i8"),  # calls in a window, before it decides
        ("share", "f8"),  # of bad calls, at which it opens
        ("slow_s", "f8"),  # an answer that takes longer is bad
        ("open_s", "f8"),
        ("probes", "i8"),
        ("state", "i8"),
        ("since_s", "f8"),
        ("good", "i8"),
        ("bad", "i8"),
        ("sent", "i8"),  # probes
        ("opened", "i8"),  # how often
        ("high", "i8"),  # places of the queue; 0: no signal
        ("low", "i8"),
        ("full", "i8"),
    ],
    align=True,
)
CLOSED, OPEN, HALF_OPEN = range(3)
MOST_CALLERS = 2**16
FIELDS = [
    ("guards", "i8"),  # [layer, caller]
    ("callers", "i8"),  # of each station; 0: all have one breaker together
    ("caller_count", "i8"),  # of all, at most
    ("guarded", "i8"),  # 1: some layer has a breaker or a signal
]


FLEET: Any = np.int64(0)
"""The layer of the fleet."""
FIRST: Any = np.int64(0)
"""The first caller of a layer; that of the fleet, the gateway, is the only one."""
WELL: Any = np.int64(1)
BADLY: Any = np.int64(0)


def guards(
    breakers: Sequence[Mapping[str, float]], marks: Sequence[tuple[int, int]], callers: int
) -> NDArray[Any]:
    """Return the guards of all layers: settings of their breakers, high and low marks.

    Each caller has a row of its own. The signal of a layer is one, and stands in the first.
    """
    rows = np.zeros((len(marks), callers), GUARD)
    for row, breaker, (high, low) in zip(rows, breakers, marks, strict=True):
        row["high"], row["low"] = high, low
        for name, value in breaker.items():
            row[name] = value
        row["breaks"] = bool(breaker)
    return rows


@jitted
def guard(w: Any, layer: int, caller: int) -> Any:
    """Return what a caller knows of a layer."""
    return at(w.guards, layer * w.caller_count + caller, GUARD)


@jitted
def any_caller(w: Any, s: int) -> int:
    """Return a process of station ``s`` that calls."""
    if w.callers <= 1:
        return s * w.callers
    return min(int(rng.uniform(w, rng.CALLERS) * w.callers) + s * w.callers, w.caller_count - 1)


@jitted
def lets_through(w: Any, layer: int, caller: int) -> bool:
    """Say whether the breaker of a caller lets a call through to a layer."""
    row = guard(w, layer, caller)
    if row.breaks == 0 or row.state == CLOSED:
        return True
    if w.now_s - row.since_s >= row.open_s:
        # also when the answers to the last probes never came
        row.state, row.since_s, row.sent, row.good = HALF_OPEN, w.now_s, 0, 0
    if row.state == HALF_OPEN and row.sent < row.probes:
        row.sent += 1
        return True
    return False


@jitted
def reports(w: Any, layer: int, caller: int, well: int, sent_s: float) -> None:
    """Tell the breaker of a caller how a call to a layer ended that was sent at ``sent_s``."""
    row = guard(w, layer, caller)
    if row.breaks == 0 or row.state == OPEN:
        return
    bad = well == BADLY or w.now_s - sent_s > row.slow_s
    if row.state == HALF_OPEN:
        if sent_s < row.since_s:
            return  # no probe: it was sent before
        row.good += not bad
        if bad:
            _opens(w, row)
        elif row.good >= row.probes:
            row.state, row.since_s, row.good, row.bad = CLOSED, w.now_s, 0, 0
        return
    if w.now_s - row.since_s > row.window_s:
        row.since_s, row.good, row.bad = w.now_s, 0, 0
    row.bad += bad
    row.good += not bad
    if row.good + row.bad >= row.least and row.bad >= row.share * (row.good + row.bad):
        _opens(w, row)


@jitted
def tripped(w: Any, layer: int) -> int:
    """Return how many breakers of a layer are not closed."""
    total = 0
    for caller in range(w.caller_count):
        total += guard(w, layer, caller).state != CLOSED
    return total


@jitted
def _opens(w: Any, row: Any) -> None:
    row.state, row.since_s = OPEN, w.now_s
    row.opened += 1


@jitted
def full(w: Any, layer: int, queued: int, highest: bool) -> bool:
    """Say whether a layer with so many calls in its queue turns a call away."""
    row = guard(w, layer, FIRST)
    if row.high == 0:
        return False
    row.full = queued > row.low if row.full == 1 else queued >= row.high
    return queued >= row.high if highest else row.full == 1
