import math
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import ndtr

from capplan.errors import ExitCode, Inconclusive, NotMet, UsageError
from capplan.model.queueing import erlang_c, mmc_sustained_rps
from capplan.recommend import recommend
from capplan.results.capacity import Capacity
from capplan.results.demand import Demand, Profile
from capplan.results.recommendation import Option, Recommendation
from capplan.results.store import from_json, to_json
from capplan.units import format_money
from tests.recommend.builders import (
    MADE_AT,
    PEAK_RPS,
    PEAK_SIGMA,
    QUANTILES,
    REACH,
    START,
    capacity,
    certain,
    demand,
    lognormal,
    passed,
    plan,
    provenance,
    spread,
)

# what lies beyond the largest of n quantiles is not counted
TAIL = 0.5 / QUANTILES


def answer(
    servers: dict[str, Any] | None = None,
    policy: dict[str, Any] | None = None,
    *,
    traffic: Demand | None = None,
    measured: Capacity | None = None,
    assume: bool = False,
    asked: int | None = None,
    made_at: datetime = MADE_AT,
    **sections: Any,
) -> Recommendation:
    """A recommendation from a coarse demand, unless told otherwise."""
    return recommend(
        plan(servers, policy, **sections),
        traffic or demand(count=400),
        None if assume else measured or capacity(),
        provenance(made_at),
        asked,
    )


def options(result: Recommendation) -> dict[int, Option]:
    return {option.servers: option for option in result.options}


def why(result: Recommendation) -> dict[str, str]:
    return {fact.name: fact.text for fact in result.why}


def codes(result: Recommendation) -> list[str]:
    return [note.code for note in result.notes]


def overload(servers: float, server_rps: float, server_sigma: float) -> float:
    sigma = math.hypot(PEAK_SIGMA, server_sigma)
    return float(ndtr(math.log(PEAK_RPS / (servers * server_rps)) / sigma))


@pytest.mark.parametrize("server_sigma", [0.02, 0.2])
@pytest.mark.parametrize("risk", ["0.1%", "1%", "5%", "50%"])
def test_the_smallest_count_within_the_accepted_risk_is_chosen(
    risk: str, server_sigma: float
) -> None:
    low, high = 386 * math.exp(-REACH * server_sigma), 386 * math.exp(REACH * server_sigma)
    result = answer(
        policy={"overload_risk": risk}, traffic=demand(), measured=capacity(low, 386.0, high)
    )
    accepted = float(risk.removesuffix("%")) / 100
    assert result.feasible
    assert overload(result.servers, 386, server_sigma) <= accepted + TAIL
    assert overload(result.servers - 1, 386, server_sigma) > accepted - TAIL


def test_every_option_shows_its_exact_risk() -> None:
    for option in answer(traffic=demand(), measured=certain(386.0)).options:
        assert option.overload_probability == pytest.approx(
            overload(option.servers, 386, 0.0), abs=TAIL
        )
        assert option.fleet_rps == pytest.approx(option.servers * 386)


def test_the_options_are_multiples_of_today_the_plan_and_the_neighbours_of_the_choice() -> None:
    result = answer(asked=18)
    chosen = result.servers
    assert {6, 18, 30, 60, chosen - 1, chosen} <= options(result).keys()
    assert [option.servers for option in result.options] == sorted(options(result))
    assert [option.servers for option in result.options if option.chosen] == [chosen]
    assert options(result)[18].multiple == 3
    assert 8 <= len(result.options) <= 12


