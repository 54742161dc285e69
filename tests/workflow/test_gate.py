from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest

from capplan.errors import SetupError
from capplan.results.base import Result
from capplan.results.recommendation import Recommendation
from capplan.results.store import read_result, to_json
from capplan.results.verdict import Verdict
from capplan.workflow import estimate, gate, recommend

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
    answer = recommend(written_plan(tmp_path), servers=18)
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
