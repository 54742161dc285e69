"""The plan that uses every key, against a simulation that shares no code with the estimate."""

from functools import cache
from pathlib import Path

import numpy as np
import pytest
from scipy.special import expit, logit
from scipy.stats import norm

from capplan.estimate.follow import traffic_of
from capplan.estimate.inputs import BURST_S, EARLY_S, draw
from capplan.plan.load import load_plan
from capplan.plan.schema import Plan
from capplan.results.basis import basis
from capplan.results.demand import Demand
from capplan.units import Range
from tests.estimate.builders import demand_of

FULL = load_plan(Path(__file__).parents[1] / "plan" / "full.yaml").plan
Z95 = float(norm.ppf(0.95))


def changed(**sections: object) -> Plan:
    return FULL.model_copy(update=sections)


BY_RANGES = changed(usual=None, history=())


def lognormal(low: float, high: float, z: np.ndarray) -> np.ndarray:
    spread = np.log(high / low) / (2 * Z95)
    return np.asarray(np.sqrt(low * high) * np.exp(spread * z))


def logitnormal(low: float, high: float, z: np.ndarray) -> np.ndarray:
    return np.asarray(
        expit((logit(low) + logit(high)) / 2 + (logit(high) - logit(low)) / (2 * Z95) * z)
    )


def simulated_peaks(count: int, rng: np.random.Generator) -> np.ndarray:
    """Follow ``count`` sales as full.yaml describes them, without usual and history, in steps."""
    step_s, begin_s, end_s, window_s = 1.0, -1200.0, 900.0, 10.0
    edges_s = np.arange(begin_s, end_s + step_s, step_s)
    common = rng.standard_normal(count)

    def own() -> np.ndarray:
        return rng.standard_normal(count)

    def share() -> np.ndarray:
        return np.asarray(np.sqrt(0.5) * common + np.sqrt(0.5) * own())

    def decayed(mean_s: np.ndarray) -> np.ndarray:
        return np.asarray(1 - np.exp(-np.maximum(edges_s, 0) / mean_s[:, None]))

    def answering(within_s: float) -> np.ndarray:
        # nine in ten of an exponential come within log(10) means
        return decayed(np.array([within_s / np.log(10)]))

    # the e-mails leave over ten minutes: one batch every second
    sent_s = (np.arange(600) + 0.5)[:, None]
    late = np.maximum(edges_s - sent_s, 0) * np.log(10) / 3600
    by_email = (1 - np.exp(-late)).mean(axis=0)[None, :]
    waiting = lognormal(8e3, 20e3, own()) * 0.8 ** (np.log(norm.cdf(share())) / np.log(0.05))
    look_in = waiting * logitnormal(0.2, 0.6, own())
    before = np.exp(np.minimum(edges_s, 0) / lognormal(EARLY_S.low, EARLY_S.high, own())[:, None])
    begun = (
        (400e3 * logitnormal(0.01, 0.03, share()))[:, None] * by_email
        + (150e3 * logitnormal(0.01, 0.035, share()))[:, None] * answering(600)
        + (1.2e6 * logitnormal(0.0005, 0.004, share()))[:, None] * answering(21600)
        + (5e6 * logitnormal(0.004, 0.012, share()))[:, None] * np.maximum(edges_s, 0) / 7200
        + waiting[:, None] * decayed(lognormal(BURST_S.low, BURST_S.high, own()))
        + look_in[:, None] * before
    ) * (1 - logitnormal(0.1, 0.3, own()))[:, None]
    requests = lognormal(20, 60, own())
    first = np.minimum(lognormal(5, 15, own()), requests)

    def there(visits: np.ndarray, seconds: float) -> np.ndarray:
        ago = np.maximum(np.arange(len(edges_s)) - round(seconds / step_s), 0)
        return np.asarray(visits - visits[..., ago])

    durations_s = lognormal(120, 360, own())
    later = np.stack([there(b, d) / d for b, d in zip(begun, durations_s, strict=True)])
    rate = first[:, None] * there(begun, 2.0) / 2.0 + (requests - first)[:, None] * later
    sent = np.cumsum(rate, axis=1) * step_s
    lag = round(window_s / step_s)
    means = (sent[:, lag:] - sent[:, :-lag]) / window_s
    # a range of 0% to 10%: highest at none, .1 at its 95th percentile
    spreads = 1 - 0.9 ** (np.log(norm.sf(own())) / np.log(0.05))
    peaks = np.empty(count)
    for i, (mean, spread) in enumerate(zip(means, spreads, strict=True)):
        windows = mean[mean.argmax() % lag :: lag]
        sigma = np.sqrt(np.log1p(spread**2))
        gusts = np.exp(sigma * rng.standard_normal(len(windows)) - sigma**2 / 2)
        peaks[i] = (windows * gusts).max()
    return peaks


