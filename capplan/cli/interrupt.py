"""SIGTERM ends a long run the way Ctrl-C does: the load stops, and what was measured is kept."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic
from types import FrameType

_KEEPING_S = 2.0
"""How long an impatient second Ctrl-C is passed over, while what was measured is written."""


@contextmanager
def sigterm_as_interrupt() -> Iterator[None]:
    """Raise ``KeyboardInterrupt`` in the main thread when SIGINT or SIGTERM comes.

    A signal soon after the first is passed over, or it would break off what the first has begun;
    a later one ends the process even where the disk hangs.
    """
    first: float | None = None

    def interrupt(number: int, frame: FrameType | None) -> None:
        nonlocal first
        if first is None:
            first = monotonic()
            raise KeyboardInterrupt
        if monotonic() - first > _KEEPING_S:
            raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


_SIGNALS = (signal.SIGINT, signal.SIGTERM)
