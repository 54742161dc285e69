import math
from typing import cast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq

from capplan.model.ggc import (
    Slots,
    SustainedRate,
    fifo_sojourns_s,
    simulated_sustained_rate,
    sustained_rate,
)
from capplan.model.queueing import mmc_mean_wait_s, mmc_sojourn_tail, mmc_sustained_rps
from capplan.model.service_time import Deterministic, Exponential, Hyperexponential, Lognormal
from tests.model.poisson import poisson_sojourns_s

TIMES = st.lists(st.tuples(st.floats(0.0, 5.0), st.floats(0.0, 10.0)), min_size=1, max_size=60).map(
    lambda pairs: (np.cumsum([gap for gap, _ in pairs]), np.array([s for _, s in pairs]))
)


def mean_and_error(values, batches=30):
    """Return the mean and its standard error by batch means, which neighbours may depend on."""
    means = [part.mean() for part in np.array_split(values, batches)]
    return float(np.mean(means)), float(np.std(means, ddof=1)) / math.sqrt(batches)


def test_two_servers_finish_a_hand_worked_schedule_in_order_of_arrival():
    slots = Slots(2)
    schedule = [(0.0, 5.0), (1.0, 1.0), (1.5, 2.0), (3.0, 1.0), (10.0, 1.0)]
    assert [slots.arrive(now, service) for now, service in schedule] == [5.0, 2.0, 4.0, 5.0, 11.0]


@settings(deadline=None)
@given(times=TIMES, slots=st.integers(1, 5))
def test_one_arrival_at_a_time_gives_what_the_whole_array_gives(times, slots):
    arrivals_s, services_s = times
    queue = Slots(slots)
    finishes = [queue.arrive(now, s) for now, s in zip(arrivals_s, services_s, strict=True)]
    assert (np.array(finishes) - arrivals_s).tolist() == fifo_sojourns_s(
        arrivals_s, services_s, slots
    ).tolist()


@settings(deadline=None)
@given(times=TIMES)
def test_one_server_agrees_with_lindleys_equation(times):
    arrivals_s, services_s = times
    waits = [0.0]
    for gap, service in zip(np.diff(arrivals_s), services_s, strict=False):
        waits.append(max(0.0, waits[-1] + service - gap))
    expected = np.array(waits) + services_s
    np.testing.assert_allclose(fifo_sojourns_s(arrivals_s, services_s, 1), expected, atol=1e-9)


@settings(deadline=None)
@given(times=TIMES, slots=st.integers(1, 5))
def test_more_servers_never_make_anyone_wait_longer(times, slots):
    arrivals_s, services_s = times
    fewer = fifo_sojourns_s(arrivals_s, services_s, slots)
    more = fifo_sojourns_s(arrivals_s, services_s, slots + 1)
    assert (more <= fewer + 1e-9).all()
    assert (more >= services_s - 1e-9).all()


@settings(deadline=None)
@given(times=TIMES, slots=st.integers(1, 5), stretch=st.floats(1.0, 10.0))
def test_slower_arrivals_never_make_anyone_wait_longer(times, slots, stretch):
    arrivals_s, services_s = times
    dense = fifo_sojourns_s(arrivals_s, services_s, slots)
    sparse = fifo_sojourns_s(arrivals_s * stretch, services_s, slots)
    assert (sparse <= dense + 1e-9).all()


def test_simulated_mean_sojourn_of_ten_servers_agrees_with_theory():
    # at ρ = .7 and 100,000 arrivals one run has a standard deviation of .4 %: 2 % are five of them
    sojourns = poisson_sojourns_s(Exponential(0.02), 10, 350.0, 110_000, np.random.default_rng(1))
    assert sojourns.size == 99_000
    assert sojourns.mean() == pytest.approx(0.02 + mmc_mean_wait_s(10, 350.0, 0.02), rel=0.02)


def test_simulated_share_over_a_limit_agrees_with_the_sojourn_tail():
    sojourns = poisson_sojourns_s(Exponential(0.02), 4, 140.0, 200_000, np.random.default_rng(2))
    share, error = mean_and_error(sojourns > 0.06)
    assert error < 0.05 * share
    assert abs(share - mmc_sojourn_tail(4, 140.0, 0.02, 0.06)) <= 4 * error


