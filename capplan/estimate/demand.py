"""The estimate: draw the inputs, follow each draw through time, ask history, summarise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from capplan.estimate import profile as bands
from capplan.estimate import remarks
from capplan.estimate.follow import Outcome, follow, most_orders_per_min, window_of
from capplan.estimate.history import Learned, correct, learn, shown
from capplan.estimate.inputs import Inputs, draw
from capplan.estimate.levers import levers
from capplan.estimate.reconcile import agreements
from capplan.estimate.sensitivity import sensitivity
from capplan.model.streams import stream
from capplan.model.tabulated import Table
from capplan.plan.schema import Plan
from capplan.results.base import Provenance
from capplan.results.demand import Demand, Estimate, Percentiles, Profile

Floats = NDArray[np.float64]

_QUANTILES = 4_000
_ORDER_DRAWS = 20_000


@dataclass(frozen=True)
class Forecast:
    """All draws of a plan, followed to their peaks; ``learned`` is what history says of them."""

    plan: Plan
    tables: Mapping[str, Table]
    inputs: Inputs
    outcome: Outcome
    learned: Learned | None
    noise: Floats = field(repr=False)

    def corrected(self, values: Floats) -> Floats:
        """Return one value per draw, of all or of the first ones, as history corrects it."""
        return correct(values, self.learned, self.noise[: len(values)])

    @property
    def peak(self) -> Floats:
        """The peak of each draw, in requests/s."""
        return self.corrected(self.outcome.peak * self.outcome.scale)

    @property
    def calm_scale(self) -> Floats:
        """By what the funnel's traffic of each draw becomes the estimate's, gusts apart."""
        return self.corrected(self.outcome.peak * self.outcome.scale) / self.outcome.peak


def forecast(
    plan: Plan, seed: int, draws: int, tables: Mapping[str, Table] | None = None
) -> Forecast:
    """Draw every uncertain input ``draws`` times and follow each draw; ``tables`` are own curves.

    Raises ``UsageError`` when the plan brings no visits at all.
    """
    inputs = draw(plan, seed, draws, tables)
    outcome = follow(plan, inputs)
    learned = learn(plan.history, outcome.peak * outcome.scale)
    noise = stream(seed, "history").standard_normal(draws)
    return Forecast(plan, tables or {}, inputs, outcome, learned, noise)


def estimate(
    plan: Plan,
    provenance: Provenance,
    draws: int = 100_000,
    tables: Mapping[str, Table] | None = None,
) -> Demand:
    """Estimate the traffic of the sale by ``draws`` seeded draws of every uncertain input.

    ``tables`` are the user's own arrival curves, by their name in the plan. Raises ``UsageError``
    when the plan brings no visits at all.
    """
    return summary(forecast(plan, provenance.seed, draws, tables), provenance)


def summary(found: Forecast, provenance: Provenance) -> Demand:
    """Summarise all draws as the result that other commands build on."""
    plan, inputs, outcome = found.plan, found.inputs, found.outcome
    peak = found.peak
    visits = found.corrected(outcome.visits * outcome.scale)
    per_visit = inputs.first_requests + inputs.later_requests
    sent = found.corrected(np.sum(list(inputs.visits.values()), axis=0) * outcome.scale)
    shape, peak_at_s = bands.profile(inputs, window_of(plan), plan.sale.duration, found.calm_scale)
    shares = sensitivity(plan, inputs, provenance.seed, found.tables)
    ways = agreements(plan, inputs)
    stress = remarks.stress(percentiles(peak))
    orders, hot = _orders_per_s(found)
    hottest = None if hot is None else percentiles(hot)
    history = shown(plan.history, found.learned)
    written = (
        *remarks.disagreement(outcome.visits, outcome.ratio, ways),
        *remarks.doubt(percentiles(peak), shares),
        *remarks.history(history),
        *remarks.shape(plan),
        *remarks.curves(found.tables),
        *remarks.hot(plan, hottest),
        *remarks.beyond(stress),
    )
    return Demand(
        **dict(provenance),
        draws=len(peak),
        sale_start=plan.sale.start,
        window_s=plan.policy.window,
        peak_rps=percentiles(peak),
        peak_at_s=peak_at_s,
        peak_visitors=percentiles(found.corrected(outcome.visitors * outcome.scale)),
        peak_visitors_at_s=float(np.median(outcome.visitors_at_s)),
        peak_orders_per_min=None if orders is None else percentiles(60 * orders),
        peak_hot_orders_per_s=hottest,
        visits_total=percentiles(visits),
        requests_total=percentiles(sent * per_visit),
        requests_per_visit=percentiles(per_visit),
        estimates=_estimates(found),
        profile=shape,
        peak_quantiles_rps=_quantiles(peak),
        peak_quantiles_visits_per_s=_quantiles(peak / per_visit),
        peak_quantiles_orders_per_s=() if orders is None else _quantiles(orders),
        peak_quantiles_hot_orders_per_s=() if hot is None else _quantiles(hot),
        history=history,
        sensitivity=shares,
        agreements=ways,
        levers=levers(plan, inputs, outcome.scale, found.calm_scale, percentiles(peak)),
        stress=stress,
        notes=written,
    )


def by_second(found: Forecast) -> Profile:
    """Return λ(t) with its band for every second."""
    plan = found.plan
    return bands.by_second(found.inputs, window_of(plan), plan.sale.duration, found.calm_scale)


def percentiles(values: Floats) -> Percentiles:
    """Summarise one value per draw."""
    p5, p50, p90, p95, p99 = np.quantile(values, [0.05, 0.5, 0.9, 0.95, 0.99])
    return Percentiles(
        p5=float(p5),
        p50=float(p50),
        p90=float(p90),
        p95=float(p95),
        p99=float(p99),
        mean=float(values.mean()),
    )


def _orders_per_s(found: Forecast) -> tuple[Floats | None, Floats | None]:
    """Return the orders/s of the busiest minute, and how many of them want one product."""
    draws = min(_ORDER_DRAWS, len(found.outcome.scale))
    most = most_orders_per_min(found.inputs, draws)
    if most is None:
        return None, None
    orders = found.corrected(most * found.outcome.scale[:draws]) / 60
    hot_share = found.inputs.hot_share
    return orders, None if hot_share is None else orders * hot_share[:draws]


def _estimates(found: Forecast) -> tuple[Estimate, ...]:
    outcome = found.outcome
    visits, peak = outcome.visits, outcome.peak
    usual = found.plan.usual
    methods = {"funnel" if found.plan.audience else "multiple": (np.ones_like(peak), 1.0)}
    if outcome.ratio is not None and usual is not None:
        methods = {
            "funnel": (np.ones_like(peak), 1 - usual.weight),
            "multiple": (outcome.ratio, usual.weight),
            "combined": (outcome.scale, 1.0),
        }
    return tuple(
        Estimate.model_validate(
            {
                "method": method,
                "weight": weight,
                "visits_total": percentiles(found.corrected(visits * scale)),
                "peak_rps": percentiles(found.corrected(peak * scale)),
            }
        )
        for method, (scale, weight) in methods.items()
    )


def _quantiles(peak: Floats) -> tuple[float, ...]:
    """Return equally likely values of the peak; six digits, as more would only make it longer."""
    probabilities = (np.arange(_QUANTILES) + 0.5) / _QUANTILES
    return tuple(
        float(f"{value:.6g}") for value in np.quantile(peak, probabilities, method="hazen")
    )
