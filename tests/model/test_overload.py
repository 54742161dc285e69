import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import ndtr, ndtri

from capplan.model.overload import (
    FleetModel,
    Floats,
    ServerRate,
    left_after_zone_loss,
    overload_probability,
)
from capplan.model.scalability import Laws
from capplan.model.uncertainty import quantile
from capplan.units import Range

REACH = float(ndtri(0.95))
ONE, NOTHING = Range(1.0, 1.0), Range(0.0, 0.0)
QUANTILES = 4000
# what lies beyond the largest of n quantiles is not counted
TAIL = 0.5 / QUANTILES


def lognormal(median: float, sigma: float) -> Floats:
    u = (np.arange(QUANTILES) + 0.5) / QUANTILES
    return np.asarray(median * np.exp(sigma * ndtri(u)))


def server(sigma: float, mid: float = 400.0) -> ServerRate:
    return ServerRate(mid * math.exp(-REACH * sigma), mid, mid * math.exp(REACH * sigma), 0.9)


def fleet(
    rate: ServerRate, *, speed: Range = ONE, imbalance: Range = NOTHING, loss: Range = NOTHING
) -> FleetModel:
    return FleetModel(rate, speed, imbalance, loss)


@pytest.mark.parametrize("risk", [0.5, 0.1, 0.01, 0.001, 0.0002])
@pytest.mark.parametrize(
    ("peak_sigma", "server_sigma"), [(0.4, 0.05), (0.4, 0.2), (0.1, 0.1), (0.8, 0.02), (0.02, 0.3)]
)
def test_two_lognormals_overload_as_the_normal_of_their_log_ratio(
    peak_sigma: float, server_sigma: float, risk: float
) -> None:
    sigma = math.hypot(peak_sigma, server_sigma)
    servers = round(5000 / 400 * math.exp(-ndtri(risk) * sigma))
    exact = ndtr(math.log(5000 / (400 * servers)) / sigma)
    found = overload_probability(
        lognormal(5000, peak_sigma), fleet(server(server_sigma)).rates(servers)
    )
    assert found == pytest.approx(exact, abs=TAIL)


@pytest.mark.parametrize("servers", [12, 15, 20])
def test_a_certain_peak_overloads_with_the_probability_of_a_weak_server(servers: int) -> None:
    peaks = np.full(QUANTILES, 5000.0)
    exact = ndtr(math.log(5000 / servers / 400) / 0.15)
    found = overload_probability(peaks, fleet(server(0.15)).rates(servers))
    # the 8192 points step by 1/8192 where the peak has one value only
    assert found == pytest.approx(exact, abs=1 / 8192)


@pytest.mark.parametrize(("limit_rps", "risk"), [(99.0, 1.0), (100.0, 0.0), (101.0, 0.0)])
def test_a_peak_that_just_fits_is_no_overload(limit_rps: float, risk: float) -> None:
    peaks = np.full(QUANTILES, 100.0)
    found = overload_probability(peaks, np.array([limit_rps]))
    # each quantile stands for 1/n of the probability
    assert found == pytest.approx(risk, abs=1 / QUANTILES)


@pytest.mark.parametrize("confidence", [0.9, 0.95])
def test_the_rate_of_a_server_goes_through_its_interval(confidence: float) -> None:
    rate = ServerRate(300, 390, 401, confidence)
    u = np.array([(1 - confidence) / 2, 0.5, (1 + confidence) / 2])
    assert rate.quantile(u) == pytest.approx([300, 390, 401])


def test_every_uncertain_input_adds_its_own_variance() -> None:
    wide = math.exp(REACH * 0.2)
    model = fleet(server(0.1), speed=Range(1 / wide, wide))
    exact = ndtr(math.log(5000 / (400 * 25)) / math.sqrt(0.3**2 + 0.1**2 + 0.2**2))
    found = overload_probability(lognormal(5000, 0.3), model.rates(25))
    assert found == pytest.approx(exact, abs=TAIL)


def test_losses_reduce_the_fleet_like_a_simulation_of_it() -> None:
    imbalance, loss = Range(0.02, 0.3), Range(0.0, 0.4)
    model = fleet(server(0.1), imbalance=imbalance, loss=loss)
    rng, draws = np.random.default_rng(1), 400_000
    kept = (1 - quantile(imbalance, "share", rng.random(draws))) * (
        1 - quantile(loss, "share", rng.random(draws))
    )
    carried = 30 * 400 * np.exp(0.1 * rng.standard_normal(draws)) * kept
    peak = 5000 * np.exp(0.3 * rng.standard_normal(draws))
    simulated = float((peak > carried).mean())
    stderr = math.sqrt(simulated / draws)
    found = overload_probability(lognormal(5000, 0.3), model.rates(30))
    assert 0.01 < simulated < 0.1
    assert found == pytest.approx(simulated, abs=4 * stderr)


