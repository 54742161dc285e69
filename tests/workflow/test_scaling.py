"""``loadtest --servers N``: what becomes of the runs before it. The load itself is made up."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from capplan.errors import Interrupted, SetupError, UsageError
from capplan.loadtest import measure
from capplan.loadtest.measure import Measurement
from capplan.loadtest.search.policy import Bounds
from capplan.render import terminal
from capplan.results.capacity import Capacity, CapacityVerdict, Generator
from capplan.results.store import read_result
from capplan.workflow import Overrides, loadtest
from capplan.workflow.capacity import current_capacity
from capplan.workflow.measuring import check
from capplan.workflow.shelf import open_plan

# what is made up takes the place of the functions that the module calls
room: Any = sys.modules["capplan.workflow.measuring"]
preparing: Any = sys.modules["capplan.workflow.preparing"]
PLAN = """
sale: {start: 2026-11-27T12:00:00+01:00, duration: 2 h}
audience: [{channel: email, reach: 400k, visits: 1% to 3%, arrive: within 1 h}]
visit: {requests: 20 to 60}
service: {target: 'http://127.0.0.1:8899', locustfile: shop.py, sla: {latency_p95: 300 ms}}
"""


@pytest.fixture
def plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "sale.yaml").write_text(PLAN)
    (tmp_path / "shop.py").write_text("the customers")
    monkeypatch.setattr(preparing, "require_loadable", lambda target, hosts: None)
    return tmp_path / "sale.yaml"


def found(
    mid: float, verdict: CapacityVerdict = "measured", interrupted: bool = False
) -> Measurement:
    return Measurement(
        verdict=verdict,
        reason="",
        bounds_rps=Bounds(mid / 1.05, mid, mid * 1.05),
        trials=(),
        load_time_s=60.0,
        requests_per_arrival=1.0,
        mix={},
        notes=(),
        generator=Generator(processes=1, cores=2, same_machine=False),
        interrupted=interrupted,
    )


def run(
    plan: Path, monkeypatch: pytest.MonkeyPatch, servers: int, measured: Measurement
) -> Capacity:
    monkeypatch.setattr(measure, "measure", lambda job, show, keep, *_: measured)
    return loadtest(plan, overrides=Overrides(servers=servers))


def stored(plan: Path) -> Capacity:
    return read_result(plan.parent / "sale.capplan" / "capacity.json", Capacity)


def test_runs_gather_in_one_file_whose_rate_is_that_of_one_server(plan, monkeypatch):
    for servers, mid in ((1, 100.0), (2, 180.0), (4, 290.0), (8, 380.0)):
        result = run(plan, monkeypatch, servers, found(mid))
    assert stored(plan) == result
    assert result.sustained_rps.mid == 100.0
    content = json.loads((plan.parent / "sale.capplan" / "capacity.json").read_text())
    assert [point["servers"] for point in content["scaling"]["points"]] == [1, 2, 4, 8]
    assert content["scaling"]["law"]["measured_to"] == 8
    # what later commands stand on is the same capacity
    assert current_capacity(*open_plan(plan)) == result


def test_a_changed_script_starts_over_and_says_which_runs_no_longer_count(plan, monkeypatch):
    run(plan, monkeypatch, 1, found(100.0))
    run(plan, monkeypatch, 2, found(180.0))
    (plan.parent / "shop.py").write_text("other customers")
    result = run(plan, monkeypatch, 4, found(290.0))
    assert result.scaling is not None
    assert [point.servers for point in result.scaling.points] == [4]
    assert {note.code for note in result.notes} == {
        "earlier_runs_dropped",
        "one_server_not_measured",
    }


def test_an_inconclusive_run_takes_nothing_away_from_what_is_known(plan, monkeypatch):
    run(plan, monkeypatch, 1, found(100.0))
    known = run(plan, monkeypatch, 2, found(180.0))
    result = run(plan, monkeypatch, 2, found(150.0, "inconclusive"))
    assert stored(plan) == known
    assert terminal.run_of(result, 2).verdict == "inconclusive"
    partial = read_result(plan.parent / "sale.capplan" / "capacity.partial.json", Capacity)
    assert partial == result


def test_a_second_load_test_of_the_plan_is_refused_while_one_runs(plan, monkeypatch):
    _, shelf = open_plan(plan)
    known = run(plan, monkeypatch, 1, found(100.0))
    with shelf.locked():
        for second in (lambda: run(plan, monkeypatch, 1, found(200.0)), lambda: check(plan)):
            with pytest.raises(SetupError, match="another load test of this plan is running"):
                second()
    assert stored(plan) == known
    assert run(plan, monkeypatch, 1, found(200.0)).sustained_rps.mid == 200.0


@pytest.mark.parametrize(
    ("service", "words"),
    [
        ("timeout: 200 ms", r"p95<300ms of the SLA is longer than service\.timeout.* 200 ms"),
        (
            "endpoints: {POST /order: {latency_p99: 30 s}}",
            r"p99<30s of POST /order is longer than service\.timeout.* 10 s",
        ),
    ],
)
def test_a_limit_that_no_answer_may_reach_is_refused(plan, service, words):
    plan.write_text(PLAN.replace("service: {", f"service: {{{service}, "))
    with pytest.raises(UsageError, match=words):
        loadtest(plan)


def test_what_stands_in_the_place_of_the_results_is_named(plan):
    (plan.parent / "sale.capplan").write_text("something else")
    with pytest.raises(
        SetupError, match=r"sale\.capplan, the folder of the results, cannot be made"
    ):
        loadtest(plan)


def test_a_password_in_the_address_of_the_target_is_in_no_result(plan, monkeypatch):
    known = run(plan, monkeypatch, 1, found(100.0))
    plan.write_text(PLAN.replace("http://", "http://jo:secret@"))
    result = run(plan, monkeypatch, 1, found(100.0))
    assert result.identity == known.identity
    assert "secret" not in (plan.parent / "sale.capplan" / "capacity.json").read_text()


def test_an_interrupted_run_is_kept_beside_what_is_known(plan, monkeypatch):
    known = run(plan, monkeypatch, 1, found(100.0))
    with pytest.raises(Interrupted):
        run(plan, monkeypatch, 2, found(150.0, "inconclusive", interrupted=True))
    assert stored(plan) == known


def test_a_stored_capacity_that_cannot_be_read_does_not_cost_the_run_its_answer(plan, monkeypatch):
    run(plan, monkeypatch, 1, found(100.0))
    (plan.parent / "sale.capplan" / "capacity.json").write_text("{")
    assert run(plan, monkeypatch, 1, found(101.0)).sustained_rps.mid == 101.0
    assert stored(plan).sustained_rps.mid == 101.0


def shown(result: Capacity, servers: int) -> str:
    console = Console(width=80, color_system=None)
    with console.capture() as captured:
        console.print(terminal.capacity(result, "sale.yaml", servers))
    return captured.get()


def test_the_terminal_shows_the_run_with_so_many_servers_and_what_the_law_says(plan, monkeypatch):
    run(plan, monkeypatch, 1, found(100.0))
    text = shown(run(plan, monkeypatch, 2, found(180.0)), 2)
    assert text.startswith("2 servers sustain 171 to 189 rps (SLA p95<300ms, failures<1%).")
    assert "one more number of servers, measured, would make a scaling law" in text
    run(plan, monkeypatch, 4, found(290.0))
    result = run(plan, monkeypatch, 8, found(380.0))
    text = shown(result, 1)
    assert text.startswith("One server sustains 95.2 to 105 rps")
    cells = f"8 362 to 399 48% {result.made_at:%Y-%m-%d}".split()
    assert cells in [line.split() for line in text.splitlines()]
    assert "scaling law, identified: the throughput peaks at" in text


def test_far_more_load_generators_than_cores_are_refused_before_any_load(plan: Path) -> None:
    with pytest.raises(UsageError, match="--processes 100000 are too many") as refused:
        loadtest(plan, overrides=Overrides(processes=100_000))
    assert "--expect-workers" in refused.value.hint
