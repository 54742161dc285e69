"""The estimate: draw the inputs, follow each draw through time, summarise.

Two independent ways lead to the number of visits: bottom-up from the channels (*funnel*) and
top-down from usual orders (*multiple*). Where both are given, half of the draws take one and half
the other, on the bottom-up shape: an equal-weight mixture, which is as wide as the two disagree.
What earlier sales taught is applied last, to every number alike.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from capplan.estimate import remarks
from capplan.estimate.history import correct, learn
from capplan.estimate.inputs import SHORTEST_S, Inputs, draw
from capplan.estimate.traffic import Traffic, chunk
from capplan.model.streams import stream
from capplan.plan.schema import Plan
from capplan.results.base import Provenance
from capplan.results.demand import Demand, Estimate, Percentiles, Profile

Floats = NDArray[np.float64]

_CHUNK = 2_000
_BAND_DRAWS = 2_000
_QUANTILES = 4_000


@dataclass(frozen=True)
class _Outcome:
    """One value per draw, before history is asked.

    ``ratio`` is how many times the funnel's visits the multiple expects, None where only one of the
    two is given; ``scale`` turns the funnel's traffic into the combined estimate's.
    """

    visits: Floats
    peak: Floats
    visitors: Floats
    ratio: Floats | None
    scale: Floats


def estimate(plan: Plan, provenance: Provenance, draws: int = 100_000) -> Demand:
    """Estimate the traffic of the sale by ``draws`` seeded draws of every uncertain input.

    Raises ``UsageError`` when the plan brings no visits at all.
    """
    inputs = draw(plan, provenance.seed, draws)
    window_s = max(plan.policy.window, SHORTEST_S)
    outcome = _follow(plan, inputs, window_s)
    uncorrected = outcome.peak * outcome.scale
    learned = learn(plan.history, uncorrected)
    noise = stream(provenance.seed, "history").standard_normal(draws)
    corrected = partial(correct, learned=learned, noise=noise)
    peak = corrected(uncorrected)
    visits = corrected(outcome.visits * outcome.scale)
    per_visit = inputs.first_requests + inputs.later_requests
    profile, peak_at_s = _profile(plan, inputs, window_s, peak / outcome.peak)
    sensitivity = remarks.sensitivity(inputs.uncertain, uncorrected)
    stress = remarks.stress(float(np.median(peak)))
    estimates = _estimates(plan, outcome, corrected)
    written = (
        *remarks.disagreement(outcome.visits, outcome.ratio),
        *remarks.doubt(percentiles(peak), sensitivity),
        *remarks.history(learned),
        *remarks.shape(plan),
        *remarks.beyond(stress),
    )
    return Demand(
        **dict(provenance),
        draws=draws,
        sale_start=plan.sale.start,
        window_s=plan.policy.window,
        peak_rps=percentiles(peak),
        peak_at_s=peak_at_s,
        peak_visitors=percentiles(corrected(outcome.visitors * outcome.scale)),
        visits_total=percentiles(visits),
        requests_total=percentiles(visits * per_visit),
        requests_per_visit=percentiles(per_visit),
        estimates=estimates,
        profile=profile,
        peak_quantiles_rps=_short(
            np.quantile(peak, (np.arange(_QUANTILES) + 0.5) / _QUANTILES, method="hazen")
        ),
        sensitivity=sensitivity,
        stress=stress,
        notes=written,
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


def _follow(plan: Plan, inputs: Inputs, window_s: float) -> _Outcome:
    draws = len(inputs.visit_s)
    peaks, visitors = np.empty(draws), np.empty(draws)
    for start in range(0, draws, _CHUNK):
        part = slice(start, min(start + _CHUNK, draws))
        traffic = _chunk(inputs, part)
        peaks[part] = traffic.peak_rate(window_s)
        visitors[part] = traffic.peak_visitors()
    visits = np.sum(list(inputs.visits.values()), axis=0)
    ratio = _multiple_over_funnel(plan, inputs)
    scale = np.ones(draws) if ratio is None else np.where(inputs.take_multiple, ratio, 1.0)
    return _Outcome(visits, peaks, visitors, ratio, scale)


def _multiple_over_funnel(plan: Plan, inputs: Inputs) -> Floats | None:
    """Return how many times the funnel's visits the top-down estimate expects.

    The top-down number counts the visits within its own window, so it is compared with what the
    funnel brings in that window.
    """
    if inputs.multiple_visits is None or plan.usual is None or not plan.audience:
        return None
    traffic = _chunk(inputs, slice(None))
    return np.asarray(inputs.multiple_visits / traffic.begun(np.array([[plan.usual.within]]))[:, 0])


def _estimates(
    plan: Plan, outcome: _Outcome, corrected: Callable[[Floats], Floats]
) -> tuple[Estimate, ...]:
    visits, peak = outcome.visits, outcome.peak
    if outcome.ratio is None:
        methods = {"funnel" if plan.audience else "multiple": np.ones_like(peak)}
    else:
        scales = (np.ones_like(peak), outcome.ratio, outcome.scale)
        methods = dict(zip(("funnel", "multiple", "combined"), scales, strict=True))
    return tuple(
        Estimate.model_validate(
            {
                "method": method,
                "visits_total": percentiles(corrected(visits * scale)),
                "peak_rps": percentiles(corrected(peak * scale)),
            }
        )
        for method, scale in methods.items()
    )


def _profile(plan: Plan, inputs: Inputs, window_s: float, scale: Floats) -> tuple[Profile, float]:
    """Return λ(t) with its band, and when the median is highest."""
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