@settings(max_examples=25, deadline=None)
@given(
    peak=st.floats(10, 1e5),
    sigma=st.floats(0, 1.2),
    rates=st.tuples(*[st.floats(20, 800)] * 3),
    zones=st.integers(1, 5),
    risk=st.sampled_from(["0.5%", "1%", "10%"]),
)
def test_the_choice_is_within_the_policy_and_one_server_fewer_is_not(
    peak: float, sigma: float, rates: tuple[float, float, float], zones: int, risk: str
) -> None:
    low, mid, high = sorted(rates)
    result = answer(
        {"zones": str(zones), "scaling_loss": "0% to 15%", "imbalance": "0% to 10%"},
        {"overload_risk": risk},
        traffic=demand(peak, sigma, count=200),
        measured=capacity(low, mid, high),
    )
    chosen = options(result)[result.servers]
    assert result.feasible
    assert chosen.excuse == ""
    fewer = options(result).get(result.servers - 1)
    assert fewer is None or "overload" in fewer.excuse or "zone" in fewer.excuse
    risks = [option.overload_probability for option in result.options]
    assert all(b <= a + 1e-12 for a, b in pairwise(risks))


def test_the_cost_is_linear_in_servers_and_in_the_time_with_boot_warm_up_and_lead() -> None:
    hours = 2 + (4 + 2 + 15) / 60
    for option in answer().options:
        assert option.cost == pytest.approx(option.servers * 0.20 * hours)
    longer = answer(sale={"start": START, "duration": "5 h"})
    for option in longer.options:
        assert option.cost == pytest.approx(option.servers * 0.20 * (hours + 3))


@settings(max_examples=15, deadline=None)
@given(
    price=st.floats(0.001, 50),
    hours=st.floats(0.1, 48),
    more=st.floats(0.1, 48),
    today=st.integers(1, 300),
)
def test_the_cost_is_linear_in_count_and_time(
    price: float, hours: float, more: float, today: int
) -> None:
    def costs(duration_h: float) -> dict[int, float]:
        result = answer(
            {"today": str(today), "price": f"${price}/h", "planned": None},
            traffic=demand(100.0, 0.0, count=10),
            sale={"start": START, "duration": f"{duration_h * 3600:.6f} s"},
        )
        return {option.servers: option.cost for option in result.options}

    short, both = costs(hours), costs(hours + more)
    for count, cost in short.items():
        assert cost == pytest.approx(count * short[1])
        assert both[count] - cost == pytest.approx(count * price * more, rel=1e-6)


def test_the_loss_of_a_zone_asks_for_more_servers() -> None:
    alone = answer(policy={"zone_loss_risk": "1%"})
    zoned = answer({"zones": "3"}, {"zone_loss_risk": "1%"})
    left = zoned.servers - math.ceil(zoned.servers / 3)
    assert left == alone.servers
    chosen = options(zoned)[zoned.servers]
    assert chosen.zone_loss_probability == pytest.approx(
        options(alone)[alone.servers].overload_probability
    )
    assert options(zoned)[zoned.servers - 1].excuse.startswith("a lost zone leaves")


def test_a_single_zone_has_no_zone_to_lose_and_says_so() -> None:
    result = answer()
    assert {option.zone_loss_probability for option in result.options} == {None}
    assert "one_zone" in codes(result)
    assert "one_zone" not in codes(answer({"zones": "2"}))


@pytest.mark.parametrize(
    ("servers", "policy", "count", "excuse"),
    [
        ({}, {}, 6, "overload 91% > 1%"),
        ({"zones": "3"}, {}, 6, "overload 91% > 1%"),
        ({"zones": "3"}, {"overload_risk": "20%"}, 18, "a lost zone leaves 12: 36% > 10%"),
        ({"limit": "50"}, {}, 60, "above the limit of 50"),
        ({}, {"budget": "$20"}, 60, "over the budget of $20.00: $28.20"),
        ({}, {}, 60, "safer than the policy asks, $15.51 more"),
    ],
)
def test_a_rejected_count_has_its_excuse(
    servers: dict[str, Any], policy: dict[str, Any], count: int, excuse: str
) -> None:
    result = answer(servers, policy, measured=certain(386.0))
    assert options(result)[count].excuse == excuse


