"""Percentiles of latency, wherever a result states them."""

from __future__ import annotations

from capplan.results.base import Frozen


class LatencySummary(Frozen):
    """Percentiles of latency in seconds, from the intended start unless said otherwise.

    A percentile that falls among requests without an answer is null: it has no upper bound.
    """

    p50: float | None
    p75: float | None
    p90: float | None
    p95: float | None
    p99: float | None
    p999: float | None
    mean: float | None
    max: float | None
