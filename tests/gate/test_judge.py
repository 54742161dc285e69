import math
from typing import Any

import pytest
from scipy.special import ndtr

from capplan.errors import UsageError
from capplan.gate import judge
from capplan.results.capacity import Capacity
from capplan.results.verdict import Check, Verdict
from tests.recommend.builders import (
    PEAK_RPS,
    PEAK_SIGMA,
    QUANTILES,
    capacity,
    certain,
    demand,
    plan,
    provenance,
)

TAIL = 0.5 / QUANTILES
DEMAND = demand()
CEILING = {"name": "database", "rate": "5000 rps"}


def verdict(
    servers: dict[str, Any] | None = None,
    policy: dict[str, Any] | None = None,
    measured: Capacity | None = None,
    *,
    assume: bool = False,
    **sections: Any,
) -> Verdict:
    return judge(
        plan(servers, policy, **sections),
        DEMAND,
        None if assume else measured or certain(386.0),
        provenance(),
    )


def checks(result: Verdict) -> dict[str, Check]:
    return {check.name: check for check in result.checks}


def outcomes(result: Verdict) -> dict[str, str]:
    return {check.name: check.outcome for check in result.checks}


# 30 servers of 386 rps carry the peak with a risk of 0.4%, 20 with 5%; with a third of 30 lost, 6%
@pytest.mark.parametrize(
    ("servers", "policy", "expected", "found"),
    [
        ({"planned": "30"}, {}, "pass", {"overload": "pass", "sla": "pass"}),
        ({"planned": "20"}, {}, "fail", {"overload": "fail", "sla": "pass"}),
        ({"planned": "20"}, {"overload_risk": "10%"}, "pass", {"overload": "pass", "sla": "pass"}),
        (
            {"planned": "30", "zones": "3"},
            {},
            "pass",
            {"overload": "pass", "zone loss": "pass", "sla": "pass"},
        ),
        (
            {"planned": "30", "zones": "3"},
            {"zone_loss_risk": "1%"},
            "fail",
            {"overload": "pass", "zone loss": "fail", "sla": "pass"},
        ),
        ({}, {"budget": "$20"}, "pass", {"overload": "pass", "sla": "pass", "budget": "pass"}),
        ({}, {"budget": "$10"}, "fail", {"overload": "pass", "sla": "pass", "budget": "fail"}),
        (
            {"price": None},
            {"budget": "$10"},
            "inconclusive",
            {"overload": "pass", "sla": "pass", "budget": "inconclusive"},
        ),
        (
            {"ceilings": [CEILING]},
            {},
            "fail",
            {"overload": "pass", "sla": "pass", "ceiling: database": "fail"},
        ),
        (
            {"ceilings": [CEILING | {"rate": "50k rps"}]},
            {},
            "pass",
            {"overload": "pass", "sla": "pass", "ceiling: database": "pass"},
        ),
    ],
)
def test_each_criterion_of_the_plan_is_judged_and_the_worst_is_the_verdict(
    servers: dict[str, Any], policy: dict[str, Any], expected: str, found: dict[str, str]
) -> None:
    result = verdict(servers, policy)
    assert outcomes(result) == found
    assert result.verdict == expected


@pytest.mark.parametrize("planned", [10, 20, 30])
def test_the_measured_risk_is_exact(planned: int) -> None:
    check = checks(verdict({"planned": str(planned)}))["overload"]
    exact = ndtr(math.log(PEAK_RPS / (planned * 386)) / PEAK_SIGMA)
    assert check.measured == pytest.approx(exact, abs=TAIL)
    assert check.required == 0.01
    assert f"{planned} servers" in check.message


def test_one_server_is_spoken_of_as_one() -> None:
    check = checks(verdict({"planned": "1"}))["overload"]
    assert "exceeds what 1 server sustains with probability" in check.message


def test_the_risk_with_a_zone_lost_is_that_of_the_servers_left() -> None:
    lost = checks(verdict({"planned": "30", "zones": "3"}))["zone loss"]
    left = checks(verdict({"planned": "20"}))["overload"]
    assert lost.measured == left.measured
    assert "20 servers sustain, with one of 3 zones lost" in lost.message


def test_the_cost_of_the_planned_fleet_is_that_of_its_window() -> None:
    check = checks(verdict({}, {"budget": "$20"}))["budget"]
    assert check.measured == pytest.approx(30 * 0.20 * (2 + 21 / 60))
    assert check.required == 20


