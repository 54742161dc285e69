"""What to mind about an estimate: which input matters, what would be worse, what disagrees."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from capplan.estimate.history import Learned
from capplan.estimate.inputs import WHICH
from capplan.plan.schema import Plan
from capplan.results.base import Note
from capplan.results.demand import Percentiles, Sensitivity, StressCase
from capplan.units import format_count, format_number, format_rate, format_share

Floats = NDArray[np.float64]

PUBLISHED_MISS = 9.3
"""Ticketmaster 2022: 1.5 million expected, 14 million came. healthcare.gov 2013 missed by 4.5x,
Pokémon GO 2016 by 10x its worst case: of three published failures this is the middle one."""

_RANKED_DRAWS = 20_000
_LEAST_SHARE = 0.005
_WORTH_FINDING_OUT = 0.25
_WIDE = 2.0


def sensitivity(uncertain: Mapping[str, Floats], peak: Floats) -> tuple[Sensitivity, ...]:
    """Return which share of the peak's variance each input explains, the largest first.

    The squared rank correlation of input and peak, scaled to the sum of one: right for inputs that
    act one-way and nearly independently. Correlated channels share what they have in common.
    """
    count = min(_RANKED_DRAWS, len(peak))
    ranks = rankdata(peak[:count])
    ranked = {name: rankdata(values[:count]) for name, values in uncertain.items()}
    if np.ptp(ranks) == 0:
        return ()
    found = {
        name: float(np.corrcoef(values, ranks)[0, 1] ** 2)
        for name, values in ranked.items()
        if np.ptp(values) > 0
    }
    total = sum(found.values())
    ordered = sorted(found.items(), key=lambda entry: (-entry[1], entry[0]))
    return tuple(
        Sensitivity(input=name, share=share / total)
        for name, share in ordered
        if share >= _LEAST_SHARE * total
    )


def stress(peak_rps_p50: float) -> tuple[StressCase, ...]:
    """Return the cases that stand beside the interval."""
    return (
        StressCase(
            name="as wrong as a published failure",
            peak_rps=peak_rps_p50 * PUBLISHED_MISS,
            why=f"{PUBLISHED_MISS:g}x the median; only failures get published",
        ),
    )


def disagreement(funnel_visits: Floats, ratio: Floats | None) -> Iterator[Note]:
    """Say when the two estimates differ by more than their ranges explain.

    That is when the 90 % interval of log(multiple/funnel), over the draws, does not contain 0.
    """
    if ratio is None:
        return
    low, high = np.quantile(ratio, [0.05, 0.95])
    if low <= 1 <= high:
        return
    funnel, multiple = np.median(funnel_visits), np.median(funnel_visits * ratio)
    yield Note(
        code="estimates_disagree",
        message=f"the two estimates disagree by more than their ranges explain: "
        f"{format_count(float(funnel))} visits from the audience, "
        f"{format_count(float(multiple))} from usual orders",
        advice="check reach and visits of the largest channel, and usual.multiple",
    )


def doubt(peak: Percentiles, found: tuple[Sensitivity, ...]) -> Iterator[Note]:
    """Name the input that is most worth knowing better, when the range is wide."""
    inputs = [entry for entry in found if entry.input != WHICH]
    if peak.p95 < _WIDE * peak.p5 or not inputs or inputs[0].share < _WORTH_FINDING_OUT:
        return
    yield Note(
        code="find_out_first",
        message=f"the peak may be {format_number(peak.p5)} or {format_rate(peak.p95)}: "
        f"{format_share(inputs[0].share)} of this doubt comes from {inputs[0].input}",
        advice="find that out first",
    )


def history(learned: Learned | None) -> Iterator[Note]:
    """Say what earlier sales changed."""
    if learned is None:
        return
    change = "widen" if learned.sd > learned.range_sd else "narrow"
    before, after = (np.exp(1.645 * sd) for sd in (learned.range_sd, learned.sd))
    yield Note(
        code="history",
        message=f"what came at earlier sales ({learned.sales}) moves the estimate by "
        f"{np.exp(learned.shift):.2f}x and {change}s its range from {before:.1f}x to {after:.1f}x "
        f"either way",
    )


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
    """Advise on what no range covers."""
    for case in cases:
        yield Note(
            code="stress",
            message=f"a forecast {case.name} would mean a peak of {format_rate(case.peak_rps)}, "
            f"which the range does not contain",
            advice="do not buy servers for it, but decide now how to shed or queue visitors then",
        )
