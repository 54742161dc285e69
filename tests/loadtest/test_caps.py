"""What the user allows at most: tables, and that a real load keeps it."""

import math
from dataclasses import replace
from statistics import fmean, stdev

import pytest

from capplan.loadtest.caps import affordable, surely_at_most
from capplan.loadtest.evaluate import evaluate
from capplan.loadtest.measure import measure
from capplan.loadtest.validity import Usage
from capplan.model.streams import stream
from capplan.results.capacity import Trial
from tests.loadtest.harness import (
    SLA,
    engine,
    job,
    recording,
    ref_server,
    run,
    script,
    spec,
    to_the_end,
)

MIXED = """
class Buyer(FastHttpUser):
    @task(3)
    def look(self):
        self.client.get("/a")

    @task
    def buy(self):
        for name in "abcde":
            self.client.get(f"/{name}")
"""


def trial(requests: list[int]) -> Trial:
    """A trial whose arrivals made so many requests each."""
    squares = sum(n * n for n in requests)
    made = recording([0.01] * sum(requests), requests_squared=squares, issued=len(requests))
    return evaluate(made, "probe", 0.0, SLA, {}, Usage())


def test_the_bound_is_two_standard_errors_above_the_mean_of_all_trials():
    first, second = [1, 1, 5, 1], [1, 5, 1, 1, 1, 1, 5, 1]
    found = surely_at_most([trial(first), trial(second)])
    inner = sum(len(r) * (stdev(r) ** 2 * (len(r) - 1) / len(r)) for r in (first, second))
    assert found == pytest.approx(fmean(first + second) + 2 * math.sqrt(inner) / 12)
    assert surely_at_most([]) is None


def test_the_bound_holds_in_nearly_all_cases():
    """One arrival in four makes five requests, others one: mean 2; 2 SE are passed in 2.3 %.

    Of 400 samples about 9 are beyond; more than 25 would be five standard deviations off. The
    normal law is close from n = 200 on.
    """
    rng = stream(1, "tests.caps")
    missed = 0
    for _ in range(400):
        requests = [5 if x < 0.25 else 1 for x in rng.random(200)]
        bound = surely_at_most([trial(requests)])
        assert bound is not None
        missed += bound < 2.0
    assert missed <= 25


def test_a_load_is_affordable_with_room_for_chance():
    assert affordable(100, 1.0, 122)
    assert not affordable(100, 1.0, 121)
    assert not affordable(0, 1.0, 1)


@pytest.mark.load
def test_a_child_counts_the_squares_and_stops_at_the_cap(tmp_path):
    locustfile = script(tmp_path, MIXED)
    with ref_server() as target:
        whole = run(locustfile, target.url, spec())
        with engine(locustfile, target.url, processes=2) as fleet:
            before = target.stats()["received"]
            load = replace(spec(400.0, 20.0, max_users=50), most_requests=60)
            capped = fleet.trial(load, to_the_end)
            received = target.stats()["received"] - before
    issued, made = whole.state["issued"], whole.requests_made
    # a squares sum of ones and fives, given how many of each there were
    fives = (made - issued) / 4
    assert whole.state["requests_squared"] == issued - fives + 25 * fives
    assert capped.state["capped"] == 2
    assert capped.requests_made == received
    # each of the two may have four users in a task of five when it stops, at this pace, or none
    assert 60 - 2 * 5 <= received <= 60 + 2 * 5 * 4
    assert max(capped.each("held_s")) < 10.0


@pytest.mark.load
def test_no_more_is_asked_for_than_the_highest_rate_and_the_number_of_requests(tmp_path):
    """The check visit makes two of the tasks, so it knows little of the five requests of one."""
    locustfile = script(tmp_path, MIXED)
    with ref_server() as target:
        wanted = replace(job(locustfile, target.url, max_rate_rps=150.0), max_requests=300)
        found = measure(wanted, lambda _: None, lambda _: None)
        received = target.stats()["received"]
    assert found.verdict == "inconclusive"
    assert "all requests were made that may be made" in found.reason
    assert "request_cap" in {note.code for note in found.notes}
    assert found.requests_made == received <= 300
    assert found.bounds_rps.low is not None
    assert len(found.trials) >= 2
    # rates are restated by all that is known at the end; 2 standard errors were left at each
    assert max(t.rate_rps for t in found.trials) <= 150.0 * 1.02
