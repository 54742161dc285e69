"""What the load test found beyond the steady state: the opening, an overload, a soak."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from capplan.results.base import Frozen, Note
from capplan.results.latency import LatencySummary

Recovery = Literal["recovered", "metastable", "not_recovered", "unknown"]


class OpeningWindow(Frozen):
    """A span of time after the first arrival; ``end_s`` is null for the steady state.

    Counts are over all repetitions. ``connects`` were tried, ``connects_failed`` of them in vain;
    ``connect_s_p95`` is how long the others took.
    """

    start_s: float
    end_s: float | None
    requests: int
    failures: int
    timeouts: int
    latency_s: LatencySummary
    connects: int
    connects_failed: int
    connect_s_p50: float | None
    connect_s_p95: float | None


class OpeningCheck(Frozen):
    """One limit of the SLA over the first seconds: the share of requests that missed it.

    ``stderr`` is the standard error of ``share``, from one repetition to the next.
    """

    name: str
    allowed: float
    share: float
    stderr: float
    outcome: Literal["held", "missed", "unclear"]


class Opening(Frozen):
    """The first seconds of a sale at the sustained rate, when everyone still has to connect.

    ``judged_s`` is how much of the opening the SLA was judged over.
    """

    rate_rps: float
    made_at: datetime
    repetitions: int
    judged_s: float
    windows: tuple[OpeningWindow, ...]
    steady: OpeningWindow
    checks: tuple[OpeningCheck, ...]
    outcome: Literal["held", "missed", "unclear"]
    notes: tuple[Note, ...] = ()


class OverloadSeries(Frozen):
    """What happened second by second; ``t_s`` counts from the start of the overload.

    ``offered``, ``goodput`` and ``lost`` count requests by the second in which they were meant to
    start; a lost request had no success at all. ``attempts`` and their endings count attempts by
    the second in which they began.
    """

    t_s: tuple[float, ...]
    offered: tuple[int, ...]
    goodput: tuple[int, ...]
    lost: tuple[int, ...]
    attempts: tuple[int, ...]
    shed: tuple[int, ...]
    timed_out: tuple[int, ...]
    failed: tuple[int, ...]


class OverloadPart(Frozen):
    """One part of an overload, in events/s; ``shed_share`` to ``failed_share`` are of attempts."""

    name: Literal["before", "during", "after"]
    duration_s: float
    offered_rps: float
    goodput_rps: float
    lost_rps: float
    attempts_rps: float
    shed_share: float
    timed_out_share: float
    failed_share: float


class Overload(Frozen):
    """More load than the target sustains, then less again, from clients that retry.

    Rates are requests/s: ``rate_rps`` is the sustained one, of which ``factor`` was asked for
    ``duration_s`` and ``back_factor`` before and after. ``good_s`` is how soon a success has to
    come to be goodput. The target *recovered* when goodput was at least 95 % of the offered
    requests for ``recovered_window_s``; it is *metastable* when ``metastable_after_s`` after the
    overload goodput is still below 90 %. ``recovered_after_s`` counts from the end of the overload.
    """

    rate_rps: float
    made_at: datetime
    factor: float
    duration_s: float
    back_factor: float
    attempts: int
    client_timeout_s: float
    backoff_s: float
    good_s: float
    recovered_window_s: float
    metastable_after_s: float
    parts: tuple[OverloadPart, ...]
    series: OverloadSeries
    outcome: Recovery
    recovered_after_s: float | None
    notes: tuple[Note, ...] = ()


class Drift(Frozen):
    """How a quantity changed per hour: a slope with its interval, in the quantity's unit per hour.

    ``mean`` is its level, ``batches`` how many batch means the line was laid through.
    """

    quantity: Literal["latency_s", "memory_bytes"]
    mean: float
    slope_per_h: float
    low_per_h: float
    high_per_h: float
    confidence: float
    batches: int

    @property
    def seen(self) -> bool:
        """Whether the interval leaves out zero."""
        return self.low_per_h > 0 or self.high_per_h < 0


class Soak(Frozen):
    """A long time just below the sustained rate. ``held``: the SLA held over all of it."""

    rate_rps: float
    made_at: datetime
    duration_s: float
    requests: int
    failures: int
    timeouts: int
    latency_s: LatencySummary
    held: bool
    drifts: tuple[Drift, ...]
    notes: tuple[Note, ...] = ()


class Phases(Frozen):
    """What was asked for beyond the steady state; null for what was not."""

    opening: Opening | None = None
    overload: Overload | None = None
    soak: Soak | None = None
    notes: tuple[Note, ...] = ()
