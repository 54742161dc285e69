"""When a trial has warmed up, on series whose warm-up is known."""

import math

import numpy as np
import pytest

from benchmarks.servers import SERVERS, Bench
from capplan.loadtest.protocol import FAILURE, SUCCESS, TIMEOUT
from capplan.loadtest.warmup import LONGEST, settled_s
from tests.loadtest.harness import recording

DURATION_S = 10.0
QUEUE = next(server for server in SERVERS if server.name == "M/M/4")


def settled(latencies_s, endings=None):
    """Requests at even distances over ten seconds."""
    made = recording(list(latencies_s), endings, duration_s=DURATION_S)
    return settled_s(made.rows(), made.spec)


def decaying(first, last, over_s, count=2000, spread=0.25, seed=1):
    """Latency that goes from ``first`` to ``last`` by a factor e every ``over_s``, with noise."""
    at_s = np.linspace(0, DURATION_S, count)
    noise = np.random.default_rng(seed).gamma(1 / spread, spread, count)
    return (last + (first - last) * np.exp(-at_s / over_s)) * noise


@pytest.mark.parametrize("first", [0.02, 0.5])
def test_the_warm_up_ends_when_latency_has_come_to_where_it_stays(first):
    """The mean of 40 requests has a standard error of 8 % here.

    From 0.02 (0.5) s a latency comes as near to 0.1 s after 2.3 (3.9) time constants.
    """
    slow, quick = (
        np.mean([settled(decaying(first, 0.1, over_s, seed=seed)) for seed in range(10)])
        for over_s in (0.8, 0.2)
    )
    assert 0.8 <= slow <= 8 * 0.8
    assert 0.2 <= quick <= 8 * 0.2
    assert quick < slow


def test_a_trial_that_begins_as_it_goes_on_loses_little():
    lost = [settled(decaying(0.1, 0.1, 1.0, seed=seed)) for seed in range(40)]
    # even odds at each of 50 means that the next lies on the other side: one on average
    assert np.mean(lost) < 3 * DURATION_S / 50


@pytest.mark.parametrize("latencies", [np.linspace(0.01, 1.0, 1000), np.linspace(1.0, 0.01, 1000)])
def test_where_latency_never_settles_half_of_the_trial_still_counts(latencies):
    assert settled(latencies) == LONGEST * DURATION_S


def test_timeouts_are_slow_and_quick_errors_are_nothing():
    slow_start = [5.0] * 200 + [0.1] * 900
    endings = [TIMEOUT] * 200 + [SUCCESS] * 900
    assert 1.6 < settled(slow_start, endings) < 2.2
    assert settled([0.001, 0.1] * 500, [FAILURE, SUCCESS] * 500) < 0.5


@pytest.mark.parametrize("count", [0, 1, 49])
def test_with_too_few_requests_to_test_a_fifth_is_left_out(count):
    assert settled([0.1] * count) == 0.2 * DURATION_S


def test_an_even_latency_needs_no_warm_up():
    assert settled([0.1] * 1000) < DURATION_S / 50


def test_what_counts_of_a_queue_that_began_empty_is_not_lower_than_in_steady_state():
    """M/M/4 at its sustained rate misses 5 %; from its empty first second on it is less.

    200 trials of 8 s, five relaxation times; the standard error of the mean share is 0.4 points.
    """
    kept, everything = [], []
    for seed in range(200):
        bench = Bench(QUEUE, np.random.default_rng(seed))
        arrivals_s = bench.arrivals(QUEUE.truth_rps, 8.0)
        sojourn_s = bench.answer(arrivals_s).sojourn_s
        made = recording(list(sojourn_s), intended_s=list(arrivals_s), duration_s=8.0)
        counts = arrivals_s >= settled_s(made.rows(), made.spec)
        late = sojourn_s > QUEUE.sla.latency[0].limit_s
        kept.append(late[counts].mean())
        everything.append(late.mean())
    assert math.isclose(np.mean(kept), 0.05, abs_tol=0.012)
    assert np.mean(everything) < np.mean(kept)
