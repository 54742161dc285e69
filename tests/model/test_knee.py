import numpy as np
import pytest

from capplan.model.knee import knee
from capplan.model.queueing import erlang_c


def mean_latency_s(load_rps: float, servers: int, service_s: float) -> float:
    wait_s = erlang_c(servers, load_rps * service_s) / (servers / service_s - load_rps)
    return float(wait_s + service_s)


def test_the_knee_of_one_server_is_half_of_its_service_rate():
    rates = np.linspace(5, 95, 19)
    assert knee(list(rates), [1 / (100 - rate) for rate in rates]) == pytest.approx(50, abs=2.5)


def test_many_servers_bend_later():
    few, many = (
        knee(list(rates), [mean_latency_s(rate, c, 0.02) for rate in rates])
        for c in (2, 16)
        for rates in [np.linspace(0.05, 0.98, 60) * c / 0.02]
    )
    assert few is not None
    assert many is not None
    assert 0.5 < few / 100 < many / 800 < 1


def test_the_order_of_the_trials_does_not_matter():
    assert knee([50, 90, 10, 30, 70], [0.02, 0.1, 1 / 90, 1 / 70, 1 / 30]) == 50


@pytest.mark.parametrize(
    ("rates", "latencies"),
    [
        ([10, 20, 30], [1, 2, 9]),
        ([], []),
        ([1, 2, 3, 4], [1, 1, 1, 1]),
        ([1, 2, 3, 4], [0, 1, 1, 1]),
    ],
)
def test_a_knee_that_was_not_seen_is_not_named(rates, latencies):
    assert knee(rates, latencies) is None
