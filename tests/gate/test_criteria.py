"""What the plan says under ``gate:`` is what is judged. 30 servers of 386 rps carry the peak with a
risk of 0.4%, with a third of them lost 6%; they cost $14.10."""

from typing import Any

import pytest

from capplan.errors import UsageError
from capplan.gate import Change, judge
from capplan.results.paired import RatioRange
from capplan.results.verdict import Verdict
from tests.recommend.builders import capacity, certain, demand, plan, provenance

DEMAND = demand()
SERVERS = {"zones": "3", "ceilings": [{"name": "database", "rate": "5000 rps"}]}
POLICY = {"budget": "$20"}
EVERYTHING = {
    "overload": "pass",
    "zone loss": "pass",
    "sla": "pass",
    "budget": "pass",
    "ceiling: database": "fail",
}
CHECK = {
    "overload_risk": "overload",
    "zone_loss_risk": "zone loss",
    "sla": "sla",
    "budget": "budget",
    "ceilings": "ceiling: database",
}
SAME = Change(RatioRange(low=0.99, mid=1.0, high=1.01, confidence=0.95), "paired")
LOST = Change(RatioRange(low=None, mid=None, high=1.0, confidence=0.95), "paired", lost="all 500")


def verdict(
    gate: dict[str, Any] | None = None,
    *changes: Change,
    policy: dict[str, str] = POLICY,
    measured: Any = None,
) -> Verdict:
    asked = plan(SERVERS, policy, gate=gate or {})
    return judge(asked, DEMAND, measured or certain(386.0), provenance(), changes)


def outcomes(result: Verdict) -> dict[str, str]:
    return {check.name: check.outcome for check in result.checks}


def notes(result: Verdict) -> list[str]:
    return [note.message for note in result.notes if note.code == "stricter_gate"]


def test_without_a_gate_the_policy_is_judged_and_nothing_is_left_out() -> None:
    result = verdict()
    assert outcomes(result) == EVERYTHING
    assert result.not_judged == ()
    limits = {check.name: check.required for check in result.checks}
    assert limits["overload"] == limits["ceiling: database"] == 0.01
    assert (limits["zone loss"], limits["budget"]) == (0.1, 20.0)


@pytest.mark.parametrize(
    ("gate", "check"),
    [
        ({"overload_risk": "0.1%"}, "overload"),
        ({"zone_loss_risk": "1%"}, "zone loss"),
        ({"budget": "$10"}, "budget"),
    ],
)
def test_a_limit_of_the_gate_stands_in_for_that_of_the_policy(
    gate: dict[str, str], check: str
) -> None:
    result = verdict(gate)
    assert outcomes(result) == EVERYTHING | {check: "fail"}
    # what recommend chooses by the policy may fail here, and that is said
    (said,) = notes(result)
    ((key, _),) = gate.items()
    assert f"gate.{key}" in said
    assert f"policy.{key}" in said


def test_a_gate_that_accepts_more_than_the_policy_needs_no_note() -> None:
    result = verdict({"overload_risk": "60%", "zone_loss_risk": "90%", "budget": "$99"})
    # a ceiling is judged by the risk that is accepted of the fleet
    assert outcomes(result) == EVERYTHING | {"ceiling: database": "pass"}
    assert notes(result) == []


def test_a_budget_of_the_gate_needs_none_in_the_policy() -> None:
    result = verdict({"budget": "$20"}, policy={})
    assert outcomes(result)["budget"] == "pass"
    assert notes(result) == [
        "gate.budget is $20.00, but capplan recommend goes by policy.budget, which is none: what "
        "it recommends may fail here"
    ]


@pytest.mark.parametrize("off", ["off", "no", "false", False])
@pytest.mark.parametrize(("key", "check"), CHECK.items())
def test_a_criterion_that_is_off_is_told_and_says_nothing_about_the_verdict(
    key: str, check: str, off: str | bool
) -> None:
    result = verdict({key: off})
    told = "ceilings" if key == "ceilings" else check
    kept = {name: outcome for name, outcome in EVERYTHING.items() if name != check}
    assert outcomes(result) == kept | {told: "not_judged"}
    assert result.not_judged == (told,)
    assert result.checks[-1].message == f"gate.{key} is off"
    assert result.verdict == ("pass" if key == "ceilings" else "fail")


def test_a_ceiling_is_judged_by_the_policy_where_the_fleet_is_not_judged() -> None:
    (check,) = (c for c in verdict({"overload_risk": "off"}).checks if "database" in c.name)
    assert check.required == 0.01


def test_only_what_a_commit_lost_may_be_judged() -> None:
    gate = dict.fromkeys(CHECK, "off")
    result = verdict(gate, SAME)
    assert result.verdict == "pass"
    assert outcomes(result)["capacity drop, paired"] == "pass"
    assert len(result.not_judged) == len(CHECK)
    off = verdict(gate | {"capacity_drop": "off", "sla": "on"}, SAME)
    assert "capacity drop" in off.not_judged
    assert "capacity drop, paired" not in outcomes(off)


def test_only_the_fleet_needs_a_planned_count() -> None:
    gate = dict.fromkeys(CHECK, "off")
    bare = {"planned": None}
    alone = judge(plan(bare, gate=gate), DEMAND, None, provenance(), [SAME])
    assert alone.verdict == "pass"
    for key in ("overload_risk", "zone_loss_risk", "sla", "budget"):
        asked = gate | {key: {"sla": "on", "budget": "$9"}.get(key, "1%")}
        with pytest.raises(UsageError, match="how many servers are planned"):
            judge(plan(bare, gate=asked), DEMAND, None, provenance(), [SAME])


def test_a_loss_that_is_asked_for_and_cannot_be_judged_is_told() -> None:
    result = verdict({"capacity_drop": "5%"})
    assert result.not_judged == ("capacity drop",)
    (check,) = (check for check in result.checks if check.name == "capacity drop")
    assert "capplan loadtest --paired" in check.message


def test_a_gate_with_nothing_to_judge_is_refused_and_never_green() -> None:
    gate = dict.fromkeys(CHECK, "off")
    for drop, why in (("off", "gate.capacity_drop is off"), ("5%", "nothing to compare with")):
        with pytest.raises(UsageError, match="nothing to judge") as caught:
            verdict(gate | {"capacity_drop": drop})
        assert why in caught.value.message
        assert "off" in caught.value.hint


@pytest.mark.parametrize("asked", ["overload_risk", "zone_loss_risk", "sla"])
def test_what_misses_the_sla_at_any_load_fails_by_any_criterion_alone(asked: str) -> None:
    gate = dict.fromkeys(CHECK, "off") | {asked: {"sla": "yes"}.get(asked, "50%")}
    missed = capacity(None, None, 1.0, verdict="below_sla", reason="all 500")
    for result in (verdict(gate, measured=missed), verdict(gate | {"capacity_drop": "off"}, LOST)):
        assert result.verdict == outcomes(result)[CHECK[asked]] == "fail"
        assert "all 500" in result.checks[0].message


def test_a_ratio_that_belongs_to_another_plan_does_not_change_the_fleet() -> None:
    half = RatioRange(low=0.49, mid=0.5, high=0.51, confidence=0.95)
    off = {"capacity_drop": "off"}
    unlike = verdict(off, Change(half, "paired", unlike="service.sla changed"))
    assert unlike.checks[0] == verdict(off).checks[0]
    assert verdict(off, Change(half, "paired")).checks[0].outcome == "fail"