def test_a_risk_that_only_looks_like_the_accepted_one_is_called_just_above_it() -> None:
    exact = overload(26, 386, 0.0)
    accepted = f"{exact * 100 - 0.003:.4f}%"
    result = answer(
        policy={"overload_risk": accepted}, traffic=demand(), measured=certain(386.0), asked=26
    )
    assert result.servers == 27
    assert options(result)[26].excuse.startswith("overload just above ")


@pytest.mark.parametrize(
    ("servers", "policy", "reason"),
    [
        ({"limit": "20", "planned": "10"}, {}, "above the limit of 20"),
        ({}, {"budget": "$9.50"}, "over the budget of $9.50"),
    ],
)
def test_when_quota_or_budget_forbid_it_the_best_within_reach_is_shown(
    servers: dict[str, Any], policy: dict[str, Any], reason: str
) -> None:
    free = answer()
    result = answer(servers, policy)
    assert not result.feasible
    assert result.servers == 20  # 20 servers cost 20 · $0.20/h · 2.35 h = $9.40
    assert reason in result.reasons[0]
    assert f"{free.servers} servers" in result.reasons[0]
    assert options(result)[20].excuse.startswith("overload")
    assert free.servers in options(result)
    # a larger count would be safer: what speaks against it is that it cannot be had
    larger = [option for option in result.options if option.servers > 20]
    assert larger
    assert all(option.excuse.startswith(reason) for option in larger)


def test_a_budget_too_small_for_one_server_is_not_met() -> None:
    result = answer(policy={"budget": "$0.10"})
    assert (result.servers, result.feasible) == (1, False)


@pytest.mark.parametrize(
    ("ceiling", "limit"),
    [
        ({"rate": "5000 rps"}, "5,000 rps"),
        ({"rate": "125/s", "per": "visit"}, "125 visits/s"),
        # 125 visits/s of 40 requests, of which 2% buy
        ({"rate": "2.5/s", "per": "order"}, "2.5 orders/s"),
        # half of them want the same product
        ({"rate": "1.25/s", "per": "hot order"}, "1.25 orders/s of one product"),
    ],
)
def test_a_ceiling_that_binds_makes_every_count_useless(
    ceiling: dict[str, str], limit: str
) -> None:
    orders = 0.02 * PEAK_RPS / 40
    traffic = demand(
        peak_quantiles_orders_per_s=lognormal(orders, PEAK_SIGMA),
        peak_quantiles_hot_orders_per_s=lognormal(orders / 2, PEAK_SIGMA),
    )
    result = answer({"ceilings": [ceiling | {"name": "database"}]}, traffic=traffic)
    (check,) = result.ceilings
    assert check.limit == limit
    assert check.exceed_probability == pytest.approx(
        ndtr(math.log(PEAK_RPS / 5000) / PEAK_SIGMA), abs=TAIL
    )
    assert check.binds
    assert not result.feasible
    assert any(f"ceiling database ({limit})" in reason for reason in result.reasons)


def test_a_high_ceiling_does_not_bind() -> None:
    result = answer({"ceilings": [{"name": "database", "rate": "90k rps"}]})
    assert not result.ceilings[0].binds
    assert result.feasible


def test_a_ceiling_in_orders_without_a_conversion_is_noted_as_unchecked() -> None:
    result = answer({"ceilings": [{"name": "payment", "rate": "5/s", "per": "order"}]})
    assert result.ceilings == ()
    assert "ceiling_unchecked" in codes(result)


def test_a_hot_row_without_a_hot_share_is_noted_as_unchecked() -> None:
    usual = {"orders_per_day": "300", "multiple": "5", "within": "2 h", "conversion": "2%"}
    ceiling = {"name": "stock row", "rate": "5/s", "per": "hot order"}
    result = answer({"ceilings": [ceiling]}, usual=usual)
    assert result.ceilings == ()
    (note,) = (note for note in result.notes if note.code == "ceiling_unchecked")
    assert note.advice == "give visit.hot_share"


