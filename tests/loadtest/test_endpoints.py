"""Endpoints with an SLA of their own: names, sample sizes, and which criterion binds."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path

import pytest
from scipy.stats import binom

from capplan.errors import UsageError
from capplan.loadtest import measure as measuring
from capplan.loadtest.endpoints import enough, find_binding, misspelt, unjudged
from capplan.loadtest.evaluate import evaluate
from capplan.loadtest.measure import measure
from capplan.loadtest.validity import Usage
from capplan.model.service_time import Deterministic
from capplan.plan.sla import Sla, parse_sla
from capplan.refserver import RefServer, RefServerConfig
from capplan.results.capacity import Trial
from tests.loadtest.harness import SLA, job, recording, script

ORDERS: Mapping[str, Sla] = {"POST /order": parse_sla("p99<200ms, failures<5%")}
NAMES = ("GET /", "POST /order")


def trial(
    slow_orders: int,
    orders: int,
    pages: int = 400,
    *,
    rps: float = 100.0,
    slow_pages: int = 0,
    failed_orders: int = 0,
) -> Trial:
    """A judged trial of so many pages and orders, of which some are slow."""
    latency = [0.5] * slow_pages + [0.1] * (pages - slow_pages)
    latency += [0.25] * slow_orders + [0.1] * (orders - slow_orders)
    ending = [0] * (pages + orders - failed_orders) + [1] * failed_orders
    made = recording(latency, ending, endpoint=[0] * pages + [1] * orders, endpoints=NAMES)
    judged = evaluate(made, "refine", 0.0, SLA, ORDERS, Usage())
    return judged.model_copy(update={"rate_rps": rps})


# names


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("POST /chekout", "POST /checkout"),
        ("POST /chceckout", "POST /checkout"),
        ("post /checkout", "POST /checkout"),
        ("POST /checkout/", "POST /checkout"),
        ("POST  /checkout", "POST /checkout"),
        ("/checkout", "POST /checkout"),
        ("GET /page/2", None),
        ("GET /checkout", None),
        ("POST /refund", None),
        ("GET /page/1", None),
    ],
)
def test_a_slip_in_a_name_is_told_from_a_rare_request(name, meant):
    called = ["POST /checkout", "GET /page/1", "GET /"]
    assert misspelt([name], called) == ({} if meant is None else {name: meant})


def test_a_name_that_is_in_the_plan_itself_is_not_what_another_means():
    assert misspelt(["POST /cart", "POST /carts"], ["POST /carts"]) == {}


# sample sizes


@pytest.mark.parametrize("allowed", [0.05, 0.01, 0.001])
def test_enough_requests_are_the_fewest_that_exclude_too_many_misses(allowed):
    count = enough(allowed)
    assert binom.pmf(0, count, allowed) <= 0.05 < binom.pmf(0, count - 1, allowed)


@pytest.mark.parametrize(
    ("slow", "orders", "held"),
    [
        (0, 50, True),
        (1, 50, True),  # 2 %, and by chance in 39 of 100 trials
        (2, 50, True),  # by chance in 9 of 100
        (3, 50, False),  # in 1.4
        (3, 298, True),  # 1.007 %: in 58 of 100
        (3, 299, False),  # enough to be taken at its word
        (2, 299, True),
    ],
)
def test_a_slow_answer_of_a_rare_endpoint_does_not_fail_a_trial_by_itself(slow, orders, held):
    judged = trial(slow, orders, pages=2000)
    (p99,) = (c for c in judged.criteria if (c.endpoint, c.name) == ("POST /order", "p99"))
    assert p99.held is held
    assert p99.exceedance == pytest.approx(slow / orders)
    assert judged.outcome == ("pass" if held else "fail")


def test_an_endpoint_that_is_too_rare_to_judge_is_noted():
    trials = [trial(0, 60, rps=100), trial(1, 70, rps=110), trial(0, 900, rps=20)]
    (note,) = unjudged(trials, SLA, ORDERS, 100.0)
    assert note.code == "endpoint_rare"
    assert note.message == (
        "POST /order was requested 130 times near the answer, and its p99 takes 299 to judge"
    )
    assert unjudged([trial(0, 299)], SLA, ORDERS, 100.0) == ()


def test_an_endpoint_that_was_never_requested_is_noted():
    (note,) = unjudged([trial(0, 0), trial(0, 0)], SLA, ORDERS, 100.0)
    assert note.code == "endpoint_not_seen"
    assert note.message == "none of 800 requests was POST /order: its SLA was not judged"


def test_before_any_trial_there_is_nothing_to_note():
    assert unjudged([], SLA, ORDERS, None) == ()


def test_a_percentile_of_the_mix_that_takes_more_requests_than_were_made_is_noted():
    """0.999^2994 > 5 % > 0.999^2995. Trials at other loads do not count."""
    trials = [trial(0, 0, 2000, rps=100), trial(0, 0, 994, rps=110), trial(0, 0, 9000, rps=20)]
    sla = parse_sla("p50<100ms, p99.9<2s")
    (note,) = unjudged(trials, sla, {}, 100.0)
    assert note.code == "few_requests"
    assert (
        note.message == "p99.9 takes 2,995 requests to judge, and there were 2,994 near the answer"
    )
    assert unjudged([*trials, trial(0, 0, 1, rps=100)], sla, {}, 100.0) == ()
    assert unjudged(trials, parse_sla("failures<1%"), {}, 100.0) == ()


# what binds


def test_the_criterion_that_was_missed_most_around_the_answer_binds():
    found = find_binding(
        [
            trial(0, 500, rps=20, slow_pages=400),  # far from the answer
            trial(5, 500, rps=98),
            trial(15, 500, rps=104, slow_pages=10),
            trial(0, 500, rps=110).model_copy(update={"outcome": "invalid"}),
        ],
        100.0,
    )
    assert found is not None
    assert (found.endpoint, found.name, found.limit) == ("POST /order", "p99", 0.2)
    assert found.exceedance == pytest.approx(20 / 1000)
    assert (found.from_rps, found.to_rps) == (98, 104)


def test_failures_of_one_endpoint_may_bind():
    found = find_binding([trial(0, 500, 8000, failed_orders=40)], 100.0)
    assert found is not None
    assert (found.endpoint, found.name, found.exceedance) == ("POST /order", "failures", 0.08)


def test_the_whole_mix_may_bind():
    found = find_binding([trial(0, 500, slow_pages=100)], 100.0)
    assert found is not None
    assert (found.endpoint, found.name) == (None, "p95")


def test_without_an_answer_the_lowest_failed_trial_tells_what_binds():
    trials = [trial(100, 500, rps=50), trial(0, 500, rps=90, slow_pages=300)]
    found = find_binding(trials, None)
    assert found is not None
    assert (found.endpoint, found.from_rps, found.to_rps) == ("POST /order", 50, 50)


def test_nothing_binds_where_nothing_failed():
    assert find_binding([trial(0, 500)], None) is None
    assert find_binding([], 100.0) is None


# end to end

SLOW_ORDERS = """
class Buyer(FastHttpUser):
    @task(4)
    def page(self):
        self.client.get("/page")

    @task
    def order(self):
        self.client.post("/order")
