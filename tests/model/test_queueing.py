import math
from fractions import Fraction
from typing import cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.stats import norm, poisson

from capplan.model.queueing import (
    erlang_b,
    erlang_c,
    mmc_mean_wait_s,
    mmc_sojourn_quantile_s,
    mmc_sojourn_tail,
    mmc_sustained_rps,
    servers_for_wait,
)

LARGE = [(10_000, 9_900.0), (10_000, 10_500.0), (1_000_000, 999_000.0), (50_000, 40_000.0)]


@pytest.mark.parametrize(
    ("servers", "load", "expected"), [(10, 10.0, 0.214582), (100, 90.0, 0.0269574)]
)
def test_erlang_b_agrees_with_the_worked_values(servers, load, expected):
    assert erlang_b(servers, load) == pytest.approx(expected, rel=3e-6)


@pytest.mark.parametrize("load", [Fraction(1, 10), Fraction(3), Fraction(25)])
@pytest.mark.parametrize("servers", [0, 1, 2, 7, 30])
def test_erlang_b_agrees_with_its_recursion_in_exact_arithmetic(servers, load):
    blocked = Fraction(1)
    for k in range(1, servers + 1):
        blocked = load * blocked / (k + load * blocked)
    assert erlang_b(servers, float(load)) == pytest.approx(float(blocked), rel=1e-13)


@pytest.mark.parametrize(("servers", "load"), LARGE)
def test_erlang_b_at_large_loads_agrees_with_the_truncated_poisson_distribution(servers, load):
    # B is the last term of a Poisson distribution cut off at c; scipy knows both parts
    expected = poisson.pmf(servers, load) / poisson.cdf(servers, load)
    assert erlang_b(servers, load) == pytest.approx(expected, rel=1e-7, abs=1e-300)


def test_erlang_b_far_below_any_blocking_is_zero_instead_of_an_overflow():
    assert erlang_b(10**9, 1.0) == 0.0
    assert erlang_b(2_000_000, 1e6) == 0.0
    assert erlang_b(5, 0.0) == 0.0
    assert erlang_b(0, 0.0) == 1.0


@pytest.mark.parametrize(
    ("servers", "load", "expected"),
    [(2, 1.6, 0.711111), (10, 9.0, 0.668732), (3, 2.0, 0.444444), (1, 0.9, 0.9)],
)
def test_erlang_c_agrees_with_the_worked_values(servers, load, expected):
    assert erlang_c(servers, load) == pytest.approx(expected, rel=2e-6)


def test_everybody_waits_when_the_load_reaches_the_servers():
    assert erlang_c(4, 4.0) == 1.0
    assert erlang_c(4, 400.0) == 1.0
    assert mmc_mean_wait_s(4, 200.0, 0.02) == math.inf
    assert mmc_sojourn_tail(4, 200.0, 0.02, 1e9) == 1.0
    assert mmc_sojourn_quantile_s(4, 200.0, 0.02, 0.5) == math.inf


@pytest.mark.parametrize("load", [1e4, 1e6])
@pytest.mark.parametrize("beta", [0.5, 1.0, 2.0])
def test_erlang_c_at_large_loads_approaches_the_square_root_rule(load, beta):
    # Halfin-Whitt is a limit; what it leaves out shrinks like 1/√a: by ten from one load
    # to the other, with a factor below 3 for these β
    servers = math.ceil(load + beta * math.sqrt(load))
    beta = (servers - load) / math.sqrt(load)
    limit = 1 / (1 + beta * norm.cdf(beta) / norm.pdf(beta))
    assert erlang_c(servers, load) == pytest.approx(limit, rel=3 / math.sqrt(load))


@pytest.mark.parametrize(("load", "expected"), [(10.0, 14), (100.0, 111)])
def test_servers_for_a_wait_of_one_in_five_agree_with_the_worked_values(load, expected):
    assert servers_for_wait(load, 0.2) == expected


@settings(deadline=None)
@given(
    load=st.one_of(st.floats(0.0, 300.0), st.floats(9_000.0, 30_000.0)),
    probability=st.floats(1e-6, 0.999),
)
def test_the_servers_for_a_wait_suffice_and_one_less_does_not(load, probability):
    servers = servers_for_wait(load, probability)
    slack = 1e-9  # the count goes by recursion, the check by the sum
    assert erlang_c(servers, load) <= probability * (1 + slack)
    assert servers == 1 or erlang_c(servers - 1, load) > probability * (1 - slack)


@pytest.mark.parametrize(
    ("servers", "rate", "expected"),
    [(1, 0.9, 9.0), (2, 1.6, 1.777778), (10, 9.0, 0.668732)],
)
def test_mean_waits_agree_with_the_worked_values(servers, rate, expected):
    assert mmc_mean_wait_s(servers, rate, 1.0) == pytest.approx(expected, rel=2e-6)


def test_ten_queues_take_six_times_as_long_as_one_pool_of_ten():
    assert mmc_mean_wait_s(1, 0.9, 1.0) + 1.0 == pytest.approx(10.0)
    assert mmc_mean_wait_s(10, 9.0, 1.0) + 1.0 == pytest.approx(1.6687, abs=5e-5)


def test_the_reference_example_takes_59_ms_on_average():
    assert 0.02 + mmc_mean_wait_s(4, 180.0, 0.02) == pytest.approx(0.0594, abs=5e-5)


def test_the_p99_of_one_server_agrees_with_the_worked_value():
    assert mmc_sojourn_quantile_s(1, 0.9, 1.0, 0.99) == pytest.approx(46.0517, abs=5e-5)


