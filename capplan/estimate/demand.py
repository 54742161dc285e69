"""The estimate: draw the inputs, follow each draw through time, summarise.

Two independent ways lead to the number of visits: bottom-up from the channels (*funnel*) and
top-down from usual orders (*multiple*). Where both are given, half of the draws take one and half
the other, on the bottom-up shape: an equal-weight mixture, which is as wide as the two disagree.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from capplan.estimate import remarks
from capplan.estimate.inputs import Inputs, draw
from capplan.estimate.traffic import Traffic, chunk
from capplan.plan.schema import Plan
from capplan.results.base import Provenance
from capplan.results.demand import Demand, Estimate, Percentiles, Profile

Floats = NDArray[np.float64]

_CHUNK = 5_000
_BAND_DRAWS = 2_000
_QUANTILES = 4_000


@dataclass(frozen=True)
class _Outcome:
    """One value per draw; ``scale`` turns the funnel's traffic into the combined estimate's."""

    funnel_visits: Floats
    funnel_peak: Floats
    funnel_visitors: Floats
    ratio: Floats | None
    scale: Floats


def estimate(plan: Plan, provenance: Provenance, draws: int = 100_000) -> Demand:
    """Estimate the traffic of the sale by ``draws`` seeded draws of every uncertain input."""
    inputs = draw(plan, provenance.seed, draws)
    outcome = _follow(plan, inputs, draws)
    peak = outcome.funnel_peak * outcome.scale
    visits = outcome.funnel_visits * outcome.scale
    per_visit = inputs.first_requests + inputs.later_requests
    profile, peak_at_s = _profile(plan, inputs, outcome.scale)
    estimates = _estimates(outcome, peak, visits)
    sensitivity = remarks.sensitivity(inputs, peak)
    return Demand(
        **dict(provenance),
        draws=draws,
        sale_start=plan.sale.start,
        window_s=plan.policy.window,
        peak_rps=percentiles(peak),
        peak_at_s=peak_at_s,
        peak_visitors=percentiles(outcome.funnel_visitors * outcome.scale),
        visits_total=percentiles(visits),
        requests_total=percentiles(visits * per_visit),
        requests_per_visit=percentiles(per_visit),
        estimates=estimates,
        profile=profile,
        peak_quantiles_rps=_short(
            np.quantile(peak, (np.arange(_QUANTILES) + 0.5) / _QUANTILES, method="hazen")
        ),
        sensitivity=sensitivity,
        stress=remarks.stress(float(np.median(peak))),
        notes=remarks.notes(plan, estimates, sensitivity),
    )


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


def _follow(plan: Plan, inputs: Inputs, draws: int) -> _Outcome:
    peaks, visitors = np.empty(draws), np.empty(draws)
    for start in range(0, draws, _CHUNK):
        part = slice(start, min(start + _CHUNK, draws))
        traffic = _chunk(inputs, part)
        peaks[part] = traffic.peak_rate(plan.policy.window)
        visitors[part] = traffic.peak_visitors()
    visits = np.sum(list(inputs.visits.values()), axis=0)
    ratio = _multiple_over_funnel(plan, inputs, visits)
    scale = np.ones(draws)
    if ratio is not None:
        scale = np.where(inputs.take_multiple, ratio, 1.0)
    return _Outcome(visits, peaks, visitors, ratio, scale)


def _multiple_over_funnel(plan: Plan, inputs: Inputs, visits: Floats) -> Floats | None:
    """Return how many times the funnel's visits the top-down estimate expects.

    The top-down number counts the visits within its own window, so it is compared with what the
    funnel brings in that window.
    """
    if inputs.multiple_visits is None or plan.usual is None or not plan.audience:
        return None
    within = np.array([[plan.usual.within]])
    begun = sum(
        inputs.visits[name] * np.broadcast_to(curve.begun(within), (len(visits), 1))[:, 0]
        for name, curve in inputs.curves.items()
    )
    return np.asarray(inputs.multiple_visits / begun)


def _estimates(outcome: _Outcome, peak: Floats, visits: Floats) -> tuple[Estimate, ...]:
    funnel = Estimate(
        method="funnel",
        visits_total=percentiles(outcome.funnel_visits),
        peak_rps=percentiles(outcome.funnel_peak),
    )
    if outcome.ratio is None:
        return (funnel,)
    return (
        funnel,
        Estimate(
            method="multiple",
            visits_total=percentiles(outcome.funnel_visits * outcome.ratio),
            peak_rps=percentiles(outcome.funnel_peak * outcome.ratio),
        ),
        Estimate(method="combined", visits_total=percentiles(visits), peak_rps=percentiles(peak)),
    )


def _profile(plan: Plan, inputs: Inputs, scale: Floats) -> tuple[Profile, float]:
    """Return λ(t) with its band, and when the median is highest."""
    window_s = plan.policy.window
    count = min(_BAND_DRAWS, len(scale))
    end = plan.sale.duration + float(np.quantile(inputs.visit_s, 0.95))
    t_s = _times(window_s, end)
    rates = _chunk(inputs, slice(0, count)).rate(t_s, window_s) * scale[:count, None]
    p5, p50, p95 = np.quantile(rates, [0.05, 0.5, 0.95], axis=0)
    profile = Profile(t_s=_short(t_s), rps_p5=_short(p5), rps_p50=_short(p50), rps_p95=_short(p95))
    return profile, float(t_s[int(np.argmax(p50))])


def _times(window_s: float, end_s: float) -> Floats:
    """Seconds from the start: one window before it, dense at the start, sparse towards the end."""
    before = np.array([-window_s, 0.0])
    during = np.geomspace(min(2.0, window_s), end_s, 240)
    evenly = np.linspace(0.0, end_s, 121)[1:]
    return np.asarray(np.unique(np.round(np.concatenate([before, during, evenly]), 1)))


def _chunk(inputs: Inputs, part: slice) -> Traffic:
    requests = (inputs.first_requests, inputs.later_requests)
    return chunk(inputs.visits, inputs.curves, requests, inputs.visit_s, part)


def _short(values: Floats) -> tuple[float, ...]:
    """Round to six significant digits; more would only make the file larger."""
    return tuple(float(f"{value:.6g}") for value in values)