"""


@pytest.mark.load
def test_where_only_one_endpoint_binds_the_answer_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Four pages to one order, one slot, 10 ms each: the queue is the same for both.

    The mix may take 2 s, an order 60 ms. In M/D/1 at utilisation ρ the sojourn exceeds 60 ms, six
    service times, for one arrival in twenty at about ρ = 0.8; up to ρ = 0.99 the mix would hold. An
    answer near 100 requests/s would be that of the mix. So few seconds leave a wide interval; a
    factor of two is left for the machine.
    """
    monkeypatch.setattr(measuring, "FIRST_RATE", 40.0)  # time for trials that must be repeated
    locustfile = script(tmp_path, SLOW_ORDERS)
    planned = {"POST /order": parse_sla("p95<60ms, failures<1%")}
    with RefServer(RefServerConfig(1, Deterministic(0.01), lifetime_s=60.0)) as target:
        wanted = dataclasses.replace(
            job(locustfile, target.url, sla=parse_sla("p95<2s, failures<5%"), time_budget_s=14.0),
            endpoints=planned,
        )
        found = measure(wanted, lambda _: None, lambda _: None)
    assert found.binding is not None
    assert (found.binding.endpoint, found.binding.name) == ("POST /order", "p95")
    assert found.binding.exceedance > 0.05
    assert "p95 of POST /order" in found.reason
    low, high = found.bounds_rps.low, found.bounds_rps.high
    assert low is not None
    assert high is not None
    assert low < 80 < 2 * high


def test_a_misspelt_endpoint_is_refused_before_any_load(tmp_path: Path):
    locustfile = script(tmp_path, SLOW_ORDERS.replace("task(4)", "task(30)"))
    planned = {"POST /ordr": parse_sla("p95<60ms")}
    with RefServer(RefServerConfig(8, Deterministic(0.001), lifetime_s=60.0)) as target:
        wanted = dataclasses.replace(job(locustfile, target.url), endpoints=planned)
        with pytest.raises(
            UsageError, match="no request of the script is named 'POST /ordr'"
        ) as no:
            measure(wanted, lambda _: None, lambda _: None)
        received = target.stats()["received"]
    assert "did you mean 'POST /order'" in no.value.hint
    # an order is one in 31 tasks, so it takes more than the usual visit to see one
    assert 2 < received <= 202
