"""Several kinds of server: the cheapest that is known to do is chosen, and every other excused."""

import math
from itertools import combinations
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import ndtr

from capplan.errors import UsageError
from capplan.recommend import recommend
from capplan.recommend.autoscaling import SCHEDULE
from capplan.results.capacity import Capacity
from capplan.results.recommendation import Option, Recommendation
from tests.recommend.builders import (
    PEAK_RPS,
    PEAK_SIGMA,
    QUANTILES,
    REACH,
    certain,
    demand,
    plan,
    provenance,
)

TAIL = 0.5 / QUANTILES
HOURS = 2 + 21 / 60  # two hours, boot, warm-up and what is to spare


def decided(
    *alternatives: dict[str, Any],
    asked: int | None = None,
    kind: str | None = None,
    policy: dict[str, Any] | None = None,
    measured: Capacity | None = None,
    **servers: Any,
) -> Recommendation:
    asked_for = plan({"alternatives": list(alternatives)} | servers, policy)
    return recommend(asked_for, demand(), measured or certain(386.0), provenance(), asked, kind)


def other(name: str = "big", price: str = "$0.30/h", speed: str = "2") -> dict[str, Any]:
    return {"name": name, "price": price, "relative_speed": speed}


def of(result: Recommendation, kind: str | None) -> dict[int, Option]:
    return {option.servers: option for option in result.options if option.instance == kind}


def test_a_kind_that_does_twice_as_much_needs_half_as_many():
    alone, result = decided(), decided(other(price="$0.41/h"))
    assert (result.servers, result.instance) == (alone.servers, None)
    half = math.ceil(alone.servers / 2)
    needed = of(result, "big")[half]
    assert needed.cost == pytest.approx(half * 0.41 * HOURS)
    exact = ndtr(math.log(PEAK_RPS / (half * 2 * 386)) / PEAK_SIGMA)
    assert needed.overload_probability == pytest.approx(exact, abs=TAIL)
    assert f"of big the policy needs {half}, which cost ${needed.cost:.2f}" in result.reasons


def test_the_cheapest_fleet_that_meets_the_policy_is_chosen():
    result = decided(
        other("big", "$0.30/h", "2"), other("huge", "$0.90/h", "4"), asked=26, kind="planned"
    )
    assert result.instance == "big"
    assert result.chosen.instance == "big"
    assert result.chosen.excuse == ""
    assert "are the cheapest fleet that meets the policy" in result.reasons[0]
    feasible = [option for option in result.options if not complaint(option)]
    assert result.chosen.cost == min(option.cost for option in feasible)
    # the plan's own kind is explained, and excused by what is cheaper
    assert result.option(26, None) is not None
    assert any("big cost" in option.excuse for option in of(result, None).values())


def complaint(option: Option) -> bool:
    return option.excuse.startswith(("overload", "a lost zone", "above", "over the budget"))


def test_a_kind_that_is_dearer_in_all_is_not_chosen():
    result = decided(other(price="$0.50/h"))
    assert result.instance is None
    needed = of(result, "big")[math.ceil(result.servers / 2)]
    assert needed.excuse.endswith("less at no more risk")
    assert not needed.pareto


def test_the_doubt_about_a_speed_is_part_of_the_risk():
    ends = math.exp(REACH * 0.2)
    result = decided(other(speed=f"{2 / ends} to {2 * ends}", price="$0.2/h"))
    for servers, option in of(result, "big").items():
        sigma = math.hypot(PEAK_SIGMA, 0.2)
        exact = ndtr(math.log(PEAK_RPS / (servers * 2 * 386)) / sigma)
        assert option.overload_probability == pytest.approx(exact, abs=TAIL)


def test_a_speed_that_is_only_assumed_is_shown_and_not_chosen():
    kinds: dict[str, Any] = {"price": None, "instance": "m7i.large"}
    result = decided({"instance": "c7g.xlarge"}, **kinds)
    assert result.instance == result.planned_instance == "m7i.large"
    cheaper = [o for o in of(result, "c7g.xlarge").values() if not complaint(o)]
    assert any(
        o.excuse.endswith("less, but its speed is only assumed: measure one") for o in cheaper
    )
    (note,) = (note for note in result.notes if note.code == "assumed_speed")
    assert note.message == (
        "how fast c7g.xlarge is against m7i.large is assumed from their vCPUs: 1.4x to 2.8x"
    )
    # once it is known it is chosen
    known = decided({"instance": "c7g.xlarge", "relative_speed": "2"}, **kinds)
    assert known.instance == "c7g.xlarge"
    assert "assumed_speed" not in [note.code for note in known.notes]


def test_a_list_price_is_named_with_its_date_and_an_own_price_is_not():
    listed = decided(price=None, instance="m7i.large")
    assert any("$0.1008/h by the list of 2026-01-19" in reason for reason in listed.reasons)
    own = decided(price="$0.1/h", instance="m7i.large")
    assert not any("by the list" in reason for reason in own.reasons)


def test_another_kind_within_the_quota_is_better_than_none():
    result = decided(other(price="$1/h"), limit="20", planned="10")
    assert (result.instance, result.feasible) == ("big", True)
    assert "of the servers of the plan no count meets the policy" in result.reasons