@cache
def thousand_peaks() -> np.ndarray:
    """A thousand truths, drawn from the plan's own ranges."""
    rng = np.random.default_rng(2026)
    return np.concatenate([simulated_peaks(250, rng) for _ in range(4)])


@cache
def demand_by_ranges_alone() -> Demand:
    return demand_of(BY_RANGES, 20_000)


def simulated_fleets(servers: int, count: int, rng: np.random.Generator) -> np.ndarray:
    """What so many servers of full.yaml sustain, in ``count`` cases."""
    one = lognormal(350, 420, rng.standard_normal(count))

    def lost(p95: float) -> np.ndarray:
        # a range from 0: highest at none
        return np.asarray(1 - (1 - p95) ** (np.log(rng.random(count)) / np.log(0.05)))

    return np.asarray(one * servers * (1 - lost(0.1)) * (1 - lost(0.15)))


@pytest.mark.xdist_group("a thousand peaks")
def test_nine_in_ten_of_a_thousand_sales_peak_within_the_range():
    peak = demand_by_ranges_alone().peak_rps
    truths = thousand_peaks()
    # three standard deviations of a share of .9 among 1,000 are .028
    assert ((truths >= peak.p5) & (truths <= peak.p95)).mean() == pytest.approx(0.9, abs=0.03)
    # neither end may make up for the other: three standard deviations of .05 are .021
    assert (truths > peak.p95).mean() == pytest.approx(0.05, abs=0.021)
    # the median of 1,000 with this spread has a standard error of 1.3 %
    assert np.median(truths) == pytest.approx(peak.p50, rel=0.04)


@pytest.mark.xdist_group("a thousand peaks")
@pytest.mark.parametrize("servers", [8, 12, 16, 24])
def test_as_many_of_a_thousand_sales_overload_the_fleet_as_is_said(servers):
    said = basis(BY_RANGES, demand_by_ranges_alone(), None).overload(servers)
    fleets = simulated_fleets(servers, 1000, np.random.default_rng(servers))
    # three standard deviations of the share of 1,000 are at most .048
    spread = 3 * np.sqrt(said * (1 - said) / 1000)
    assert (thousand_peaks() > fleets).mean() == pytest.approx(said, abs=spread)
    assert 0.02 < said < 0.98


@pytest.mark.parametrize("window_s", [1.0, 10.0, 60.0])
def test_the_peak_of_every_draw_is_that_of_a_fine_grid(window_s):
    traffic = traffic_of(draw(FULL, 7, 300), slice(None))
    # fine where the highest rate can lie, coarse to the end of the sale
    grid = [np.arange(-60, 480, 0.2), np.arange(480, 9000, 20.0)]
    highest = np.max([traffic.rate(t_s, window_s).max(axis=1) for t_s in grid], axis=0)
    # promised is 1 %; on this plan it is better, and the grid itself misses less than .2 %
    assert traffic.peak_rate(window_s)[0] == pytest.approx(highest, rel=0.003)


def test_a_plan_without_doubt_has_no_spread_whatever_its_channels():
    certain = [
        entry.model_copy(
            update={
                "reach": Range(entry.reach.high, entry.reach.high),
                "visits": Range(entry.visits.low, entry.visits.low),
            }
        )
        for entry in FULL.audience
        if entry.arrive.within_s is not None
    ]
    visit = FULL.visit.model_copy(
        update={
            name: Range(got.low, got.low)
            for name in ("requests", "first_page", "duration")
            if (got := getattr(FULL.visit, name))
        }
    )
    sure = changed(
        audience=tuple(certain),
        visit=visit,
        overlap=Range(0.1, 0.1),
        gusts=Range(0.0, 0.0),
        usual=None,
        history=(),
    )
    demand = demand_of(sure, 300)
    peak = demand.peak_rps
    assert [peak.p5, peak.p90, peak.p95, peak.p99, peak.mean] == pytest.approx([peak.p50] * 5)
    assert demand.profile.rps_p5 == pytest.approx(demand.profile.rps_p95)
    assert demand.sensitivity == ()
