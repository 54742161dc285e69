"""How the share of failures rises with the load, and how many fail together."""

import numpy as np
import pytest

from benchmarks.search import search
from benchmarks.servers import SERVERS
from capplan.loadtest.search.failure_model import FailureModel, at_once
from capplan.loadtest.search.observation import Misses, Observation
from capplan.model.queueing import erlang_b

KNOWN = {server.name: server for server in SERVERS}


def at(load: float, share: float, bunch: float, requests: int = 5000) -> tuple[Observation, Misses]:
    """A trial of 5 s in which `bunch` requests failed together."""
    variance = max(share * (1 - share) / requests * bunch, 0.5 / requests**2)
    misses = Misses(0.01, share, requests, variance, None)
    return Observation(load, load, 5.0, "refine", True, False, (misses,)), misses


def together(*trials: tuple[Observation, Misses]) -> float:
    return at_once([o for o, _ in trials], [m for _, m in trials])


def test_before_anything_failed_it_is_taken_to_fail_for_half_a_second():
    """1,000 requests/s; the power makes up for what lies outside a part of a trial."""
    assert together(at(1000.0, 0.0, 1.0)) == pytest.approx(500**1.5, rel=0.2)


@pytest.mark.parametrize("bunch", [1.0, 20.0])
def test_trials_soon_tell_how_many_fail_together(bunch):
    seen = together(*[at(1000.0, 0.01, bunch)] * 8)
    assert bunch**1.5 == pytest.approx(seen, rel=0.25)


def test_trials_in_which_most_failed_do_not_tell():
    assert together(at(1000.0, 0.9, 1.0)) == together(at(1000.0, 0.0, 1.0))


def test_it_changes_in_steps_so_that_what_trials_say_stays_known():
    few, more = ([at(1000.0, 0.01, 5.0)] * n for n in (20, 21))
    assert together(*few) == together(*more)


def test_failures_of_a_target_without_a_queue_rise_nearly_with_a_power_of_the_load():
    """Erlang's loss formula with 40 slots, around where it is 1 %: closer than to a line."""
    slots, erlangs = 40, 29.007
    assert erlang_b(slots, erlangs) == pytest.approx(0.01, rel=1e-3)
    below, above = (np.log(erlang_b(slots, x * erlangs)) for x in (0.95, 1.05))
    power = (above - below) / np.log(1.05 / 0.95)
    for x in (0.9, 1.1, 1.15):
        off = np.log(erlang_b(slots, x * erlangs) / 0.01)
        assert abs(power * np.log(x) - off) < min(0.4, abs(power * (x - 1) - off))
    steepness = FailureModel(1.0, 2.0, 2, 0.01, 1.0).steepness
    assert steepness.min() < power < steepness.max()


def test_searches_find_where_a_target_without_a_queue_begins_to_refuse():
    """In benchmarks/search.py 95 % of the middles are within 4 % and all intervals hold the truth.

    Five middles within 8 %, twice that, and at most one interval that does not: P < 0.1 %.
    """
    server = KNOWN["M/M/40, no queue"]
    bounds = [search(server, seed).stop.bounds for seed in range(1, 6)]
    assert all(abs((b.mid or 0.0) / server.truth_rps - 1) < 0.08 for b in bounds)
    assert sum((b.low or 0) <= server.truth_rps <= (b.high or np.inf) for b in bounds) >= 4
