"""A queue that fills from empty: against the inverse Gaussian law of first passages."""

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import invgauss

from benchmarks.servers import SERVERS, Bench
from capplan.model.filling_queue import mean_share_over

LIMIT_S = 0.15


def share(y: float, steepness: float, start_s: float, length_s: float) -> tuple[float, float]:
    over, rise = mean_share_over(np.array([y]), np.array([steepness]), LIMIT_S, start_s, length_s)
    return float(over[0]), float(rise[0])


@pytest.mark.parametrize("y", [0.5, 1.0, 3.0, 4.6])
@pytest.mark.parametrize("steepness", [5.0, 20.0, 70.0])
@pytest.mark.parametrize("start_s", [0.2, 1.0, 10.0])
def test_the_share_is_that_of_first_passages_in_time(y, steepness, start_s):
    """Reversed in time, the queue is over the limit when a motion with the drift -y/s has been.

    It ever is with the probability exp(-y), and then after an inverse Gaussian time with the mean
    s·x/y and the shape s·x/2.
    """
    mean_s, shape_s = steepness * LIMIT_S / y, steepness * LIMIT_S / 2
    passed = invgauss(mean_s / shape_s, scale=shape_s)
    expected = np.exp(-y) * quad(passed.cdf, start_s, start_s + 5.0, epsabs=1e-12)[0] / 5.0
    # five nodes integrate the curve, which bends where the queue fills, to a hundredth
    assert share(y, steepness, start_s, 5.0)[0] == pytest.approx(expected, rel=0.01)


def test_an_empty_queue_lets_nobody_wait_and_in_overload_everybody_does_in_the_end():
    assert share(3.0, 20.0, 0.0, 1e-3)[0] < 1e-12
    assert share(-40.0, 20.0, 1000.0, 1.0)[0] == pytest.approx(1.0, abs=1e-9)
    growing = [share(-1.0, 20.0, start_s, 1.0)[0] for start_s in (0.0, 1.0, 2.0, 4.0, 8.0)]
    assert growing == sorted(growing)


@pytest.mark.parametrize("y", [-3.0, 0.0, 2.0, 5.0])
def test_the_rise_is_the_derivative_of_the_share(y):
    step = 1e-5
    above, below = share(y - step, 20.0, 0.5, 6.0)[0], share(y + step, 20.0, 0.5, 6.0)[0]
    assert share(y, 20.0, 0.5, 6.0)[1] == pytest.approx((above - below) / (2 * step), rel=1e-6)


def test_a_real_queue_fills_so():
    """M/M/4 at its sustained rate from empty: the mean of 400 trials of six seconds.

    Poisson arrivals and exponential services have s = 2·λ·(limit - service)/(1 + 1): a request may
    wait for the limit less its service. The shares of trials differ by 1.8 times their
    mean (measured on them), so the mean is known to 9 %; what the heavy-traffic limit leaves out at
    a load of 0.89 is of the order of 1 - ρ.
    """
    server = next(s for s in SERVERS if s.name == "M/M/4")
    rate, service_s = server.truth_rps, server.service.mean_s
    over = []
    for seed in range(400):
        bench = Bench(server, np.random.default_rng(seed))
        arrivals_s = bench.arrivals(rate, 6.0)
        over.append(np.mean(bench.answer(arrivals_s).sojourn_s[arrivals_s >= 0.6] > LIMIT_S))
    steepness = rate * (LIMIT_S - service_s)
    expected = share(-np.log(0.05), steepness, 0.6, 5.4)[0]
    assert np.mean(over) == pytest.approx(expected, rel=3 * 0.09)
