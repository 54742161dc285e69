"""What to mind about an estimate: which input matters, what would be worse, what disagrees."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from capplan.estimate.history import forecast_error
from capplan.estimate.inputs import Inputs
from capplan.plan.schema import Plan
from capplan.results.base import Note
from capplan.results.demand import Estimate, Percentiles, Sensitivity, StressCase
from capplan.units import format_count, format_share

Floats = NDArray[np.float64]

PUBLISHED_MISS = 9.3
"""Ticketmaster 2022: 1.5 million expected, 14 million came. healthcare.gov 2013 missed by 4.5x,
Pokémon GO 2016 by 10x its worst case: of three published failures this is the middle one."""

_RANKED_DRAWS = 20_000
_MATTERS = 0.005


def sensitivity(inputs: Inputs, peak: Floats) -> tuple[Sensitivity, ...]:
    """Return which share of the peak's variance each input explains, the largest first.

    The squared rank correlation of input and peak, scaled to the sum of one: right for inputs that
    act one-way and nearly independently. Correlated channels share what they have in common.
    """
    count = min(_RANKED_DRAWS, len(peak))
    ranks = rankdata(peak[:count])
    if np.ptp(ranks) == 0:
        return ()
    found = {
        name: float(np.corrcoef(rankdata(values[:count]), ranks)[0, 1] ** 2)
        for name, values in inputs.uncertain.items()
    }
    total = sum(found.values())
    ordered = sorted(found.items(), key=lambda entry: (-entry[1], entry[0]))
    return tuple(
        Sensitivity(input=name, share=share / total)
        for name, share in ordered
        if share / total >= _MATTERS
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


def notes(
    plan: Plan, estimates: tuple[Estimate, ...], found: tuple[Sensitivity, ...]
) -> tuple[Note, ...]:
    """Return what a reader of the estimate should know."""
    written = []
    if len(estimates) == 3 and _disagree(estimates[0].visits_total, estimates[1].visits_total):
        funnel, multiple = (format_count(e.visits_total.p50) for e in estimates[:2])
        written.append(
            Note(
                code="estimates_disagree",
                message=f"the two estimates disagree by more than their ranges explain: {funnel} "
                f"visits from the audience, {multiple} from usual orders",
                advice="check reach and visits of the largest channel, and usual.multiple",
            )
        )
    if found and found[0].share >= 0.3:
        written.append(
            Note(
                code="find_out_first",
                message=f"{found[0].input} explains {format_share(found[0].share)} of the doubt "
                f"about the peak",
                advice="find that out first",
            )
        )
    if error := forecast_error(plan.history):
        written.append(
            Note(
                code="history",
                message=f"earlier forecasts move the estimate by {np.exp(error.mean):.2f}x and "
                f"widen it",
            )
        )
    if not plan.audience:
        written.append(
            Note(
                code="no_audience",
                message="without an audience the visits are spread evenly over usual.within",
                advice="add the channels: a real sale has its peak at the start",
            )
        )
    return tuple(written)


def _disagree(a: Percentiles, b: Percentiles) -> bool:
    """Compare the distance of two medians with the doubt about it, both in logarithms."""
    distance = abs(np.log(a.p50 / b.p50))
    doubt = np.hypot(np.log(a.p95 / a.p5), np.log(b.p95 / b.p5)) / 2
    return bool(distance > doubt)
