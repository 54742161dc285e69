from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from capplan.errors import SetupError, UsageError
from capplan.plan.load import load_plan
from capplan.plan.sla import parse_sla
from capplan.results.base import PlanRef, Result
from capplan.results.capacity import SustainedRate
from capplan.results.paired import Paired, RatioRange, Side
from capplan.results.recommendation import Recommendation
from capplan.results.store import read_result, to_json
from capplan.results.verdict import Verdict
from capplan.workflow import estimate, gate, recommend, sections
from tests.recommend.builders import MADE_AT, capacity, provenance

PLAN = """
sale: {start: 2026-11-27T12:00:00+01:00, duration: 2 h}
audience: [{channel: email, reach: 400k, visits: 1% to 3%, arrive: within 1 h}]
visit: {requests: 20 to 60}
servers: {planned: 200, capacity: 350 to 420 rps, price: $0.17/h}
"""


def written_plan(folder: Path, text: str = PLAN) -> Path:
    plan = folder / "sale.yaml"
    plan.write_text(text)
    estimate(plan, draws=1000)
    return plan


@pytest.fixture(autouse=True)
def _no_job_summary(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)


def test_a_verdict_is_kept_beside_the_plan(tmp_path: Path) -> None:
    verdict = gate(written_plan(tmp_path))
    assert verdict.verdict == "pass"
    assert read_result(tmp_path / "sale.capplan" / "verdict.json", Verdict) == verdict


def test_a_recommendation_is_kept_beside_the_plan(tmp_path: Path) -> None:
    answer = recommend(written_plan(tmp_path), why=18)
    assert answer.asked == 18
    kept = read_result(tmp_path / "sale.capplan" / "recommendation.json", Recommendation)
    assert kept == answer


@pytest.mark.parametrize("command", [gate, recommend])
def test_the_same_plan_and_seed_give_the_same_bytes(
    command: Callable[..., Result], tmp_path: Path
) -> None:
    plan = written_plan(tmp_path)
    first, second = command(plan, seed=5), command(plan, seed=5)
    assert to_json(first) == to_json(second.model_copy(update={"made_at": first.made_at}))


def test_an_estimate_made_anew_is_noted_in_the_verdict(tmp_path: Path) -> None:
    plan = written_plan(tmp_path)
    plan.write_text(PLAN.replace("400k", "500k"))
    assert "recomputed" in [note.code for note in gate(plan).notes]
    assert "recomputed" not in [note.code for note in gate(plan).notes]


def test_a_junit_report_is_written(tmp_path: Path) -> None:
    verdict = gate(written_plan(tmp_path), junit=tmp_path / "reports" / "gate.xml")
    cases = ElementTree.parse(tmp_path / "reports" / "gate.xml").iter("testcase")
    assert len(list(cases)) == len(verdict.checks)


def test_a_junit_report_that_cannot_be_written_is_refused_before_the_work(tmp_path: Path) -> None:
    plan = written_plan(tmp_path)
    (tmp_path / "a_file").touch()
    with pytest.raises(SetupError):
        gate(plan, junit=tmp_path / "a_file" / "gate.xml")
    assert not (tmp_path / "sale.capplan" / "verdict.json").exists()


def test_the_summary_of_a_ci_job_is_added_to_what_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    summary = tmp_path / "summary.md"
    summary.write_text("# built\n", encoding="utf-8")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    gate(written_plan(tmp_path))
    text = summary.read_text(encoding="utf-8")
    assert text.startswith("# built\n")
    assert "200" in text


def test_a_summary_that_cannot_be_written_names_the_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "no" / "summary.md"))
    with pytest.raises(SetupError, match="GITHUB_STEP_SUMMARY"):
        gate(written_plan(tmp_path))
    assert (tmp_path / "sale.capplan" / "verdict.json").exists()


def of(plan: Path) -> PlanRef:
    """What a measurement made for this plan says of it."""
    return PlanRef(name="sale", sections=load_plan(plan).sections(*sections.CAPACITY))


def paired_result(plan: Path, mid: float, **changes: Any) -> Paired:
    """A paired measurement of this plan, a year after anything else."""
    side = Side(
        identity=capacity().identity,
        sustained_rps=SustainedRate(low=1.0, mid=1.0, high=1.0, confidence=0.9),
        trials=(),
        requests_per_arrival=1.0,
        mix={},
    )
    ratio = RatioRange(low=mid * 0.98, mid=mid, high=mid * 1.02, confidence=0.95)
    fields: dict[str, Any] = {
        **dict(provenance(MADE_AT.replace(year=2027))),
        "plan": of(plan),
        "verdict": "measured",
        "reason": "",
        "sla": parse_sla("p95<300ms, failures<1%"),
        "ratio": ratio,
        "unpaired_ratio": ratio,
        "pairs": (),
        "base": side,
        "head": side,
        "load_time_s": 240.0,
    }
    return Paired(**fields | changes)


