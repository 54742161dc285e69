"""What to mind about an estimate: which input matters, what would be worse, what disagrees."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from capplan.model.tabulated import Table
from capplan.plan.schema import Plan
from capplan.results.base import Note
from capplan.results.demand import Agreement, History, Percentiles, Sensitivity, StressCase
from capplan.units import format_count, format_number, format_rate, format_share

Floats = NDArray[np.float64]

PUBLISHED_MISS = 9.3
"""Ticketmaster 2022: 1.5 million expected, 14 million came. healthcare.gov 2013 missed by 4.5x,
Pokémon GO 2016 by 10x its worst case: of three published failures this is the middle one."""

_WAYS = 2
_WORTH_FINDING_OUT = 0.15
_WIDE = 2.0
_A_CURVE = 4  # rows; fewer may well rise


def stress(peak: Percentiles) -> tuple[StressCase, ...]:
    """Return the cases that stand beside the interval; a very wide one may yet contain them."""
    peak_rps = peak.p50 * PUBLISHED_MISS
    return (
        StressCase(
            name="as wrong as a published failure",
            peak_rps=peak_rps,
            in_range=peak_rps <= peak.p95,
            why=f"{PUBLISHED_MISS:g}x the median; only failures get published",
        ),
    )


def disagreement(
    funnel_visits: Floats, ratio: Floats | None, ways: tuple[Agreement, ...]
) -> Iterator[Note]:
    """Say when the two estimates differ by more than their ranges explain, and what would mend it.

    That is when the 90 % interval of log(multiple/funnel), over the draws, does not contain 0.
    """
    if ratio is None:
        return
    low, high = np.quantile(ratio, [0.05, 0.95])
    if low <= 1 <= high:
        return
    funnel, multiple = np.median(funnel_visits), np.median(funnel_visits * ratio)
    said = (
        f"the two estimates disagree by more than their ranges explain: "
        f"{format_count(float(funnel))} visits from the audience, "
        f"{format_count(float(multiple))} from usual orders"
    )
    if ways:
        said += f"; they would agree with {' or '.join(map(_way, ways[:_WAYS]))}"
    yield Note(
        code="estimates_disagree",
        message=said,
        advice=f"check {ways[0].input} first" if ways else "check the largest channel",
    )


def _way(way: Agreement) -> str:
    show = format_share if way.kind == "share" else format_count
    said = show(way.low) if way.low == way.high else f"{show(way.low)} to {show(way.high)}"
    return f"{way.input} at {show(way.value)} (the plan says {said})"


def doubt(peak: Percentiles, found: tuple[Sensitivity, ...]) -> Iterator[Note]:
    """Name the input that is most worth knowing better, when the range is wide.

    What an input explains alone, S, is gone from the variance once it is known: the log width
    shrinks by √(1-S).
    """
    known = [entry for entry in found if entry.advice]
    if peak.p95 < _WIDE * peak.p5 or not known:
        return
    first = max(known, key=lambda entry: entry.share)
    if first.share < _WORTH_FINDING_OUT:
        return
    wide = peak.p95 / peak.p5
    yield Note(
        code="find_out_first",
        message=f"the peak may be {format_number(peak.p5)} or {format_rate(peak.p95)}: "
        f"{format_share(first.share)} of this doubt comes from {first.input}",
        advice=f"{first.advice} first: the range then spans "
        f"{format_number(wide ** np.sqrt(1 - first.share))}x instead of {format_number(wide)}x",
    )


def history(found: History | None) -> Iterator[Note]:
    """Say what earlier sales changed."""
    if found is None:
        return
    change = "widen" if found.factor > found.factor_before else "narrow"
    said = (
        f"what came at earlier sales ({len(found.outcomes)}) moves the estimate by "
        f"{found.error.p50:.2f}x and {change}s its range from {found.factor_before:.1f}x to "
        f"{found.factor:.1f}x either way"
    )
    if found.prior_factor > found.factor_before:
        said += (
            f"; so few sales do not yet show forecasts that are better than "
            f"{found.prior_factor:.0f}x either way"
        )
    yield Note(code="history", message=said)


def shape(plan: Plan) -> Iterator[Note]:
    """Say which shape stands in for the missing channels."""
    if plan.audience:
        return
    yield Note(
        code="no_audience",
        message="without an audience the visits come as at Alibaba in 2019: a third of them in a "
        "rush at the start, the others evenly over usual.within",
        advice="add the channels, so that the peak becomes that of your sale",
    )


def curves(tables: Mapping[str, Table]) -> Iterator[Note]:
    """Ask about a curve that never falls: a running total looks like that, a rush does not."""
    for name, table in tables.items():
        weights = table.weights
        rises = weights[0] < weights[-1] and list(weights) == sorted(weights)
        if rises and len(weights) >= _A_CURVE:
            yield Note(
                code="curve_never_falls",
                message=f"by {name} ever more people come, until nobody does",
                advice="if its second column counts all who have come so far, give the rate "
                "from each row to the next instead",
            )


def hot(plan: Plan, orders_per_s: Percentiles | None) -> Iterator[Note]:
    """Warn of the one product that most want, where nothing says how many orders its row takes."""
    share = plan.visit.hot_share
    if share is None:
        return
    if orders_per_s is None:
        yield Note(
            code="hot_share_unused",
            message="visit.hot_share says nothing yet: how many visits make an order is not known",
            advice="give usual.conversion",
        )
    elif not any(ceiling.per == "hot order" for ceiling in plan.servers.ceilings):
        yield Note(
            code="hot_row",
            message=f"at the peak {format_number(orders_per_s.p50)} to "
            f"{format_number(orders_per_s.p95)} orders/s want the same product: one row of the "
            "database, which no number of servers makes faster",
            advice="find out how many it takes and add it to servers.ceilings with per: hot order",
        )


def beyond(cases: tuple[StressCase, ...]) -> Iterator[Note]:
    """Advise on what the range does not cover."""
    for case in cases:
        if case.in_range:
            continue
        yield Note(
            code="stress",
            message=f"a forecast {case.name} would mean a peak of {format_rate(case.peak_rps)}, "
            f"which the range does not contain",
            advice="do not buy servers for it, but decide now how to shed or queue visitors then",
        )