@pytest.mark.parametrize(
    ("service", "rho"), [(Deterministic(1.0), 0.8), (Lognormal(1.0, 0.5), 0.7),
                         (Hyperexponential(1.0, 2.0), 0.5)], ids=str,
)  # fmt: skip
def test_one_server_with_any_service_waits_as_pollaczek_and_khinchine_say(service, rho):
    expected = rho * (1 + service.cv**2) / (2 * (1 - rho))
    sojourns = poisson_sojourns_s(service, 1, rho, 300_000, np.random.default_rng(3))
    mean, error = mean_and_error(sojourns)
    assert error < 0.02 * mean  # tight enough that a wrong formula is seen
    assert abs(mean - 1.0 - expected) <= 4 * error


def test_the_rate_for_exponential_service_is_the_exact_one():
    exact = sustained_rate(Exponential(0.02), 4, 0.95, 0.15)
    assert exact == SustainedRate(mmc_sustained_rps(4, 0.02, 0.95, 0.15), 0.0)


def test_the_simulated_rate_for_exponential_service_agrees_with_the_exact_one():
    simulated = simulated_sustained_rate(Exponential(0.02), 4, 0.95, 0.15, arrivals=50_000)
    assert 0 < simulated.stderr_rps < 0.01 * simulated.rate_rps
    # ten replications: a t of 4 with 9 degrees of freedom comes up once in 300 seeds
    exact_rps = mmc_sustained_rps(4, 0.02, 0.95, 0.15)
    assert abs(simulated.rate_rps - exact_rps) <= 4 * simulated.stderr_rps


def test_the_simulated_rate_for_constant_service_agrees_with_erlangs_formula():
    # P(W ≤ t) = (1−ρ)·Σ_{k ≤ t/D} (λ(kD−t))^k/k!·e^{−λ(kD−t)} (A. K. Erlang 1909), with D = 10 ms
    def in_time(rate):
        steps = (rate * (k * 0.01 - 0.045) for k in range(5))
        terms = (x**k / math.factorial(k) * math.exp(-x) for k, x in enumerate(steps))
        return (1 - rate * 0.01) * sum(terms)

    exact_rps = brentq(lambda rate: in_time(rate) - 0.99, 1.0, 99.0)
    simulated = simulated_sustained_rate(Deterministic(0.01), 1, 0.99, 0.055, arrivals=50_000)
    assert 0 < simulated.stderr_rps < 0.01 * exact_rps
    assert abs(simulated.rate_rps - exact_rps) <= 4 * simulated.stderr_rps


def test_eight_servers_with_lognormal_service_sustain_what_was_published():
    # 374/s for S = 20 ms, cv 1, p99 ≤ 200 ms; 2 % are three standard errors of this short run
    rate = sustained_rate(Lognormal(0.02, 1.0), 8, 0.99, 0.2, seed=4)
    assert rate.rate_rps == pytest.approx(374, rel=0.02)
    assert rate.stderr_rps < 0.007 * 374


def test_no_rate_is_sustained_when_the_service_alone_misses_the_limit():
    for service in (Exponential(0.02), Lognormal(0.02, 2.0), Deterministic(0.02)):
        assert sustained_rate(service, 8, 0.99, 0.015) == SustainedRate(0.0, 0.0)


def test_the_sustained_rate_never_exceeds_what_the_servers_can_do():
    rate = simulated_sustained_rate(
        Deterministic(0.02), 4, 0.95, 1000.0, arrivals=1_000, replications=2
    )
    assert rate.rate_rps == 200.0


def test_the_same_seed_gives_the_same_rate_and_another_seed_another_one():
    def rate(seed):
        return simulated_sustained_rate(
            Lognormal(0.02, 1.0), 4, 0.95, 0.15, seed, arrivals=2_000, replications=2
        )

    assert rate(1) == rate(1)
    assert rate(1) != rate(2)


@pytest.mark.parametrize(
    ("call", "named"),
    [
        (lambda: Slots(0), "slots=0"),
        (lambda: Slots(cast(int, 1.5)), "slots=1.5"),
        (lambda: fifo_sojourns_s(np.array([0.0]), np.array([1.0]), -1), "slots=-1"),
        (lambda: sustained_rate(Deterministic(1.0), 1, 1.0, 2.0), "quantile=1.0"),
        (lambda: sustained_rate(Deterministic(1.0), 1, 0.9, math.inf), "limit_s=inf"),
    ],
)
def test_impossible_queues_are_refused_by_name(call, named):
    with pytest.raises(ValueError) as caught:
        call()
    assert str(caught.value).startswith(named)
