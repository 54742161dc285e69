"""The bounded queue against published values, its limits, and a simulation of its own."""

import heapq
import math

import numpy as np
import pytest

from capplan.model.finite_queue import met, sojourn_tail, sustained_rps
from capplan.model.queueing import erlang_b, mmc_sojourn_tail, mmc_sustained_rps


def test_the_published_values_of_m_m_1_5_are_met():
    # at most five in the system, load 0.8: P_K .088819, mean number 1.868332
    states = met(1, 4, 0.8)
    assert states[-1] == pytest.approx(0.088819, abs=5e-7)
    assert states @ np.arange(6) == pytest.approx(1.868332, abs=5e-7)


def test_no_place_at_all_is_erlangs_loss_system():
    assert met(10, 0, 10.0)[-1] == pytest.approx(erlang_b(10, 10.0), rel=1e-12)
    # who is admitted is served at once
    assert sojourn_tail(10, 0, 500.0, 0.02, 0.05) == pytest.approx(math.exp(-2.5), rel=1e-12)


@pytest.mark.parametrize(("servers", "load"), [(1, 0.7), (4, 0.8), (20, 0.9)])
def test_many_places_are_the_queue_without_an_end(servers, load):
    rate_rps = load * servers / 0.02
    found = sojourn_tail(servers, 2000, rate_rps, 0.02, 0.1)
    assert found == pytest.approx(mmc_sojourn_tail(servers, rate_rps, 0.02, 0.1), rel=1e-9)
    found_rps, binding = sustained_rps(servers, 2000, 0.02, ((0.95, 0.1),), 0.01)
    assert binding == 0
    assert found_rps == pytest.approx(mmc_sustained_rps(servers, 0.02, 0.95, 0.1), rel=1e-6)


@pytest.mark.parametrize("servers", [1, 3])
def test_a_simulation_of_the_overloaded_queue_agrees(servers):
    rng = np.random.default_rng(5)
    places, rate_rps, service_s, count = 6, 1.3 * servers, 1.0, 60_000
    arrivals = np.cumsum(rng.exponential(1 / rate_rps, count))
    services = rng.exponential(service_s, count)
    free, refused = [0.0] * servers, 0
    finishes: list[float] = []
    sojourns: list[float] = []
    for now, service in zip(arrivals.tolist(), services.tolist(), strict=True):
        while finishes and finishes[0] <= now:
            heapq.heappop(finishes)
        if len(finishes) == servers + places:
            refused += 1
            continue
        finish = max(now, free[0]) + service
        heapq.heapreplace(free, finish)
        heapq.heappush(finishes, finish)
        sojourns.append(finish - now)
    # overload forgets within about ten services: some thousand independent episodes, 2% each
    blocked = met(servers, places, rate_rps * service_s)[-1]
    assert refused / count == pytest.approx(blocked, rel=0.05)
    slow = np.mean(np.array(sojourns) > 3.0)
    assert slow == pytest.approx(sojourn_tail(servers, places, rate_rps, service_s, 3.0), rel=0.05)


def test_a_short_queue_is_bound_by_refusals_and_a_long_one_by_latency():
    assert sustained_rps(4, 3, 0.02, ((0.95, 0.3),), 0.01)[1] == 1
    assert sustained_rps(4, 500, 0.02, ((0.95, 0.1),), 0.01)[1] == 0


def test_impossible_limits_sustain_nothing():
    assert sustained_rps(4, 3, 0.02, ((0.95, 0.03),), 0.01) == (0.0, 0)