def test_a_count_that_was_asked_for_is_explained_in_full() -> None:
    result = answer({"zones": "3"}, {"value_per_visit": "$0.40"}, measured=certain(386.0), asked=18)
    assert result.asked == 18
    option = options(result)[18]
    told = why(result)
    assert told["the peak"] == (
        "4,000 rps in the middle case, 2,070 to 7,720 rps in nine of ten, at 40 requests per visit"
    )
    assert told["they carry"].startswith("6,950 rps, 6,950 to 6,950 rps: 386 rps each, 100% of")
    assert told["overload"].startswith("8.4%, accepted is 1%; ")
    assert told["one of 3 zones lost"] == "12 are left: 36%, accepted is 10%"
    assert f"visits, {format_money(option.expected_lost_value or 0)}" in told["lost, with shedding"]
    assert format_money(option.expected_lost_value_unshed or 0) in told["lost, without"]
    assert f"saves {format_money(option.marginal_value or 0)}" in told["one server more"]
    assert told["cost"] == "$8.46 for 2.35 h at $0.20/h each"
    assert told["judged"].startswith("not within the policy: overload 8.4%")


@pytest.mark.parametrize(
    ("asked", "judged"),
    [
        (27, "within the policy"),
        (60, "within the policy; safer than the policy asks"),
        (90, "within the policy; 60 servers cost $14.10 less at no more risk"),
        (18, "not within the policy: overload 8.4% > 1%"),
        (900, "not within the policy: above the limit of 500"),
    ],
)
def test_a_count_that_was_asked_for_is_judged(asked: int, judged: str) -> None:
    result = answer({"limit": "500"}, measured=certain(386.0), asked=asked)
    assert why(result)["judged"].startswith(judged)


def test_nothing_is_explained_that_was_not_asked_for() -> None:
    assert answer().why == ()


@pytest.mark.parametrize("asked", [0, -3])
def test_a_count_below_one_cannot_be_asked_for(asked: int) -> None:
    with pytest.raises(UsageError, match=f"{asked} is not a number of servers"):
        answer(asked=asked)


def test_a_lost_visit_is_what_the_fleet_cannot_serve_of_it() -> None:
    flat = demand(sigma=0.0, count=400)
    result = answer(
        {"today": "5"}, {"value_per_visit": "$0.40"}, traffic=flat, measured=certain(400.0)
    )
    # 5 servers carry half of a peak of 4,000/s that falls to nothing in 7,200 s: the upper half
    # of the triangle is lost, 2,000/s · 3,600 s / 2 requests of 40 per visit
    lost = options(result)[5]
    assert lost.expected_overload_s == pytest.approx(3600, rel=1e-2)
    assert lost.expected_lost_visits == pytest.approx(2000 * 3600 / 2 / 40, rel=1e-3)
    assert lost.expected_lost_value == pytest.approx(0.40 * lost.expected_lost_visits)
    # without shedding the queue has drained when the lower half is as large: at the very end
    assert lost.expected_lost_visits_unshed == pytest.approx(4000 * 7200 / 2 / 40, rel=1e-2)
    assert lost.expected_lost_value_unshed == pytest.approx(0.40 * lost.expected_lost_visits_unshed)
    # a sixth server carries another 400/s for as long as the demand is above 2,000 to 2,400/s
    assert lost.marginal_value == pytest.approx(0.40 * 400 * (3600 + 2880) / 2 / 40, rel=1e-2)


def test_what_one_more_server_saves_is_what_the_next_option_loses_less() -> None:
    result = answer(policy={"value_per_visit": "$0.40"})
    known = options(result)
    chosen, more = known[result.servers], known[result.servers - 1]
    for loss, saved in (
        ("expected_lost_value", "marginal_value"),
        ("expected_lost_value_unshed", "marginal_value_unshed"),
    ):
        expected = getattr(more, loss) - getattr(chosen, loss)
        assert getattr(more, saved) == pytest.approx(expected)


