"""From readings of counters to what was used over a span of time. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Literal

import numpy as np

from capplan.results.resources import ResourceUse, TargetProcess

TICK_S = 0.01  # CPU time is counted in hundredths of a second
_SHORTEST_S = 0.1  # over less than this the ticks are all there is to see
_UNKNOWN_SPREAD = 0.05  # standard error of the CPU, as a share of it, where readings are too few


@dataclass(frozen=True, slots=True)
class Ceilings:
    """What the target may have: cores, bytes of memory, bytes/s of its network; None: unknown."""

    cores: float
    memory_bytes: float
    network_bytes_per_s: float | None = None


@dataclass(frozen=True, slots=True)
class Seen:
    """By what means the target is seen, which processes it is, and what these may have."""

    by: tuple[Literal["processes", "prometheus"], ...] = ()
    processes: tuple[TargetProcess, ...] = ()
    ceilings: Ceilings | None = None


@dataclass(frozen=True, slots=True)
class Reading:
    """Counters of the target at the time ``at_s``.

    ``cpu_s`` is the CPU time of all processes so far, ``process_cpu_s`` and ``thread_cpu_s`` those
    of single ones, ``thread_wait_s`` how long each thread has waited for a core.
    ``open_files_share`` is the largest share of its own limit that a process has open. Bytes are
    those of the network interface so far. None is what may not be seen.
    """

    at_s: float
    cpu_s: float
    memory_bytes: float
    open_files: float | None = None
    open_files_share: float | None = None
    received_bytes: float | None = None
    sent_bytes: float | None = None
    process_cpu_s: Mapping[int, float] = field(default_factory=dict)
    thread_cpu_s: Mapping[int, float] = field(default_factory=dict)
    thread_wait_s: Mapping[int, float] = field(default_factory=dict)


def used(
    readings: Sequence[Reading], from_s: float, until_s: float, ceilings: Ceilings
) -> ResourceUse | None:
    """Return what was used between two times; None where too little of it was seen.

    Counters are interpolated at both ends, so that the span is the one asked for. The standard
    error of the CPU is that of the mean of the pieces between readings, and never less than what
    the ticks of the clock leave open.
    """
    if len(readings) < 2:
        return None
    from_s, until_s = max(from_s, readings[0].at_s), min(until_s, readings[-1].at_s)
    span_s = until_s - from_s
    if span_s < _SHORTEST_S:
        return None
    at_s = np.array([r.at_s for r in readings])
    inside = [r for r in readings if from_s <= r.at_s <= until_s] or [readings[-1]]

    def per_s(values: Sequence[float | None]) -> float | None:
        known = [value for value in values if value is not None]
        if len(known) < len(values):
            return None
        ends = np.interp([from_s, until_s], at_s, np.maximum.accumulate(np.array(known)))
        return float(ends[1] - ends[0]) / span_s

    cores_used = per_s([r.cpu_s for r in readings]) or 0.0
    received, sent = (
        per_s([getattr(r, name) for r in readings]) for name in ("received_bytes", "sent_bytes")
    )
    speed = ceilings.network_bytes_per_s
    processes = _per_s([r.process_cpu_s for r in inside], inside)
    threads = _per_s([r.thread_cpu_s for r in inside], inside)
    waits = _per_s([r.thread_wait_s for r in inside], inside)
    busiest = max(threads, key=lambda thread: threads[thread], default=None)
    memory_bytes = float(np.mean([r.memory_bytes for r in inside]))
    files = [r.open_files for r in inside if r.open_files is not None]
    files_share = [r.open_files_share for r in inside if r.open_files_share is not None]
    return ResourceUse(
        cpu=cores_used / ceilings.cores,
        cpu_stderr=_stderr(inside, cores_used, span_s) / ceilings.cores,
        cores_used=cores_used,
        busiest_process_cores=max(processes.values(), default=None),
        busiest_thread_cores=None if busiest is None else threads[busiest],
        busiest_thread_wait=None if busiest is None else waits.get(busiest),
        waiting_threads=sum(waits.values()) if waits else None,
        memory_bytes=memory_bytes,
        memory=memory_bytes / ceilings.memory_bytes,
        open_files=float(np.mean(files)) if files else None,
        open_files_share=max(files_share, default=None),
        received_bytes_per_s=received,
        sent_bytes_per_s=sent,
        network=None if not speed or received is None else max(received, sent or 0.0) / speed,
        samples=len(inside),
    )


def _stderr(inside: Sequence[Reading], cores_used: float, span_s: float) -> float:
    ticks = TICK_S / span_s
    pieces = [
        ((b.cpu_s - a.cpu_s) / (b.at_s - a.at_s), b.at_s - a.at_s)
        for a, b in pairwise(inside)
        if b.at_s > a.at_s
    ]
    if len(pieces) < 4:
        return max(ticks, _UNKNOWN_SPREAD * cores_used)
    rates, lengths = (np.array(column) for column in zip(*pieces, strict=True))
    share = lengths / lengths.sum()
    squares = float(share**2 @ (rates - share @ rates) ** 2)
    return max(ticks, math.sqrt(squares * len(pieces) / (len(pieces) - 1)))


def _per_s(counters: Sequence[Mapping[int, float]], inside: Sequence[Reading]) -> dict[int, float]:
    """Return the growth per second of each counter, of those that were there all the time."""
    seen = [(r.at_s, c) for r, c in zip(inside, counters, strict=True) if c]
    if len(seen) < 2 or seen[-1][0] - seen[0][0] < _SHORTEST_S:
        return {}
    (began_s, first), (ended_s, last) = seen[0], seen[-1]
    return {key: (last[key] - first[key]) / (ended_s - began_s) for key in last if key in first}