def test_a_plan_that_names_no_planned_servers_is_told_the_key() -> None:
    with pytest.raises(UsageError) as caught:
        verdict({"planned": None})
    assert "servers.planned" in caught.value.hint


@pytest.mark.parametrize(
    ("measured", "expected", "found"),
    [
        # enough already at the rate that is known to hold
        (capacity(386.0, None, None, verdict="not_reached"), "pass", ("pass", "pass")),
        # perhaps enough: nobody knows how much more it holds
        (
            capacity(200.0, None, None, verdict="not_reached"),
            "inconclusive",
            ("inconclusive", "pass"),
        ),
        (
            capacity(386.0, None, 900.0, verdict="inconclusive"),
            "inconclusive",
            ("pass", "inconclusive"),
        ),
        (
            capacity(200.0, None, 900.0, verdict="inconclusive"),
            "inconclusive",
            ("inconclusive", "inconclusive"),
        ),
        (capacity(200.0, 210.0, 220.0), "fail", ("fail", "pass")),
    ],
)
def test_only_a_capacity_that_is_known_can_fail_the_fleet(
    measured: Capacity, expected: str, found: tuple[str, str]
) -> None:
    result = verdict(measured=measured)
    assert result.verdict == expected
    assert (outcomes(result)["overload"], outcomes(result)["sla"]) == found


def test_a_service_that_misses_its_sla_fails_whatever_the_fleet() -> None:
    missed = capacity(None, None, 1.0, verdict="below_sla", reason="all answers are 500")
    result = verdict(measured=missed)
    assert result.verdict == "fail"
    assert outcomes(result) == {"overload": "fail", "sla": "fail"}
    assert all("all answers are 500" in check.message for check in result.checks)


def test_a_load_test_that_found_nothing_is_inconclusive() -> None:
    nothing = capacity(None, None, 90.0, verdict="inconclusive", reason="too noisy")
    result = verdict(measured=nothing)
    assert result.verdict == "inconclusive"
    assert "too noisy" in result.checks[0].message


def test_without_any_capacity_the_fleet_is_inconclusive() -> None:
    result = verdict(assume=True)
    assert result.verdict == "inconclusive"
    assert outcomes(result) == {"overload": "inconclusive", "sla": "inconclusive"}
    whole = verdict({"zones": "3"}, {"budget": "$20"}, assume=True)
    assert set(outcomes(whole)) == {"overload", "zone loss", "sla", "budget"}
    assert set(outcomes(whole).values()) == {"inconclusive"}


def test_what_does_not_depend_on_the_servers_is_judged_without_a_capacity_too() -> None:
    result = verdict({"ceilings": [CEILING]}, assume=True)
    assert outcomes(result) == {
        "overload": "inconclusive",
        "sla": "inconclusive",
        "ceiling: database": "fail",
    }
    assert result.verdict == "fail"


def test_an_assumed_capacity_is_judged_with_a_note() -> None:
    result = verdict({"capacity": "372 to 401 rps"}, assume=True)
    assert result.verdict == "pass"
    assert "assumed_capacity" in [note.code for note in result.notes]
    assert checks(result)["sla"].message == "one server is assumed to sustain 372 to 401 rps"


def test_a_wider_doubt_about_the_capacity_raises_the_risk() -> None:
    narrow = checks(verdict(measured=capacity(372.0, 386.0, 401.0)))["overload"]
    wide = checks(verdict(measured=capacity(250.0, 386.0, 600.0)))["overload"]
    assert narrow.measured is not None
    assert wide.measured is not None
    assert wide.measured > narrow.measured


def test_a_risk_finer_than_can_be_told_is_inconclusive() -> None:
    result = verdict({"planned": "500"}, {"overload_risk": "0%"})
    assert result.verdict == "inconclusive"
    assert checks(result)["overload"].measured == TAIL
    assert "<0.01" in checks(result)["overload"].message
    assert "finer than that cannot be told" in checks(result)["overload"].message


def test_a_ceiling_that_cannot_be_checked_is_noted() -> None:
    result = verdict({"ceilings": [{"name": "payment", "rate": "5/s", "per": "order"}]})
    assert "ceiling_unchecked" in [note.code for note in result.notes]
    assert result.verdict == "pass"