def outcomes(verdict: Verdict) -> dict[str, str]:
    return {check.name: check.outcome for check in verdict.checks}


def test_a_paired_measurement_beside_the_plan_is_judged(tmp_path: Path) -> None:
    plan = written_plan(tmp_path)
    beside = tmp_path / "sale.capplan" / "paired.json"
    before = gate(plan)
    assert "capacity drop, paired" not in outcomes(before)
    beside.write_text(to_json(paired_result(plan, 0.8)))
    after = gate(plan)
    assert outcomes(after)["capacity drop, paired"] == "fail"
    risks = [verdict.checks[0].measured for verdict in (before, after)]
    assert risks[0] is not None
    assert risks[1] is not None
    assert risks[1] >= risks[0]
    beside.write_text(to_json(paired_result(plan, 1.0, verdict="inconclusive", reason="noise")))
    assert outcomes(gate(plan))["capacity drop, paired"] == "inconclusive"


def test_a_commit_that_misses_the_sla_at_any_load_fails_whatever_is_known_of_the_ratio(
    tmp_path: Path,
) -> None:
    plan = written_plan(tmp_path)
    reason = "the SLA was missed at the lowest rate"
    unknown = RatioRange(low=None, mid=None, high=1.0, confidence=0.95)
    found = paired_result(plan, 1.0, verdict="below_sla", reason=reason, ratio=unknown)
    (tmp_path / "sale.capplan").mkdir(exist_ok=True)
    (tmp_path / "sale.capplan" / "paired.json").write_text(to_json(found))
    verdict = gate(plan)
    assert outcomes(verdict)["capacity drop, paired"] == verdict.verdict == "fail"
    (check,) = (check for check in verdict.checks if check.name == "capacity drop, paired")
    assert check.message == f"the new version misses the SLA at any load: {reason}"


def test_a_paired_measurement_of_an_earlier_commit_is_not_counted_twice(tmp_path: Path) -> None:
    plan = written_plan(tmp_path, PLAN.replace("capacity: 350 to 420 rps, ", ""))
    folder = tmp_path / "sale.capplan"
    (folder / "capacity.json").write_text(
        to_json(capacity(plan=of(plan), made_at=MADE_AT.replace(year=2028)))
    )
    (folder / "paired.json").write_text(to_json(paired_result(plan, 0.8)))
    assert "capacity drop, paired" not in outcomes(gate(plan))


def test_a_commit_alone_is_judged_without_a_capacity_and_beside_a_stale_one(
    tmp_path: Path,
) -> None:
    off = "gate: {overload_risk: off, zone_loss_risk: off, budget: off, sla: off, ceilings: off}\n"
    bare = PLAN.replace("planned: 200, capacity: 350 to 420 rps, ", "")
    plan = written_plan(tmp_path, bare + off)
    folder = tmp_path / "sale.capplan"
    (folder / "paired.json").write_text(to_json(paired_result(plan, 0.8)))
    assert outcomes(gate(plan))["capacity drop, paired"] == "fail"
    stale = PlanRef(name="sale", sections={"service.sla": "another"})
    (folder / "capacity.json").write_text(to_json(capacity(plan=stale)))
    verdict = gate(plan)
    assert outcomes(verdict)["capacity drop, paired"] == verdict.verdict == "fail"
    # what a fleet sustains, or an earlier load test against this one, needs a capacity that fits
    for asked, baseline in ((bare, None), (bare + off, folder / "capacity.json")):
        plan.write_text(asked)
        with pytest.raises(UsageError, match="no longer belongs to the plan"):
            gate(plan, baseline=baseline)


def test_a_baseline_from_another_machine_is_not_compared(tmp_path: Path) -> None:
    plan = written_plan(tmp_path, PLAN.replace("capacity: 350 to 420 rps, ", ""))
    now, then = tmp_path / "sale.capplan" / "capacity.json", tmp_path / "then.json"
    now.write_text(to_json(capacity(300.0, 310.0, 320.0, plan=of(plan))))
    then.write_text(to_json(capacity()))
    assert outcomes(gate(plan, baseline=then))["capacity drop, baseline"] == "fail"
    then.write_text(to_json(capacity(environment={"cpus": 64})))
    assert outcomes(gate(plan, baseline=then))["capacity drop, baseline"] == "inconclusive"
