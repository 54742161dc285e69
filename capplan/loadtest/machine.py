"""What the machine of the load generator did meanwhile: idle cores, and CPU time taken away."""

from __future__ import annotations

import os
import time

import psutil

from capplan.loadtest.validity import Usage


class Meter:
    """Measures from its making on."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._before = psutil.cpu_times()

    @property
    def elapsed_s(self) -> float:
        """Seconds since the beginning."""
        return time.monotonic() - self._began

    def usage(self, *, fixed: int | None = None, here: bool = True) -> Usage:
        """Return what happened since the beginning.

        ``fixed`` is how many processes there are where none may be added. When the load came from
        other machines only, what this one did tells nothing.
        """
        if not here:
            return Usage(fixed or 1)
        after, took_s = psutil.cpu_times(), max(self.elapsed_s, 1e-3)

        def spent_s(kind: str) -> float:
            return float(getattr(after, kind, 0.0) - getattr(self._before, kind, 0.0))

        stolen = spent_s("steal") / took_s / (psutil.cpu_count() or 1)
        idle = (spent_s("idle") + spent_s("iowait")) / took_s
        return Usage(fixed or cores(), idle, max(0.0, stolen))


def cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return psutil.cpu_count() or 1
