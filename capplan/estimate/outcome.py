"""How an outcome fell in the distribution that was forecast for it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from capplan.plan.edit import Edited
from capplan.plan.schema import PastSale
from capplan.results.base import Note, Provenance
from capplan.results.demand import Demand
from capplan.results.outcome import Outcome
from capplan.units import format_rate, format_share

_LOWEST, _HIGHEST = 0.05, 0.95


def outcome(
    demand: Demand,
    sale: PastSale,
    history: Sequence[PastSale],
    edited: Edited,
    provenance: Provenance,
) -> Outcome:
    """Place the peak of ``sale`` in the forecast ``demand``; ``history`` are the sales before it.

    The quantiles of the forecast stand at the probabilities (i + 0.5)/n; between two of them the
    distribution is taken as even.
    """
    values = np.sort(np.asarray(demand.peak_quantiles_rps))
    levels = (np.arange(len(values)) + 0.5) / len(values)
    below = float(np.interp(sale.actual, values, levels, left=0.0, right=1.0))
    ratios = [past.actual / past.forecast for past in (*history, sale)]
    return Outcome(
        **dict(provenance),
        name=sale.name,
        actual_rps=sale.actual,
        forecast_rps=demand.peak_rps,
        forecast_made_at=demand.made_at,
        ratio=sale.actual / demand.peak_rps.p50,
        below=below,
        resolution=0.5 / min(len(values), demand.draws),
        within_90=_LOWEST <= below <= _HIGHEST,
        line=edited.line,
        written=edited.written,
        sales=len(ratios),
        typical_ratio=float(np.exp(np.mean(np.log(ratios)))),
        notes=tuple(_notes(demand, sale, below, provenance)),
    )


def _notes(demand: Demand, sale: PastSale, below: float, provenance: Provenance) -> Iterator[Note]:
    if demand.sale_start > provenance.made_at:
        yield Note(
            code="before_the_sale",
            message=f"the sale of this plan is still to come, on {demand.sale_start:%Y-%m-%d}",
            advice="if this was not its outcome, remove the line from history",
        )
    if not _LOWEST <= below <= _HIGHEST:
        side = "above" if below > _HIGHEST else "below"
        yield Note(
            code="outside",
            message=f"{format_rate(sale.actual)} is {side} the range of the forecast, which should "
            f"happen once in {1 / (1 - _HIGHEST):.0f} sales on each side",
            advice="look which input was wrong, and widen its range",
        )
    if demand.made_at > demand.sale_start:
        yield Note(
            code="forecast_after_the_sale",
            message="the forecast was made after the sale, so it may know too much "
            f"({format_share(below)} of it lies below)",
        )
