import math

import numpy as np
import pytest

from capplan.errors import UsageError
from capplan.model.finite_queue import met
from capplan.model.queueing import mmc_sustained_rps
from capplan.model.service_time import Deterministic, Exponential, Lognormal
from capplan.plan.sla import Sla, parse_sla
from capplan.refserver import RefServerConfig, Theory, theory
from capplan.refserver.work import Work

MM4 = RefServerConfig(4, Exponential(0.02))


def drive(
    config: RefServerConfig, rate_rps: float, arrivals: int
) -> tuple[list[bool], list[float]]:
    """Return which arrivals of a Poisson process were refused, and the sojourns of the others."""
    server = Work(config, 0.0)
    refused: list[bool] = []
    sojourns_s: list[float] = []
    for now_s in np.cumsum(np.random.default_rng(6).exponential(1 / rate_rps, arrivals)).tolist():
        job = server.arrive(now_s, "GET /")
        refused.append(job is None)
        if job is not None:
            sojourns_s.append(job.finish_s - job.arrival_s)
    return refused, sojourns_s


def share_and_error(flags: list[bool], batches: int = 25) -> tuple[float, float]:
    means = [float(np.mean(part)) for part in np.array_split(np.array(flags), batches)]
    return float(np.mean(means)), float(np.std(means, ddof=1)) / math.sqrt(batches)


def test_the_rate_of_an_exponential_server_is_exact_and_names_its_limit():
    found = theory(MM4, Sla(latency_p95=0.15))
    assert found == Theory(mmc_sustained_rps(4, 0.02, 0.95, 0.15), 0.0, "p95<150ms")
    assert found.rate_rps == pytest.approx(177.945, abs=5e-4)


def test_of_two_latency_limits_the_tighter_one_binds():
    both = theory(MM4, Sla(latency_p50=0.05, latency_p99=0.15))
    assert both.rate_rps == mmc_sustained_rps(4, 0.02, 0.99, 0.15)
    assert both.limited_by == "p99<150ms"


def test_the_server_keeps_the_latency_limit_at_the_theoretical_rate():
    rate_rps = theory(MM4, Sla(latency_p95=0.15)).rate_rps
    _, sojourns_s = drive(MM4, rate_rps, 200_000)
    share, error = share_and_error([sojourn_s > 0.15 for sojourn_s in sojourns_s])
    assert error < 0.01
    assert abs(share - 0.05) <= 4 * error


def test_the_server_fails_the_allowed_share_at_the_theoretical_rate():
    failing = RefServerConfig(4, Exponential(0.02), fail_above_rps=120.5, fail_share=0.4)
    found = theory(failing, Sla(latency_p95=0.15, failures=0.01))
    assert found.limited_by == "failures<1%"
    assert found.stderr_rps == 0.0
    share, error = share_and_error(drive(failing, found.rate_rps, 200_000)[0])
    assert error < 0.001
    assert abs(share - 0.01) <= 4 * error


def test_failures_that_the_sla_allows_do_not_limit():
    lenient = RefServerConfig(4, Exponential(0.02), fail_above_rps=50.0, fail_share=0.005)
    assert theory(lenient, Sla(latency_p95=0.15)).limited_by == "p95<150ms"


def test_a_server_that_always_fails_sustains_nothing():
    broken = RefServerConfig(4, Exponential(0.02), fail_above_rps=0.5, fail_share=1.0)
    assert theory(broken, Sla(latency_p95=0.15)).rate_rps == 0.0


def test_without_a_limit_that_binds_capacity_does():
    assert theory(MM4, Sla()) == Theory(200.0, 0.0, "capacity")


def test_a_limit_below_the_service_time_is_never_kept():
    slow = RefServerConfig(4, Deterministic(0.2))
    assert theory(slow, Sla(latency_p95=0.15)).rate_rps == 0.0


def test_other_service_times_are_simulated_and_say_how_well():
    found = theory(RefServerConfig(8, Lognormal(0.02, 1.0)), Sla(latency_p99=0.2))
    assert found.rate_rps == pytest.approx(374, rel=0.02)
    assert 0 < found.stderr_rps < 0.01 * found.rate_rps


def test_a_bounded_queue_is_limited_by_its_refusals():
    config = RefServerConfig(4, Exponential(0.02), queue=3)
    found = theory(config, parse_sla("p95<300ms, failures<1%"))
    assert found.limited_by == "failures<1%"
    assert found.stderr_rps == 0
    # at that rate an arrival meets the 4 + 3 others that make it refused once in a hundred
    assert met(4, 3, found.rate_rps * 0.02)[-1] == pytest.approx(0.01, rel=1e-6)


def test_a_truth_that_is_not_known_is_not_made_up():
    config = RefServerConfig(4, Deterministic(0.02), queue=3)
    with pytest.raises(UsageError, match="known only for exponential service"):
        theory(config, parse_sla("p95<300ms"))