def test_of_another_kind_the_sale_runs_instead_of_todays_servers():
    result = decided(other(speed="10", price="$0.30/h"))
    assert result.servers < 6  # today's
    up, *_, down = result.schedule
    assert (up.servers, down.servers) == (result.servers, 6)
    assert "big" in up.why


def test_how_many_slots_another_kind_has_is_not_known():
    result = decided(other())
    assert {option.slots for option in of(result, "big").values()} == {None}


@settings(max_examples=15, deadline=None)
@given(
    kinds=st.lists(
        st.tuples(st.integers(5, 90), st.integers(3, 60)), min_size=1, max_size=3, unique=True
    ),
    zones=st.integers(1, 3),
)
def test_what_is_not_pareto_has_a_better_one_and_what_is_has_none(
    kinds: list[tuple[int, int]], zones: int
) -> None:
    others = [
        other(f"kind {i}", f"${price / 100}/h", f"{speed / 10}")
        for i, (price, speed) in enumerate(kinds)
    ]
    result = decided(*others, zones=str(zones))
    efficient = [option for option in result.options if option.pareto]
    for one, two in combinations(efficient, 2):
        assert not (costs(one) != costs(two) and all(map(float.__le__, costs(one), costs(two))))
    for option in result.options:
        if not option.pareto:
            assert any(all(map(float.__le__, costs(better), costs(option))) for better in efficient)
    assert result.chosen.pareto
    assert [o.cost for o in result.options] == sorted(o.cost for o in result.options)


def costs(option: Option) -> tuple[float, float, float]:
    return option.cost, option.overload_probability, option.zone_loss_probability or 0.0


def told(result: Recommendation) -> dict[str, str]:
    return {fact.name: fact.text for fact in result.why}


@pytest.mark.parametrize(
    ("kind", "instance", "each_rps", "price"),
    [
        (None, "big", 772, "$0.30/h"),
        ("big", "big", 772, "$0.30/h"),
        ("huge", "huge", 1544, "$0.90/h"),
        ("planned", None, 386, "$0.20/h"),
    ],
)
def test_a_count_is_explained_of_the_recommended_kind_or_of_the_one_asked_for(
    kind: str | None, instance: str | None, each_rps: int, price: str
) -> None:
    result = decided(
        other("big", "$0.30/h", "2"), other("huge", "$0.90/h", "4"), asked=11, kind=kind
    )
    assert result.instance == "big"
    assert (result.asked, result.asked_instance) == (11, instance)
    option = result.option(11, instance)
    assert option is not None
    assert option.fleet_rps == pytest.approx(11 * each_rps)
    facts = told(result)
    assert facts["cost"].endswith(f"at {price} each")
    risk = ndtr(math.log(PEAK_RPS / (11 * each_rps)) / PEAK_SIGMA)
    assert float(facts["overload"].split("%")[0]) / 100 == pytest.approx(risk, rel=0.01, abs=TAIL)


def test_the_kind_of_the_plan_goes_by_its_name_too() -> None:
    kinds: dict[str, Any] = {"price": None, "instance": "m7i.large"}
    result = decided(other(), asked=3, kind="m7i.large", **kinds)
    assert result.asked_instance == "m7i.large"
    assert told(result)["cost"].endswith("at $0.1008/h each")


def test_a_kind_that_the_plan_does_not_know_and_one_without_a_count_are_refused() -> None:
    with pytest.raises(UsageError, match="no servers of the kind 'small'") as caught:
        decided(other(), asked=3, kind="small")
    assert "planned, big" in (caught.value.hint or "")
    with pytest.raises(UsageError, match="of how many big"):
        decided(other(), kind="big")


def test_the_schedule_of_another_kind_counts_that_kind_until_todays_come_back():
    result = decided(other(speed="2", price="$0.30/h"), batch="5 every 2 min")
    assert result.instance == "big"
    *fleet, back = result.schedule
    # none of that kind runs before, so all of them come in batches
    assert [step.servers for step in fleet[:3]] == [5, 10, result.servers]
    for step in fleet:
        assert step.fleet_rps == pytest.approx(step.servers * 2 * 386)
    assert back.servers == 6
    assert back.fleet_rps == pytest.approx(6 * 386)
    assert result.autoscaling is not None
    # as many as carry what today's six do
    assert result.autoscaling.least_servers == 3


@pytest.mark.parametrize("speed", ["3", "4", "5.9"])
def test_an_autoscaler_alone_has_todays_servers_whatever_kind_the_schedule_brings(
    speed: str,
) -> None:
    """Two large ones may carry more than today's six, and without a schedule nobody has them."""
    own = decided(limit="60")
    result = decided(other(price="$0.30/h", speed=speed), limit="60")
    assert (own.instance, result.instance) == (None, "big")
    expected, found = (
        [one for one in answer.autoscaling.alone if one.rule != SCHEDULE]
        for answer in (own, result)
        if answer.autoscaling
    )
    assert found == expected
    assert min(one.lost_visits for one in found) > 0