@pytest.mark.parametrize("value", ["$0.01", "$0.40", "$20"])
def test_value_alone_buys_servers_until_one_more_costs_more_than_it_saves(value: str) -> None:
    result = answer(policy={"value_per_visit": value}, traffic=demand(), measured=certain(100.0))
    bought = result.newsvendor
    assert bought is not None
    cost = 0.20 * (2 + 21 / 60)
    assert bought.overage_usd == pytest.approx(cost)
    known = options(
        answer(
            policy={"value_per_visit": value},
            traffic=demand(),
            measured=certain(100.0),
            asked=bought.servers,
        )
    )
    assert (known[bought.servers].marginal_value or 0.0) <= cost
    fewer = options(
        answer(
            policy={"value_per_visit": value},
            traffic=demand(),
            measured=certain(100.0),
            asked=bought.servers - 1,
        )
    )
    assert (fewer[bought.servers - 1].marginal_value or 0.0) > cost
    assert bought.quantile is not None
    # servers are so many here that the count is as good as continuous: at the optimum the risk is
    # what the critical ratio leaves, up to what one server moves it
    left, before = (
        known[bought.servers].overload_probability,
        fewer[bought.servers - 1].overload_probability,
    )
    assert left - TAIL <= 1 - bought.quantile <= before + (before - left) + TAIL
    assert any("always says to buy the tail" in reason for reason in result.reasons)


@pytest.mark.parametrize(
    ("servers", "policy"), [({}, {}), ({"price": None}, {"value_per_visit": "$1"})]
)
def test_without_a_value_or_a_price_there_is_no_newsvendor(
    servers: dict[str, Any], policy: dict[str, Any]
) -> None:
    result = answer(servers, policy)
    assert result.newsvendor is None
    assert not any("buy the tail" in reason for reason in result.reasons)


def test_a_visit_worth_next_to_nothing_buys_one_server() -> None:
    bought = answer(policy={"value_per_visit": "$0.0000001"}).newsvendor
    assert bought is not None
    assert (bought.servers, bought.quantile, bought.underage_usd) == (1, 0.0, 0.0)


def test_the_queueing_check_is_erlang_c_of_all_slots_at_the_peak() -> None:
    # one server of the refserver kind: 4 slots of 20 ms, p95 < 150 ms; alone it takes 20 ms
    rate = mmc_sustained_rps(4, 0.02, 0.95, 0.15)
    sla = {"sla": {"latency_p95": "150 ms", "failures": "1%"}}
    measured = certain(rate, trials=(passed(20.0, mean_s=0.02), passed(90.0, mean_s=0.025)))
    result = answer(measured=measured, service=sla, asked=30)
    option = options(result)[30]
    assert option.slots == 120
    assert option.wait_probability_p50 == pytest.approx(erlang_c(120, PEAK_RPS * 0.02), rel=1e-4)
    assert option.wait_probability_p95 == 1.0  # 7,700/s are more than 120 slots finish
    assert "120 slots" in why(result)["requests that wait"]
    assert any(reason.startswith("requests that wait") for reason in result.reasons)


def test_a_fleet_that_loses_by_its_size_has_slower_slots() -> None:
    measured = certain(386.0, trials=(passed(20.0, mean_s=0.02),))
    waits = [
        options(answer({"scaling_loss": loss}, measured=measured, asked=16))[16]
        for loss in ("0%", "20%")
    ]
    assert waits[0].slots == waits[1].slots
    before, after = (option.wait_probability_p50 for option in waits)
    assert before is not None
    assert after is not None
    assert before < after


def test_without_a_measured_service_time_nothing_is_said_about_waiting() -> None:
    assumed = answer({"capacity": "372 to 401 rps"}, assume=True)
    for result in (assumed, answer(measured=certain(386.0))):
        assert {option.slots for option in result.options} == {None}
        assert {option.wait_probability_p95 for option in result.options} == {None}
        assert not any("wait" in reason for reason in result.reasons)


