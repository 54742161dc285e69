import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capplan.model.scalability import Fit, fit

# SPEC SDM91 on a Sun SPARCcenter 2000, as published by Gunther
SPEC_SERVERS = [1, 18, 36, 72, 108, 144, 216]
SPEC_THROUGHPUT = [64.9, 995.9, 1652.4, 1853.2, 1828.9, 1775.0, 1702.2]


def law(alpha: float, beta: float, gamma: float, servers: float) -> float:
    return Fit(alpha, beta, gamma, None, None, False).throughput(servers)


def test_the_published_benchmark_is_fitted_with_its_published_parameters():
    found = fit(SPEC_SERVERS, SPEC_THROUGHPUT)
    # the published figures are given to this many digits
    assert found.alpha == pytest.approx(0.0277285, abs=5e-7)
    assert found.beta == pytest.approx(0.0001044, abs=5e-8)
    assert found.gamma == pytest.approx(89.995, abs=5e-4)
    assert found.peak_servers == pytest.approx(96.5, abs=0.05)
    assert found.peak_throughput == pytest.approx(1884, abs=0.5)
    assert found.identified


def test_servers_that_add_up_show_no_peak_and_are_not_extrapolated():
    found = fit([1, 2, 4, 8], [100, 200, 400, 800])
    assert found.gamma == pytest.approx(100)
    assert (found.peak_servers, found.peak_throughput) == (None, None)
    assert not found.identified


def test_points_that_stop_before_the_knee_do_not_identify_the_peak():
    # the first six points of a published set whose throughput peaks at 12,342: they promise 43,700
    found = fit(range(1, 7), [955.16, 1878.91, 2688.01, 3548.68, 4315.54, 5130.43])
    assert not found.identified


def test_a_clear_bend_identifies_the_law_without_a_peak():
    found = fit([1, 4, 16, 64], [law(0.1, 0.0, 50, n) for n in (1, 4, 16, 64)])
    assert found.peak_servers is None
    assert found.identified
    assert found.throughput(1e9) == pytest.approx(500, rel=1e-3)  # γ/α, the limit by contention


@given(
    alpha=st.floats(0.01, 0.3),
    beta=st.floats(1e-4, 1e-2),
    gamma=st.floats(1, 1e4),
)
def test_exact_data_give_their_parameters_back(alpha, beta, gamma):
    servers = [1, 2, 4, 8, 16, 32, 64]
    found = fit(servers, [law(alpha, beta, gamma, n) for n in servers])
    assert found.gamma == pytest.approx(gamma, rel=1e-4)
    assert found.alpha == pytest.approx(alpha, rel=1e-3)
    assert found.beta == pytest.approx(beta, rel=1e-3)


@pytest.mark.parametrize(
    ("servers", "throughput", "message"),
    [
        ([1, 2], [100, 190], "three different server counts"),
        ([1, 2, 2], [100, 190, 191], "three different server counts"),
        ([1, 2, 4], [100, 0, 300], "must be positive"),
        ([1, 2, 4], [100, math.inf, 300], "must be positive"),
    ],
)
def test_data_that_cannot_be_fitted_is_refused(servers, throughput, message):
    with pytest.raises(ValueError, match=message):
        fit(servers, throughput)
