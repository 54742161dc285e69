"""Where the load test made visits, peak and fleet are compared in visits/s."""

import math
from typing import Any

import numpy as np
import pytest
from scipy.special import ndtr

from capplan.gate import judge
from capplan.recommend import recommend
from capplan.results.capacity import Capacity
from capplan.results.demand import Demand
from capplan.results.recommendation import Recommendation
from tests.estimate.builders import demand_of
from tests.recommend.builders import (
    PEAK_SIGMA,
    QUANTILES,
    certain,
    demand,
    lognormal,
    plan,
    provenance,
)

TAIL = 0.5 / QUANTILES
VISITS_PER_S = 100.0  # at the peak, in the middle case
MADE = 25.0  # requests in a visit of the load test; of the plan, 40


def of_visits(rate_rps: float, made: float = MADE) -> Capacity:
    """A capacity that is known exactly, measured with whole visits."""
    identity = certain(rate_rps).identity.model_copy(update={"unit": "visit"})
    return certain(rate_rps, identity=identity, requests_per_arrival=made)


def traffic(sigma: float = 0.2) -> Demand:
    return demand(peak_quantiles_visits_per_s=lognormal(VISITS_PER_S, sigma))


def decided(measured: Capacity, found: Demand | None = None, **keys: Any) -> Recommendation:
    return recommend(plan(**keys), found or traffic(), measured, provenance(), 12)


def test_the_risk_is_that_of_the_visits_and_not_of_the_requests_in_the_plan():
    result = decided(of_visits(386.0))
    for option in result.options:
        carried = option.servers * 386 / MADE
        exact = ndtr(math.log(VISITS_PER_S / carried) / 0.2)
        assert option.overload_probability == pytest.approx(exact, abs=TAIL)
    told = {fact.name: fact.text for fact in result.why}
    assert told["the peak"].startswith("2,500 rps in the middle case")
    assert told["the peak"].endswith("at 25 requests per visit")
    assert told["they carry"].endswith("185 visits/s")
    assert any("compared in visits/s, of 25 requests each" in reason for reason in result.reasons)


def test_tasks_are_compared_in_requests():
    result = decided(certain(386.0))
    (option,) = (option for option in result.options if option.servers == 12)
    exact = ndtr(math.log(4000 / (12 * 386)) / PEAK_SIGMA)
    assert option.overload_probability == pytest.approx(exact, abs=TAIL)
    assert not any("compared in visits/s" in reason for reason in result.reasons)


def test_a_demand_that_does_not_know_its_visits_is_compared_in_requests():
    assert decided(of_visits(386.0), demand()).options == decided(certain(386.0)).options


def test_lost_visits_and_ceilings_go_by_the_visits_that_were_measured():
    sure = demand(peak_quantiles_visits_per_s=(VISITS_PER_S,) * 400)
    ceiling = {"ceilings": [{"name": "payment", "rate": "110/s", "per": "visit"}], "today": "5"}
    result = decided(of_visits(250.0), sure, servers=ceiling)
    (five,) = (option for option in result.options if option.servers == 5)
    # 5 · 250/25 = 50 of 100 visits/s, falling to none in two hours: the upper half of a triangle
    assert five.expected_lost_visits == pytest.approx(50 * 3600 / 2, rel=1e-3)
    assert result.ceilings[0].limit == "110 visits/s"
    assert not result.ceilings[0].binds


def test_the_gate_judges_by_the_same_comparison():
    verdict = judge(plan({"planned": "12"}), traffic(), of_visits(386.0), provenance())
    (overload,) = (check for check in verdict.checks if check.name == "overload")
    (option,) = (o for o in decided(of_visits(386.0)).options if o.servers == 12)
    assert overload.measured == option.overload_probability


def test_the_doubt_about_the_requests_of_a_visit_cancels_when_they_were_measured():
    # everything else is certain: then the peak in visits is, too
    wide = plan(visit={"requests": "10 to 90"}, gusts="0%")
    found = demand_of(wide, 2000)
    spread = [np.ptp(np.log(q)) for q in (
        found.peak_quantiles_rps, found.peak_quantiles_visits_per_s)]  # fmt: skip
    assert spread[0] > 2
    # a visit sends its requests over a duration of its own, which is a range still
    assert spread[1] < 0.3


def test_visits_that_differ_from_the_plan_are_noted_with_what_counts():
    (note,) = (n for n in decided(of_visits(386.0, made=5.0)).notes if n.code == "other_visits")
    assert note.message == (
        "a visit of the load test made 5 requests, in the plan it makes 40 to 40; peak and fleet "
        "are compared in visits/s, as the load test made them"
    )