def test_without_a_value_per_visit_nothing_is_said_about_money() -> None:
    for option in answer().options:
        assert option.expected_lost_value is None
        assert option.expected_lost_value_unshed is None
        assert option.marginal_value is None


def test_nobody_coming_needs_one_server() -> None:
    nobody = demand(0.0, 0.0, count=400)
    result = answer(traffic=nobody)
    assert (result.servers, result.feasible) == (1, True)
    assert all(option.expected_lost_visits == 0 for option in result.options)


def test_a_price_that_is_not_given_is_noted_and_a_price_of_nothing_is_not() -> None:
    assert "no_price" not in codes(answer())
    assert "no_price" not in codes(answer({"price": "$0/h"}))
    unpriced = answer({"price": None})
    assert "no_price" in codes(unpriced)
    assert {option.cost for option in unpriced.options} == {0.0}


def test_an_assumed_capacity_stands_in_and_is_noted() -> None:
    result = answer({"capacity": "372 to 401 rps"}, assume=True)
    assert result.capacity_source == "assumed"
    assert "assumed_capacity" in codes(result)
    assert (result.server_rps_low, result.server_rps_high) == (372, 401)


def test_a_measured_capacity_comes_before_an_assumed_one() -> None:
    result = answer({"capacity": "1000 to 2000 rps"})
    assert result.capacity_source == "measured"
    assert "assumed_capacity" not in codes(result)
    assert result.server_rps_high == 401


@pytest.mark.parametrize(
    ("verdict", "high", "code"),
    [
        ("not_reached", None, "lower_bound_only"),
        ("not_reached", 500.0, "lower_bound_only"),
        ("inconclusive", None, "inconclusive_capacity"),
        ("inconclusive", 500.0, "inconclusive_capacity"),
    ],
)
def test_of_a_poor_measurement_the_lower_bound_counts_as_certain(
    verdict: str, high: float | None, code: str
) -> None:
    poor = answer(measured=capacity(386.0, None, high, verdict=verdict, reason="too noisy"))
    assert code in codes(poor)
    known = answer(measured=certain(386.0))
    assert poor.servers == known.servers
    assert poor.options == known.options
    assert any("at least 386 rps" in reason for reason in poor.reasons)


def test_a_server_that_misses_the_sla_at_any_load_allows_no_recommendation() -> None:
    with pytest.raises(NotMet, match="everything fails") as caught:
        answer(measured=capacity(None, None, 1.0, verdict="below_sla", reason="everything fails"))
    assert caught.value.exit_code == ExitCode.FAILED
    assert caught.value.hint


def test_a_load_test_without_a_lower_bound_allows_no_recommendation() -> None:
    with pytest.raises(Inconclusive, match="the generator is the limit") as caught:
        answer(
            measured=capacity(
                None, None, 90.0, verdict="inconclusive", reason="the generator is the limit"
            )
        )
    assert caught.value.exit_code == ExitCode.INCONCLUSIVE
    assert "run it again" in caught.value.hint


def test_without_any_capacity_there_is_no_recommendation() -> None:
    with pytest.raises(UsageError, match="not known what one server sustains"):
        answer(assume=True)


@pytest.mark.parametrize(
    ("low", "mid", "high"), [(0.0, 1.0, 2.0), (3.0, 2.0, 4.0), (3.0, 4.0, 3.5), (-1.0, 2.0, 3.0)]
)
def test_a_capacity_edited_into_nonsense_is_refused(low: float, mid: float, high: float) -> None:
    with pytest.raises(UsageError, match="makes no sense"):
        answer(measured=capacity(low, mid, high))


