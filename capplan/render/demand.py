"""How much traffic will come, for the terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from capplan.render.chart import Band
from capplan.render.parts import Bar, Chart, answer, bullets, next_step, notes, span, table, titled
from capplan.results.demand import Demand, Estimate, Percentiles
from capplan.units import format_count, format_duration, format_number, format_rate, format_share

_METHODS = {
    "funnel": "from the audience, bottom up",
    "multiple": "from usual orders, top down",
}
_MOST_ADVICE = 3
_MOST_INPUTS = 5  # the first ones say where to look; all are in the JSON


def demand(result: Demand, plan: str) -> RenderableType:
    """Show how much traffic will come."""
    return answer(
        headline(result),
        _percentiles(result),
        _estimates(result),
        _history(result),
        _chart(result),
        _sensitivity(result),
        _levers(result),
        _stress(result),
        notes(result.notes),
        next_step("capplan loadtest", plan),
    )


def headline(result: Demand) -> str:
    """Return the answer in one sentence."""
    peak = result.peak_rps
    return (
        f"Expect a peak of {format_rate(peak.p50)} ({span(peak.p5, peak.p95)} with 90% "
        f"confidence), {_when(result.peak_at_s)}."
    )


def amounts(result: Demand) -> Iterator[tuple[str, Percentiles, Callable[[float], str]]]:
    """Give how much comes: a name, the distribution, and how its numbers are shown."""
    rows: tuple[tuple[str, Percentiles | None, Callable[[float], str]], ...] = (
        ("peak, requests/s", result.peak_rps, format_number),
        ("peak, orders/min", result.peak_orders_per_min, format_number),
        ("peak, orders/s of one product", result.peak_hot_orders_per_s, format_number),
        ("peak, visitors at once", result.peak_visitors, format_count),
        ("visits in all", result.visits_total, format_count),
        ("requests in all", result.requests_total, format_count),
        ("requests per visit", result.requests_per_visit, format_number),
    )
    for name, p, show in rows:
        if p is not None:
            yield name, p, show


def _percentiles(result: Demand) -> Group:
    shown = table(
        ("", "p5", "p50", "p90", "p95", "p99", "mean"),
        [
            (name, *map(show, (p.p5, p.p50, p.p90, p.p95, p.p99, p.mean)))
            for name, p, show in amounts(result)
        ],
    )
    if result.peak_visitors_at_s is None:
        return Group(shown)
    when = f"Most visitors are there {_when(result.peak_visitors_at_s)}."
    return Group(shown, Text(when))


def _estimates(result: Demand) -> Group | None:
    if len(result.estimates) < 2:
        return None

    def cells(p: Percentiles) -> Iterable[str]:
        return map(format_number, (p.p5, p.p50, p.p95))

    return titled(
        "Independent estimates of the peak, requests/s",
        table(
            ("", "p5", "p50", "p95", "visits, p50"),
            [
                (
                    named(estimate, result.estimates),
                    *cells(estimate.peak_rps),
                    format_count(estimate.visits_total.p50),
                )
                for estimate in result.estimates
            ],
        ),
    )


def named(estimate: Estimate, estimates: Sequence[Estimate]) -> str:
    """Say where an estimate comes from; of a mixture, how much each part counts."""
    if estimate.method != "combined":
        return _METHODS[estimate.method]
    second = next(e.weight for e in estimates if e.method == "multiple")
    if second == 0.5:
        return "both, with equal weight"
    return f"both, {format_share(1 - second)} and {format_share(second)}"


def history(result: Demand) -> list[tuple[str, ...]]:
    """Return the rows of what came of earlier forecasts: a name, then p5, p50 and p95 of a ratio.

    An outcome is one number; the last row is the distribution that all of them give.
    """
    found = result.history
    if found is None:
        return []
    error = found.error
    return [
        *((past.name, "", _times(past.ratio), "") for past in found.outcomes),
        ("the next, by these", *map(_times, (error.p5, error.p50, error.p95))),
    ]


def history_rule(result: Demand) -> str:
    """Say what the distribution of errors rests on besides the outcomes."""
    found = result.history
    if found is None:
        return ""
    return (
        f"The prior counts as {found.prior_sales} sales that came within "
        f"{format_number(found.prior_factor)}x either way. All of the estimate is corrected so."
    )


def _times(ratio: float) -> str:
    return f"{format_number(ratio)}x"


def _history(result: Demand) -> Group | None:
    if result.history is None:
        return None
    return titled(
        "Earlier sales: what came, times its forecast",
        Group(
            table(("", "p5", "p50", "p95"), history(result)),
            Text(history_rule(result)),
        ),
    )


def _chart(result: Demand) -> Group:
    profile = result.profile
    band = Band(profile.t_s, profile.rps_p5, profile.rps_p50, profile.rps_p95)
    return titled(
        f"Requests/s on {result.sale_start:%a %d %b %Y, %Z}: the median, and 90% of the cases "
        "around it",
        Chart(band, result.sale_start),
    )


def _sensitivity(result: Demand) -> Group | None:
    if not result.sensitivity:
        return None
    found = result.sensitivity[:_MOST_INPUTS]
    whole = [entry.share if entry.total is None else entry.total for entry in found]
    largest = max(whole) or 1.0
    rows = [
        (entry.input, format_share(entry.share), format_share(total), Bar(total / largest))
        for entry, total in zip(found, whole, strict=True)
    ]
    # what is known is gone from the doubt alone, not with others
    by_share = sorted(result.sensitivity, key=lambda entry: -entry.share)
    first, *others = [entry.advice for entry in by_share if entry.advice] or [""]
    to_do = [*([f"{first} first"] if first else []), *others]
    return titled(
        "What makes the peak uncertain: share of its variance, alone and with others",
        Group(table(("", "alone", "with others", "<"), rows), bullets(to_do[:_MOST_ADVICE])),
    )


def _levers(result: Demand) -> Group | None:
    if len(result.levers) < 2:
        return None
    counted = any(lever.servers is not None for lever in result.levers)
    return titled(
        "Levers: the peak that each would leave, requests/s"
        + (", and the servers for it" if counted else ""),
        table(
            ("", "p50", "p95", *["servers"] * counted, "<how"),
            [
                (
                    lever.name,
                    format_number(lever.peak_rps.p50),
                    format_number(lever.peak_rps.p95),
                    *[_count(lever.servers)] * counted,
                    lever.how,
                )
                for lever in result.levers
            ],
        ),
    )


def _count(servers: int | None) -> str:
    return "-" if servers is None else f"{servers:,}"


def _stress(result: Demand) -> Group | None:
    if not result.stress:
        return None
    return titled(
        "What if: cases that stand beside the range",
        table(
            ("", "peak", "<"),
            [(case.name, format_rate(case.peak_rps), case.explained) for case in result.stress],
        ),
    )


def _when(moment_s: float) -> str:
    if abs(moment_s) < 1:
        return "at the start"
    side = "after" if moment_s > 0 else "before"
    return f"{format_duration(abs(moment_s))} {side} the start"
