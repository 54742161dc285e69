"""What a nearer limit tells of the limit that counts, and what an idle target shows."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import lognorm

from capplan.loadtest.search.nearer import beyond, idle, nearer
from capplan.loadtest.search.observation import Misses

P99_IN_200_MS = 0.01, 0.2
LEVELS = 0.5, 0.25, 0.1, 0.05, 0.01, 0.001


def exponential(idle_s: float, mean_wait_s: float, requests: int = 10_000) -> Misses:
    """Latencies that are idle_s and an exponential wait."""
    allowed, limit_s = P99_IN_200_MS
    points = [(idle_s - mean_wait_s * np.log(share), share) for share in LEVELS]
    share = float(np.exp(-(limit_s - idle_s) / mean_wait_s))
    slower = tuple(sorted([*points, (limit_s, share)]))
    return Misses(allowed, share, requests, 1e-6, limit_s, idle_s + mean_wait_s, slower)


def calm(idle_s: float = 0.02) -> Misses:
    """Every request takes the same time."""
    allowed, limit_s = P99_IN_200_MS
    points = ((idle_s, 0.5), (idle_s, 0.0), (limit_s, 0.0))
    return Misses(allowed, 0.0, 1000, 1e-6, limit_s, idle_s, points)


@given(mean_wait_s=st.floats(0.015, 0.11))
def test_of_an_exponential_tail_the_nearer_share_is_a_power_of_the_share_itself(mean_wait_s):
    """It lies beyond the median, between known points that are exact for an exponential tail."""
    busy = exponential(0.02, mean_wait_s)
    near = nearer([calm(), busy], idle_s=0.02)
    assert near is not None
    part = (near.misses[1].limit_s or 0) / 0.18
    assert near.misses[1].share == pytest.approx(busy.share**part, rel=1e-6)
    assert near.misses[1].allowed == pytest.approx(0.01**part)


def test_the_nearer_limit_lies_where_one_in_seven_may_miss_it():
    """f²·exp(-f·y) is largest at f·y = 2; exp(-2) is 0.135."""
    near = nearer([calm()], idle_s=0.02)
    assert near is not None
    assert near.misses[0].allowed == pytest.approx(np.exp(-2))
    assert near.misses[0].limit_s == pytest.approx(0.18 * 2 / np.log(100))
    assert near.misses[0].share < 1 / 1000


@pytest.mark.parametrize(
    "misses",
    [
        replace(calm(), limit_s=None),  # failures have no latency
        replace(calm(), limit_s=0.019),  # an idle target misses it
        replace(calm(), allowed=0.2),  # a trial sees enough of these
        replace(calm(), allowed=0.0),
        replace(calm(), slower=((0.02, 0.5), (0.15, 0.05), (0.19, 0.0))),  # slow at rest, too
    ],
)
def test_a_nearer_limit_that_would_tell_nothing_is_not_used(misses):
    assert nearer([misses], idle_s=0.02) is None


def test_latencies_beyond_all_that_is_known_are_rarer_than_any():
    near = nearer([calm(), replace(calm(), slower=((0.01, 0.5), (0.03, 0.0)))], idle_s=0.02)
    assert near is not None
    assert near.misses[1].share == 0
    assert near.misses[1].variance ** 0.5 < 1 / 1000


# the idle target


def test_an_idle_target_shows_how_much_its_services_vary():
    """Of lognormal services with cv 1 the last thousandth is cut off: less than 1 is seen."""
    sigma = np.log(2) ** 0.5
    latency = lognorm(sigma, scale=0.02 * np.exp(-(sigma**2) / 2))
    points = [(float(latency.isf(share)), share) for share in LEVELS]
    varied = replace(calm(), slower=(*points, (float(latency.isf(1e-4)), 0.0)))
    seen = idle([varied])
    assert seen is not None
    assert 0.7 < seen.variation < 1.3
    even = idle([calm()])
    assert even is not None
    assert even.variation < 0.35  # half of the requests lie somewhere below the median
    assert even.mean_s == 0.02


def test_of_trials_with_latencies_as_low_the_one_with_most_requests_counts():
    few = replace(calm(), requests=20, slower=((0.001, 0.5), (0.4, 0.0)))
    seen = idle([few, replace(calm(), mean_s=0.023)])
    assert seen == idle([calm(), replace(calm(), mean_s=0.023)])
    assert idle([replace(calm(), mean_s=None)]) is None


def test_where_the_end_of_the_latencies_is_not_known_services_count_as_exponential():
    seen = idle([replace(calm(), slower=((0.02, 0.5), (0.2, 0.3)))])
    assert seen is not None
    assert seen.variation == 1.0


# from the nearer limit to the limit itself

LOG_THETA = np.linspace(np.log(80.0), np.log(130.0), 200)
SHARES = np.exp(-2.0), 0.01


def normal(middle: float, sd: float) -> np.ndarray:
    density = np.exp(-0.5 * ((LOG_THETA - np.log(middle)) / sd) ** 2)
    return np.asarray(density / density.sum())


def moments(density: np.ndarray) -> tuple[float, float]:
    mean = float(density @ LOG_THETA)
    return float(np.exp(mean)), float((density @ (LOG_THETA - mean) ** 2) ** 0.5)


def test_where_both_agree_the_nearer_limit_decides():
    """With s = 30: -0.1·f(1 - f)·y/s is -0.4 %, and its deviation 0.15·f(1 - f)·y/s is 0.6 %."""
    middle, sd = moments(beyond(LOG_THETA, normal(100.0, 0.02), normal(101.0, 0.08), 30.0, SHARES))
    assert middle == pytest.approx(99.6, rel=0.003)
    assert sd == pytest.approx((0.02**2 + 0.006**2) ** 0.5, rel=0.15)


def test_where_the_limit_itself_contradicts_it_is_believed():
    """As with a tail of another kind: what is rare at the limit is frequent before it."""
    middle, _ = moments(beyond(LOG_THETA, normal(92.0, 0.01), normal(112.0, 0.02), 15.0, SHARES))
    assert middle > 105.0


def test_what_contradicts_beyond_all_doubt_leaves_the_limit_itself():
    far = np.where(LOG_THETA[-2] < LOG_THETA, 1.0, 0.0)
    near = np.where(LOG_THETA[1] > LOG_THETA, 1.0, 0.0)
    assert beyond(LOG_THETA, near, far, 1e9, SHARES) == pytest.approx(far)