@pytest.mark.parametrize(
    ("seen", "contradicts"),
    [
        ("850 rps at 35% CPU on 6 servers", False),  # 405 rps at full CPU
        ("350 rps at 35% CPU on 6 servers", True),  # 167 rps
        ("2400 rps at 35% CPU on 6 servers", True),  # 1,140 rps
    ],
)
def test_a_capacity_that_contradicts_today_is_noted(seen: str, contradicts: bool) -> None:
    usual = {
        "orders_per_day": "300",
        "multiple": "5",
        "within": "2 h",
        "conversion": "2%",
        "peak": seen,
    }
    assert ("contradicts_today" in codes(answer(usual=usual))) is contradicts


@pytest.mark.parametrize(
    ("per_visit", "unit", "differs"),
    [(40.0, "visit", False), (90.0, "visit", True), (9.0, "visit", True), (1.0, "task", False)],
)
def test_visits_of_the_load_test_that_differ_from_the_plan_are_noted(
    per_visit: float, unit: str, differs: bool
) -> None:
    identity = capacity().identity.model_copy(update={"unit": unit})
    result = answer(measured=capacity(identity=identity, requests_per_arrival=per_visit))
    assert ("other_visits" in codes(result)) is differs


def test_an_assumed_scaling_loss_is_noted_unless_it_is_none() -> None:
    assert "assumed_scaling" not in codes(answer())
    assert "assumed_scaling" in codes(answer({"scaling_loss": "0% to 15%"}))


def test_a_sale_in_the_past_is_noted() -> None:
    start = datetime.fromisoformat(START)
    assert "past" in codes(answer(made_at=start + timedelta(days=1)))
    assert "late" in codes(answer(made_at=start - timedelta(minutes=5)))
    assert not {"past", "late"} & set(codes(answer(made_at=start - timedelta(hours=1))))


def test_a_risk_finer_than_the_draws_can_tell_is_shown_as_a_bound_and_not_promised() -> None:
    result = answer(policy={"overload_risk": "0%"}, traffic=demand(), measured=certain(386.0))
    assert result.resolution == TAIL
    assert options(result)[result.servers].overload_probability == TAIL
    assert "overload <0.01" in options(result)[result.servers].excuse
    assert not result.feasible
    assert "resolution" in codes(result)
    assert result.reasons[0].startswith("no count meets the policy")
    assert result.servers < 200


def test_few_draws_tell_less() -> None:
    assert answer(traffic=demand(draws=50)).resolution == 0.01


def test_a_server_that_carries_next_to_nothing_ends_in_an_answer() -> None:
    result = answer(measured=certain(1e-6))
    assert not result.feasible
    assert result.reasons[0].startswith("no count meets the policy")


def test_the_first_reason_is_the_answer() -> None:
    result = answer()
    assert result.reasons[0].startswith(f"{result.servers} is the smallest count that meets")


def test_the_same_inputs_give_the_same_bytes_which_can_be_read_again() -> None:
    first, second = (to_json(answer({"zones": "3"}, {"value_per_visit": "$1"})) for _ in range(2))
    assert first == second
    assert to_json(from_json(first, Recommendation, "here")) == first


def test_peaks_need_not_come_sorted() -> None:
    shuffled = tuple(np.random.default_rng(1).permutation(demand(count=400).peak_quantiles_rps))
    assert answer(traffic=demand(peak_quantiles_rps=shuffled)).options == answer().options


@pytest.mark.parametrize(
    "damage",
    [
        {"peak_quantiles_rps": ()},
        {"draws": 0},
        {"requests_per_visit": spread(0.0)},
        {"profile": Profile(t_s=(0.0, 1.0), rps_p5=(), rps_p50=(1.0,), rps_p95=(1.0,))},
        {"profile": Profile(t_s=(), rps_p5=(), rps_p50=(), rps_p95=())},
    ],
)
def test_a_demand_that_was_edited_until_nothing_can_be_decided_is_refused(
    damage: dict[str, Any],
) -> None:
    with pytest.raises(UsageError, match="the demand has no peaks"):
        answer(traffic=demand(count=4).model_copy(update=damage))