def test_the_error_of_the_measurement_does_not_average_out() -> None:
    model = fleet(server(0.2))
    assert model.rates(100) == pytest.approx(100 * model.rates(1))


def test_a_single_server_has_neither_imbalance_nor_scaling_loss() -> None:
    lossy = fleet(server(0.1), imbalance=Range(0.1, 0.2), loss=Range(0.1, 0.2))
    assert lossy.rates(1) == pytest.approx(fleet(server(0.1)).rates(1))
    assert np.median(lossy.rates(10)) < 0.8 * 10 * 400


def test_a_fleet_is_never_worth_less_than_one_of_its_servers() -> None:
    lossy = fleet(server(0.1), loss=Range(0.8, 0.9))
    assert lossy.rates(2) == pytest.approx(lossy.rates(1))


def test_no_servers_carry_nothing() -> None:
    assert not fleet(server(0.1)).rates(0).any()


shares = st.tuples(st.integers(0, 90), st.integers(0, 90)).map(
    lambda pair: Range(min(pair) / 100, max(pair) / 100)
)
factors = st.tuples(st.floats(0.2, 5), st.floats(0.2, 5)).map(
    lambda pair: Range(min(pair), max(pair))
)
servers_rates = st.tuples(*[st.floats(1, 1000)] * 3).map(
    lambda rates: ServerRate(min(rates), float(np.median(rates)), max(rates), 0.9)
)


@settings(max_examples=60, deadline=None)
@given(
    rate=servers_rates,
    speed=factors,
    imbalance=shares,
    loss=shares,
    sigma=st.floats(0, 2),
    servers=st.lists(st.integers(0, 500), min_size=2, max_size=5),
)
def test_more_servers_never_raise_the_risk(
    rate: ServerRate,
    speed: Range,
    imbalance: Range,
    loss: Range,
    sigma: float,
    servers: list[int],
) -> None:
    model = fleet(rate, speed=speed, imbalance=imbalance, loss=loss)
    peaks = lognormal(5000, sigma)[::40]
    risks = [overload_probability(peaks, model.rates(count)) for count in sorted(servers)]
    # sums of thousands of terms: equal ones may differ in their last digits
    assert all(b <= a + 1e-12 for a, b in pairwise(risks))


@settings(max_examples=40, deadline=None)
@given(
    alpha=st.lists(st.floats(0, 0.5), min_size=4, max_size=4),
    beta=st.lists(st.floats(1e-5, 0.01), min_size=4, max_size=4),
    gamma=st.lists(st.floats(50, 800), min_size=4, max_size=4),
    speed=factors,
    loss=shares,
    measured_to=st.integers(1, 60),
    identified=st.booleans(),
    vouched=st.booleans(),
    sigma=st.floats(0, 2),
)
def test_more_servers_never_raise_the_risk_up_to_the_peak_of_a_law(
    alpha: list[float],
    beta: list[float],
    gamma: list[float],
    speed: Range,
    loss: Range,
    measured_to: int,
    identified: bool,
    vouched: bool,
    sigma: float,
) -> None:
    middle = float(np.median(np.sqrt((1 - np.array(alpha)) / np.array(beta))))
    reach, peak = (max(1, round(middle)), middle) if identified else (measured_to, None)
    laws = Laws(np.array(alpha), np.array(beta), np.array(gamma), reach, peak)
    model = FleetModel(
        server(0.1), speed, NOTHING, loss, laws=laws, vouched=vouched and not identified
    )
    # a law that is not identified never falls, however far it is asked
    counts = range(0, reach + 1 if identified else 2 * reach + 20, max(1, reach // 25))
    peaks = lognormal(5000, sigma)[::40]
    risks = [overload_probability(peaks, model.rates(count)) for count in counts]
    assert all(b <= a + 1e-12 for a, b in pairwise(risks))


@pytest.mark.parametrize(
    ("servers", "zones", "left"),
    [
        (24, 3, 16),
        (25, 3, 16),
        (26, 3, 17),
        (27, 3, 18),
        (1, 3, 0),
        (2, 3, 1),
        (5, 2, 2),
        (7, 1, 0),
    ],
)
def test_the_fullest_zone_is_the_one_that_is_lost(servers: int, zones: int, left: int) -> None:
    assert left_after_zone_loss(servers, zones) == left


@given(st.integers(1, 10_000), st.integers(1, 20))
def test_servers_dealt_out_to_zones_leave_as_many(servers: int, zones: int) -> None:
    fullest = len(range(0, servers, zones))
    assert left_after_zone_loss(servers, zones) == servers - fullest
