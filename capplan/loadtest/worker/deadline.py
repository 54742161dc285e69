"""A bound on how long something may take, for thousands of things a second with the same bound.

A timer for each request would be a large part of what a request costs. With one bound for all, they
expire in the order in which they began, so a look at the head of a queue suffices.
"""

from __future__ import annotations

from collections import deque
from time import perf_counter
from typing import Any

import gevent

_LOOK_EVERY_S = 0.01


class Deadline:
    """One bound on the greenlet that made it. ``error`` is what it raised there, if it did."""

    __slots__ = ("_at", "_greenlet", "error")

    def __init__(self, at: float) -> None:
        self._at = at
        self._greenlet: Any = gevent.getcurrent()
        self.error: gevent.Timeout | None = None

    def end(self) -> None:
        """Forget the greenlet: what it did has ended. Has to be called, whatever becomes of it."""
        self._greenlet = None

    @property
    def is_open(self) -> bool:
        """Whether what the greenlet does has not ended."""
        return self._greenlet is not None

    def is_past(self, now: float) -> bool:
        """Return whether its time is over."""
        return now >= self._at

    def expire(self) -> None:
        """Raise in the greenlet, unless it has ended; only to be called by the hub."""
        greenlet, self._greenlet = self._greenlet, None
        if greenlet is not None:
            self.error = gevent.Timeout()
            greenlet.throw(self.error)


class Deadlines:
    """Bounds of ``limit_s`` each; they end up to a hundredth of a second late."""

    def __init__(self, limit_s: float) -> None:
        self._limit_s = limit_s
        self._running: deque[Deadline] = deque()
        gevent.spawn(self._watch)

    def start(self) -> Deadline:
        """Return a bound on the running greenlet that begins now."""
        deadline = Deadline(perf_counter() + self._limit_s)
        self._running.append(deadline)
        return deadline

    def _watch(self) -> None:
        running, loop = self._running, gevent.get_hub().loop
        while True:
            gevent.sleep(_LOOK_EVERY_S)
            now = perf_counter()
            while running and (not running[0].is_open or running[0].is_past(now)):
                first = running.popleft()
                if first.is_open:
                    loop.run_callback(first.expire)
