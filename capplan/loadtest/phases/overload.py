"""What an overload did, second by second, and whether the target came back from it.

Goodput is counted by the second in which a request was meant to start, so it is compared with the
requests offered in that same second. Each client's retries belong to its one request.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from capplan.loadtest.protocol import FAILED, SHED, SUCCESS, TIMED_OUT
from capplan.loadtest.recording import Attempts, Rows
from capplan.results.base import Note
from capplan.results.phases import OverloadPart, OverloadSeries, Recovery
from capplan.units import format_share

RECOVERED, METASTABLE = 0.95, 0.90  # of the offered requests
Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Definitions:
    """How long goodput has to be back to count, and when it is too late for that.

    *Recovered*: goodput ≥ 95 % of offered for ``recovered_s``. *Metastable*: ``metastable_s`` after
    the overload still < 90 %, although the first attempts alone are fewer than what is sustained.
    """

    recovered_s: float
    metastable_s: float

    @classmethod
    def usual(cls, client_timeout_s: float) -> Definitions:
        """Give a queue the time in which clients lose patience ten times."""
        return cls(30.0, max(60.0, 10 * client_timeout_s))


def per_second(
    rows: Rows, attempts: Attempts, good_s: float, before_s: float, until_s: float
) -> OverloadSeries:
    """Count whole seconds of a trial up to ``until_s``; the overload begins at ``before_s``."""
    first, last = -int(before_s), int(np.floor(until_s - before_s))
    seconds = np.arange(first, max(last, first))

    def count(at_s: NDArray[np.float64], which: Bools) -> tuple[int, ...]:
        second = np.floor(at_s[which] - before_s).astype(int) - first
        within = second[(second >= 0) & (second < len(seconds))]
        return tuple(np.bincount(within, minlength=len(seconds)).tolist()) if len(seconds) else ()

    succeeded = rows.ending == SUCCESS
    intended, started = rows.intended_s, attempts.start_s
    return OverloadSeries(
        t_s=tuple(seconds.astype(float).tolist()),
        offered=count(intended, np.ones(len(rows), bool)),
        goodput=count(intended, succeeded & (rows.sojourn_s <= good_s)),
        lost=count(intended, ~succeeded),
        attempts=count(started, np.ones(len(started), bool)),
        shed=count(started, attempts.ending == SHED),
        timed_out=count(started, attempts.ending == TIMED_OUT),
        failed=count(started, attempts.ending == FAILED),
    )


def judge(
    series: OverloadSeries, overload_s: float, definitions: Definitions
) -> tuple[Recovery, float | None]:
    """Say whether the target came back, and how many seconds after the overload had ended.

    It came back at the first second that is good itself and begins a window that is good as a
    whole. A series that ends too early for a verdict gives ``unknown``.
    """
    offered, goodput = np.array(series.offered), np.array(series.goodput)
    after = np.array(series.t_s) >= overload_s
    offered, goodput, t_s = offered[after], goodput[after], np.array(series.t_s)[after]
    window = max(1, round(definitions.recovered_s))
    for i in range(len(offered) - window + 1):
        here, whole = slice(i, i + 1), slice(i, i + window)
        if all(_share(goodput[s], offered[s]) >= RECOVERED for s in (here, whole)):
            return "recovered", float(t_s[i] - overload_s)
    late = t_s >= overload_s + definitions.metastable_s
    if late.sum() < window:
        return "unknown", None
    return (
        "metastable" if _share(goodput[late], offered[late]) < METASTABLE else "not_recovered"
    ), None


def parts(series: OverloadSeries, overload_s: float) -> tuple[OverloadPart, ...]:
    """Sum the series up: before, during and after the overload."""
    t_s = np.array(series.t_s)
    spans: Sequence[tuple[Literal["before", "during", "after"], Bools]] = (
        ("before", t_s < 0),
        ("during", (t_s >= 0) & (t_s < overload_s)),
        ("after", t_s >= overload_s),
    )
    return tuple(_part(name, series, span) for name, span in spans if span.any())


def doubts(parts: Sequence[OverloadPart], back_factor: float) -> tuple[Note, ...]:
    """Note when the load was too much before the overload already: then nothing can come back."""
    before = next((part for part in parts if part.name == "before"), None)
    if before is None or before.goodput_rps >= RECOVERED * before.offered_rps:
        return ()
    share = before.goodput_rps / before.offered_rps
    return (
        Note(
            code="unsteady_before",
            message=f"before the overload, at {back_factor:g}x, only {format_share(share)} of the "
            f"requests were good",
            advice="go back further, such as '1.5x for 20s then 0.6x'",
        ),
    )


def _part(
    name: Literal["before", "during", "after"], series: OverloadSeries, span: Bools
) -> OverloadPart:
    def total(counts: Sequence[int]) -> float:
        return float(np.array(counts)[span].sum())

    seconds, attempts = float(span.sum()), max(total(series.attempts), 1.0)
    return OverloadPart(
        name=name,
        duration_s=seconds,
        offered_rps=total(series.offered) / seconds,
        goodput_rps=total(series.goodput) / seconds,
        lost_rps=total(series.lost) / seconds,
        attempts_rps=total(series.attempts) / seconds,
        shed_share=total(series.shed) / attempts,
        timed_out_share=total(series.timed_out) / attempts,
        failed_share=total(series.failed) / attempts,
    )


def _share(goodput: NDArray[np.int64], offered: NDArray[np.int64]) -> float:
    total = int(offered.sum())
    return float(goodput.sum()) / total if total else 0.0
