import sys
from io import BytesIO, TextIOWrapper
from pathlib import Path

import pytest

from capplan.results.demand import Demand
from capplan.results.store import read_result, to_json, write_result
from capplan.workflow import estimate
from capplan.workflow.demand import current_demand
from capplan.workflow.shelf import open_plan

PLAN = """
sale: {start: 2026-11-27T12:00:00+01:00, duration: 2 h}
audience: [{channel: email, reach: 400k, visits: 1% to 3%, arrive: within 1 h}]
visit: {requests: 20 to 60}
"""


def written_plan(folder: Path, text: str = PLAN) -> Path:
    plan = folder / "sale.yaml"
    plan.write_text(text)
    return plan


def current(plan: Path, seed: int = 1) -> tuple[Demand, list[str]]:
    demand, notes = current_demand(*open_plan(plan), seed)
    return demand, [f"{note.code}: {note.message}" for note in notes]


def test_an_estimate_is_kept_beside_the_plan(tmp_path: Path) -> None:
    demand = estimate(written_plan(tmp_path), draws=1000)
    assert read_result(tmp_path / "sale.capplan" / "demand.json", Demand) == demand


def test_an_estimate_says_where_it_comes_from(tmp_path: Path) -> None:
    demand = estimate(written_plan(tmp_path), draws=1000, seed=9)
    assert (demand.seed, demand.draws, demand.plan.name) == (9, 1000, "sale")
    assert set(demand.plan.sections) >= {"sale", "audience", "policy.window"}
    assert {"python", "numpy", "locust", "cpus", "platform"} <= set(demand.environment)
    assert str(tmp_path) not in to_json(demand)


def test_the_same_plan_and_seed_give_the_same_bytes(tmp_path: Path) -> None:
    plan = written_plan(tmp_path)
    first, second, other = (estimate(plan, draws=1000, seed=seed) for seed in (1, 1, 2))
    assert to_json(first) == to_json(second.model_copy(update={"made_at": first.made_at}))
    assert to_json(other.model_copy(update={"made_at": first.made_at})) != to_json(first)


def test_a_plan_from_standard_input_leaves_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "stdin", TextIOWrapper(BytesIO(PLAN.encode())))
    assert estimate("-", draws=1000).peak_rps.p50 > 0
    assert list(tmp_path.iterdir()) == []


def test_a_kept_estimate_is_used_while_it_belongs_to_the_plan(tmp_path: Path) -> None:
    plan = written_plan(tmp_path)
    kept = estimate(plan, draws=1000, seed=4)
    plan.write_text("# a comment\n" + PLAN.replace("400k", "400000") + "servers: {today: 3}\n")
    assert current(plan) == (kept, [])


def test_a_missing_estimate_is_made_and_kept(tmp_path: Path) -> None:
    plan = written_plan(tmp_path)
    made, notes = current(plan, seed=3)
    assert (made.seed, notes) == (3, [])
    assert current(plan) == (made, [])


def test_an_estimate_of_another_plan_is_made_anew_with_a_note(tmp_path: Path) -> None:
    plan = written_plan(tmp_path)
    kept = estimate(plan, draws=1000, seed=4)
    plan.write_text(PLAN.replace("400k", "900k").replace("20 to 60", "30 to 60"))
    made, notes = current(plan)
    assert notes == ["recomputed: the traffic was estimated anew: audience and visit changed since"]
    assert (made.draws, made.seed) == (1000, 4)
    assert made.peak_rps.p50 > 2 * kept.peak_rps.p50
    assert current(plan) == (made, [])


def test_an_estimate_of_another_version_is_made_anew(tmp_path: Path) -> None:
    plan = written_plan(tmp_path)
    old = estimate(plan, draws=1000).model_copy(update={"capplan_version": "0.0.1"})
    write_result(tmp_path / "sale.capplan" / "demand.json", old)
    _, notes = current(plan)
    assert notes == ["recomputed: the traffic was estimated anew: it was made by capplan 0.0.1"]


def test_the_profile_is_written_for_every_second(tmp_path: Path) -> None:
    target = tmp_path / "out" / "profile.csv"
    demand = estimate(written_plan(tmp_path), draws=1000, csv=target)
    header, *rows = target.read_text().splitlines()
    assert header == "t_s,at,rps_p5,rps_p50,rps_p95"
    # two hours, a window before them, and until nearly all have left
    assert 7200 + 10 + 300 < len(rows) < 7200 + 10 + 3600
    at_start = next(row for row in rows if row.startswith("0,"))
    assert at_start.split(",")[1] == "2026-11-27T12:00:00+01:00"
    highest = max(float(row.split(",")[3]) for row in rows)
    assert 0.9 < highest / max(demand.profile.rps_p50) < 1.1
