from datetime import UTC, datetime
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest

from capplan.errors import ExitCode, UsageError
from capplan.plan.load import load_plan
from capplan.plan.sla import parse_sla
from capplan.results.base import PlanRef
from capplan.results.capacity import Capacity, Identity, SustainedRate
from capplan.results.store import write_result
from capplan.workflow import sections
from capplan.workflow.capacity import current_capacity
from capplan.workflow.changes import file_hash
from capplan.workflow.shelf import Shelf, open_plan

PLAN = """
sale: {start: 2026-11-27T12:00:00+01:00, duration: 2 h}
audience: [{channel: email, reach: 400k, visits: 1% to 3%, arrive: within 1 h}]
visit: {requests: 20 to 60}
service: {target: 'http://127.0.0.1:8899', locustfile: shop.py, sla: {latency_p95: 300 ms}}
"""
SCRIPT = "the customers"


def written_plan(folder: Path, text: str = PLAN, script: str | None = SCRIPT) -> Path:
    plan = folder / "sale.yaml"
    plan.write_text(text)
    if script is not None:
        (folder / "shop.py").write_text(script)
    return plan


def measure(plan: Path) -> Capacity:
    """Store what a load test of this plan would leave."""
    plan_file = load_plan(plan)
    sla = parse_sla("p95<300ms")
    capacity = Capacity(
        plan=PlanRef(name="sale", sections=plan_file.sections(*sections.CAPACITY)),
        made_at=datetime(2026, 11, 13, 9, 30, tzinfo=UTC),
        seed=1,
        environment={},
        verdict="measured",
        reason="",
        identity=Identity(
            target="http://127.0.0.1:8899",
            locustfile="shop.py",
            locustfile_hash=file_hash(plan.parent / "shop.py"),
            sla=str(sla),
            unit="task",
        ),
        sla=sla,
        sustained_rps=SustainedRate(low=372, mid=386, high=401, confidence=0.9),
        max_rate_rps=None,
        trials=(),
        load_time_s=60,
        requests_per_arrival=1.0,
        mix={},
    )
    write_result(plan_file.results_dir / "capacity.json", capacity)
    return capacity


def current(plan: Path) -> Capacity | None:
    return current_capacity(*open_plan(plan))


def test_a_measurement_of_this_plan_is_used(tmp_path: Path) -> None:
    plan = written_plan(tmp_path)
    capacity = measure(plan)
    assert current(plan) == capacity


def test_a_changed_comment_or_channel_does_not_outdate_a_measurement(tmp_path: Path) -> None:
    plan = written_plan(tmp_path)
    capacity = measure(plan)
    plan.write_text("# comment\n" + PLAN.replace("400k", "900k").replace("300 ms", "0.3 s"))
    assert current(plan) == capacity


@pytest.mark.parametrize(
    ("before", "after", "named"),
    [
        ("300 ms", "200 ms", "service.sla"),
        ("8899", "8900", "service.target"),
        ("service: {", "service: {unit: visit, ", "service.unit"),
        ("service: {", "service: {timeout: 5 s, ", "service.timeout"),
        ("service: {", "service: {arguments: --tags buy, ", "service.arguments"),
        ("shop.py", "[shop.py, api.py]", "service.locustfile"),
        ("service: {", "service: {endpoints: {GET /: {failures: 2%}}, ", "service.endpoints"),
    ],
)
def test_a_measurement_for_another_plan_is_refused(
    tmp_path: Path, before: str, after: str, named: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    plan = written_plan(tmp_path)
    measure(plan)
    plan.write_text(PLAN.replace(before, after))
    with pytest.raises(UsageError) as refused:
        current(plan)
    assert refused.value.message == (
        f"the measured capacity no longer belongs to the plan: {named} changed "
        "since 2026-11-13 09:30 UTC"
    )
    assert refused.value.hint == "measure again with: capplan loadtest sale.yaml"


def test_all_changes_are_named(tmp_path: Path) -> None:
    plan = written_plan(tmp_path)
    measure(plan)
    plan.write_text(PLAN.replace("300 ms", "200 ms").replace("8899", "8900"))
    with pytest.raises(UsageError, match=r"service\.target and service\.sla changed"):
        current(plan)


def test_a_measurement_with_another_script_is_refused(tmp_path: Path) -> None:
    plan = written_plan(tmp_path)
    measure(plan)
    written_plan(tmp_path, script="other customers")
    with pytest.raises(UsageError, match=r"the content of shop\.py or of what it imports changed"):
        current(plan)


def test_a_measurement_is_outdated_when_a_module_that_the_script_imports_changes(
    tmp_path: Path,
) -> None:
    plan = written_plan(tmp_path, script="from pages import FRONT\n")
    (tmp_path / "elsewhere.py").write_text("")
    measured = measure(plan)  # pages is not there yet: the script alone is hashed
    assert current(plan) == measured
    (tmp_path / "elsewhere.py").write_text("CHANGED = True\n")
    assert current(plan) == measured
    (tmp_path / "pages.py").write_text("FRONT = '/'\n")
    with pytest.raises(UsageError, match=r"the content of shop\.py or of what it imports changed"):
        current(plan)


def test_a_measurement_from_before_a_key_was_known_belongs_to_a_plan_without_it(
    tmp_path: Path,
) -> None:
    plan = written_plan(tmp_path)
    capacity = measure(plan)
    known = {k: v for k, v in capacity.plan.sections.items() if k != "service.arguments"}
    older = capacity.model_copy(update={"plan": PlanRef(name="sale", sections=known)})
    write_result(load_plan(plan).results_dir / "capacity.json", older)
    assert current(plan) == older
    plan.write_text(PLAN.replace("service: {", "service: {arguments: --tags buy, "))
    with pytest.raises(UsageError, match=r"service\.arguments changed"):
        current(plan)


def test_a_change_in_any_of_several_scripts_outdates_a_measurement(tmp_path: Path) -> None:
    assert len({file_hash(a, b) for a, b in permutations(_files(tmp_path), 2)}) == 6


def _files(folder: Path) -> list[Path]:
    paths = [folder / name for name in ("a.py", "b.py", "c.py")]
    for path in paths:
        path.write_text(path.name)
    return paths


def test_a_script_that_is_not_here_cannot_have_changed(tmp_path: Path) -> None:
    plan = written_plan(tmp_path)
    capacity = measure(plan)
    (tmp_path / "shop.py").unlink()
    assert current(plan) == capacity


def test_without_a_measurement_the_assumption_of_the_plan_stands_in(tmp_path: Path) -> None:
    assumed = PLAN + "servers: {capacity: 350 to 420 rps}\n"
    assert current(written_plan(tmp_path, assumed)) is None


def test_without_a_measurement_and_an_assumption_the_way_out_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="not known what one server sustains") as refused:
        current(written_plan(tmp_path))
    assert refused.value.exit_code is ExitCode.USAGE
    assert "capplan loadtest" in refused.value.hint
    assert "servers: {capacity: 350 to 420 rps}" in refused.value.hint


def test_a_plan_from_standard_input_has_no_measurement(tmp_path: Path) -> None:
    plan_file = load_plan(written_plan(tmp_path, PLAN + "servers: {capacity: 1 rps}\n"))
    nowhere: Any = Shelf(None)
    assert current_capacity(plan_file, nowhere) is None
