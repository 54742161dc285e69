import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import ndtri
from scipy.stats import norm

from capplan.model.losses import NONE, Floats, Loss, losses

QUANTILES = 4000


def lognormal(median: float, sigma: float) -> Floats:
    u = (np.arange(QUANTILES) + 0.5) / QUANTILES
    return np.asarray(median * np.exp(sigma * ndtri(u)))


def certain(t_s: Floats, shape: Floats, fleet_rps: float) -> Loss:
    """What is lost of a demand that is known, in a fleet that is known."""
    return losses(t_s, shape).expected(np.array([shape.max()]), np.array([fleet_rps]))


def simulated(t_s: Floats, rate_rps: Floats, fleet_rps: float) -> Loss:
    """Follow the fluid in small steps: a queue that fills, stands and drains."""
    step_s = 0.01
    now = np.arange(t_s[0], t_s[-1], step_s)
    queue = seconds = excess = unserved = 0.0
    for rate in np.interp(now, t_s, rate_rps).tolist():
        seconds += step_s * (rate > fleet_rps)
        excess += step_s * max(0.0, rate - fleet_rps)
        unserved += step_s * rate * (queue > 0 or rate > fleet_rps)
        queue = max(0.0, queue + (rate - fleet_rps) * step_s)
    return Loss(seconds, excess, unserved)


@pytest.mark.parametrize("fleet_rps", [0.0, 1000.0, 3500.0, 4000.0, 9000.0])
def test_a_falling_demand_loses_its_integrals(fleet_rps: float) -> None:
    t_s = np.linspace(0, 40_000, 2_001)
    found = certain(t_s, 4000 * np.exp(-t_s / 900), fleet_rps)
    x = min(fleet_rps / 4000, 1.0)
    over_s = 900 * math.log(1 / x) if x else 40_000.0
    # ∫ (P·exp(-t/τ) - X) dt until the demand falls below X. Between levels 1/399 apart the convex
    # integral is overstated by up to Pτ/(8·399²·x) ≤ 12, and between points 20 s apart the
    # exponential by up to 20²/(12·900²)·Pτ = 148 and the kink at the level by 20²/8·X/τ ≤ 200
    exact = 4000 * 900 * (1 - x) - (fleet_rps * over_s if x else 0.0)
    assert found.excess == pytest.approx(exact, abs=360)
    assert found.seconds_over == pytest.approx(over_s, rel=1e-4, abs=2)


def test_a_rectangle_queues_until_it_has_drained() -> None:
    # 300/s for 100 s on 200/s: 10,000 pile up, and drain at 200 - 100 per second in another 100 s
    t_s = np.array([0.0, 100.0, 100.001, 1000.0])
    found = certain(t_s, np.array([300.0, 300.0, 100.0, 100.0]), 200.0)
    assert found.seconds_over == pytest.approx(100, rel=1e-3)
    assert found.excess == pytest.approx(10_000, rel=1e-3)
    assert found.unserved == pytest.approx(300 * 100 + 100 * 100, rel=0.01)


def test_a_queue_that_never_drains_loses_everything_to_the_end() -> None:
    t_s = np.array([0.0, 500.0])
    found = certain(t_s, np.array([300.0, 300.0]), 200.0)
    assert found.unserved == pytest.approx(300 * 500)
    assert found.excess == pytest.approx(100 * 500)


@settings(max_examples=20, deadline=None)
@given(
    rates=st.lists(st.integers(0, 1000), min_size=3, max_size=7),
    share=st.floats(0.05, 0.95),
)
def test_any_demand_is_lost_as_in_a_step_by_step_simulation(rates: list[int], share: float) -> None:
    shape = np.array([max(rates[0], 1), *rates[1:]], dtype=np.float64)
    t_s, top = np.arange(0.0, 5.0 * len(shape), 5.0), float(shape.max())
    found = certain(t_s, shape, share * top)
    # less is lost by a fleet that is larger by a level of the table (1/399) and a step, and more by
    # a smaller one; how much cannot be said, as a queue may just drain before the next wave
    larger, smaller = (simulated(t_s, shape, (share + d) * top) for d in (0.004, -0.004))
    step = 0.02 * len(shape)  # seconds that steps of 0.01 s may misjudge
    for name, slack in (("seconds_over", step), ("excess", step * top), ("unserved", step * top)):
        low, high = getattr(larger, name) - slack, getattr(smaller, name) + slack
        assert low <= getattr(found, name) <= high, name


def test_the_excess_of_a_lognormal_peak_is_its_call_value() -> None:
    sigma, limit = 0.4, 6000.0
    found = losses(np.array([0.0, 60.0]), np.ones(2)).expected(
        lognormal(4000, sigma), np.array([limit])
    )
    above = math.log(4000 / limit) / sigma
    exact = 4000 * math.exp(sigma**2 / 2) * norm.cdf(above + sigma) - limit * norm.cdf(above)
    # 4000 quantiles leave out a part of the tail, which counts more here than in a probability
    assert found.excess == pytest.approx(60 * exact, rel=5e-3)
    # a flat demand is above the fleet all the time or never, and then nothing is answered in time
    assert found.seconds_over == pytest.approx(60 * norm.cdf(above), rel=0.01)
    unserved = 60 * 4000 * math.exp(sigma**2 / 2) * norm.cdf(above + sigma)
    assert found.unserved == pytest.approx(unserved, rel=0.01)


def test_the_doubt_about_the_fleet_is_part_of_the_expectation() -> None:
    # both lognormal: the excess is the value of an option to exchange (Margrabe 1978)
    fleet = np.exp(0.2 * ndtri((np.arange(8192) + 0.5) / 8192)) * 6000
    found = losses(np.array([0.0, 1.0]), np.ones(2)).expected(lognormal(4000, 0.4), fleet)
    sigma = math.hypot(0.4, 0.2)
    peak, carried = 4000 * math.exp(0.4**2 / 2), 6000 * math.exp(0.2**2 / 2)
    d = math.log(peak / carried) / sigma + sigma / 2
    exact = peak * norm.cdf(d) - carried * norm.cdf(d - sigma)
    # 64 fleets stand for all
    assert found.excess == pytest.approx(exact, rel=0.01)


def test_the_shape_of_the_demand_counts_and_not_its_height() -> None:
    t_s, shape = np.array([0.0, 50.0, 100.0]), np.array([1.0, 4.0, 1.0])
    peaks, limits = lognormal(5000, 0.3), np.array([4000.0])
    low, high = (losses(t_s, shape * k).expected(peaks, limits) for k in (0.01, 100.0))
    assert low.excess == pytest.approx(high.excess)
    assert low.unserved == pytest.approx(high.unserved)


def test_more_servers_never_lose_more() -> None:
    lost = losses(np.array([0.0, 10.0, 60.0, 200.0]), np.array([1.0, 5.0, 1.0, 2.0]))
    found = [
        lost.expected(lognormal(4000, 0.6), limit * np.linspace(0.9, 1.1, 100))
        for limit in np.linspace(0, 20_000, 60)
    ]
    for before, after in pairwise(found):
        assert after.seconds_over <= before.seconds_over
        assert after.excess <= before.excess
        assert after.unserved <= before.unserved


def test_no_demand_loses_nothing() -> None:
    t_s, limits = np.array([0.0, 100.0]), np.array([0.0, 1.0])
    assert losses(t_s, np.zeros(2)).expected(np.zeros(4), limits) == NONE
    assert losses(t_s, np.ones(2)).expected(np.zeros(4), limits) == NONE
    assert losses(t_s[:1], np.ones(1)).expected(np.ones(4), np.zeros(1)) == NONE