@pytest.mark.parametrize(
    ("servers", "rate"), [(1, 0.5), (4, 3.0), (4, 3.6), (4, 2.0), (10, 9.0), (10, 9.0 + 1e-7)]
)
@pytest.mark.parametrize("t_s", [0.3, 1.0, 6.0])
def test_the_sojourn_tail_is_the_integral_over_waits_and_services(servers, rate, t_s):
    # P(T > t) = P(W > t) + P(W = 0)·e^-t + ∫ density of W at w · e^-(t-w) dw, with μ = 1
    waits, drain = erlang_c(servers, rate), servers - rate
    integral, error = quad(
        lambda w: waits * drain * math.exp(-drain * w) * math.exp(-(t_s - w)), 0, t_s
    )
    expected = waits * math.exp(-drain * t_s) + (1 - waits) * math.exp(-t_s) + integral
    assert mmc_sojourn_tail(servers, rate, 1.0, t_s) == pytest.approx(expected, abs=error + 1e-13)


def test_the_sojourn_tail_is_smooth_where_drain_and_service_are_equally_fast():
    # c = 2, λ = 1, μ = 1: drain rate cμ − λ = μ, and P(T > t) = (1 + Cμt)·e^-μt
    waits = erlang_c(2, 1.0)
    assert waits == pytest.approx(1 / 3)
    for t_s in (0.1, 1.0, 10.0, 100.0):
        exact = (1 + waits * t_s) * math.exp(-t_s)
        assert mmc_sojourn_tail(2, 1.0, 1.0, t_s) == pytest.approx(exact, rel=1e-13)
        for near in (1.0 - 1e-9, 1.0 + 1e-9):
            assert mmc_sojourn_tail(2, near, 1.0, t_s) == pytest.approx(exact, rel=1e-6)


@settings(deadline=None)
@given(
    servers=st.integers(1, 200),
    utilisation=st.floats(0.0, 0.999),
    quantile=st.floats(0.01, 0.9999),
)
def test_the_quantile_of_the_sojourn_is_where_the_tail_says(servers, utilisation, quantile):
    rate = utilisation * servers / 0.02
    t_s = mmc_sojourn_quantile_s(servers, rate, 0.02, quantile)
    assert mmc_sojourn_tail(servers, rate, 0.02, t_s) == pytest.approx(1 - quantile, rel=1e-6)


@settings(deadline=None)
@given(
    servers=st.integers(1, 200),
    quantile=st.floats(0.5, 0.999),
    services=st.floats(0.5, 100.0),
)
def test_at_the_sustained_rate_the_limit_holds_and_just_above_it_does_not(
    servers, quantile, services
):
    limit_s = 0.02 * services
    rate = mmc_sustained_rps(servers, 0.02, quantile, limit_s)
    missed_when_idle = math.exp(-services)
    if rate == 0.0:
        assert missed_when_idle >= 1 - quantile
        return
    assert 0 < rate < servers / 0.02
    step = 1e-9 * servers / 0.02
    if rate > step:
        assert mmc_sojourn_tail(servers, rate - step, 0.02, limit_s) <= 1 - quantile
    assert mmc_sojourn_tail(servers, rate + step, 0.02, limit_s) >= 1 - quantile


def test_the_sustained_rate_of_one_server_agrees_with_its_closed_form():
    # M/M/1: P(T > t) = e^-(μ−λ)t, so λ = μ − ln(1/(1−q))/t
    assert mmc_sustained_rps(1, 0.02, 0.95, 0.15) == pytest.approx(50 - math.log(20) / 0.15)


def test_no_rate_is_sustained_when_an_idle_server_misses_the_limit():
    assert mmc_sustained_rps(100, 0.02, 0.95, 0.059) == 0.0  # p95 of the service is 59.9 ms
    assert mmc_sustained_rps(100, 0.02, 0.95, 0.061) > 0.0


@pytest.mark.parametrize(
    ("call", "named"),
    [
        (lambda: erlang_b(-1, 1.0), "servers=-1"),
        (lambda: erlang_b(cast(int, 2.5), 1.0), "servers=2.5"),
        (lambda: erlang_c(0, 1.0), "servers=0"),
        (lambda: erlang_c(True, 1.0), "servers=True"),
        (lambda: erlang_b(2, -1.0), "load_erlangs=-1.0"),
        (lambda: erlang_b(2, math.nan), "load_erlangs=nan"),
        (lambda: erlang_b(2, math.inf), "load_erlangs=inf"),
        (lambda: servers_for_wait(10.0, 0.0), "probability=0.0"),
        (lambda: servers_for_wait(10.0, 1.0), "probability=1.0"),
        (lambda: mmc_mean_wait_s(2, -1.0, 1.0), "rate_rps=-1.0"),
        (lambda: mmc_mean_wait_s(2, 1.0, 0.0), "service_s=0.0"),
        (lambda: mmc_sojourn_tail(2, 1.0, 1.0, -0.1), "t_s=-0.1"),
        (lambda: mmc_sojourn_tail(2, 1.0, 1.0, math.nan), "t_s=nan"),
        (lambda: mmc_sojourn_quantile_s(2, 1.0, 1.0, 1.5), "quantile=1.5"),
        (lambda: mmc_sojourn_quantile_s(-2, 1.0, 1.0, 0.5), "servers=-2"),
        (lambda: mmc_sustained_rps(2, 1.0, 0.95, 0.0), "limit_s=0.0"),
        (lambda: mmc_sustained_rps(2, math.inf, 0.95, 1.0), "service_s=inf"),
    ],
)
def test_impossible_inputs_are_refused_by_name(call, named):
    with pytest.raises(ValueError) as caught:
        call()
    assert str(caught.value).startswith(named)
