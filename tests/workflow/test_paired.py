"""``loadtest --paired``: two real servers, and what becomes of runs that end otherwise."""

import math
import sys
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from capplan.errors import Interrupted, UsageError
from capplan.loadtest import measure
from capplan.loadtest.measure import Measurement
from capplan.loadtest.paired import HeldPair, PairedMeasurement
from capplan.loadtest.pairing import Estimate
from capplan.loadtest.search.policy import Bounds, Stop
from capplan.model.ratio import Ratio
from capplan.model.service_time import Exponential
from capplan.plan.sla import parse_sla
from capplan.refserver import RefServer, RefServerConfig, theory
from capplan.render import terminal
from capplan.results.capacity import CapacityVerdict, Generator
from capplan.results.paired import Paired
from capplan.results.store import read_result
from capplan.workflow.paired import paired
from capplan.workflow.preparing import Overrides
from capplan.workflow.watcher import Watcher

room: Any = sys.modules["capplan.workflow.paired"]
SCRIPT = """
from locust import FastHttpUser, task

class Visitor(FastHttpUser):
    @task
    def page(self):
        self.client.get("/page")
"""
PLAN = """
sale: {start: 2026-11-27T12:00:00+01:00, duration: 2 h}
audience: [{channel: email, reach: 40k, visits: 1% to 3%, arrive: within 1 h}]
visit: {requests: 20 to 60}
service: {locustfile: users.py, timeout: 2 s, sla: {latency_p95: 60 ms, failures: 1%}}
"""
SLA = parse_sla("p95<60ms, failures<1%")


class Turns(Watcher):
    """Writes down whose trials are over."""

    def __init__(self) -> None:
        self.done: list[str] = []

    def side_done(self, name: str, measured: Measurement) -> None:
        self.done.append(name)


@pytest.fixture
def plan(tmp_path: Path) -> Path:
    (tmp_path / "sale.yaml").write_text(PLAN)
    (tmp_path / "users.py").write_text(SCRIPT)
    return tmp_path / "sale.yaml"


@pytest.mark.load
def test_two_real_servers_are_compared_in_turns(plan, monkeypatch):
    monkeypatch.setattr(measure, "FIRST_RATE", 80.0)  # the searches are not what is tested
    base = RefServerConfig(slots=1, service=Exponential(0.005), lifetime_s=90)
    head = RefServerConfig(slots=1, service=Exponential(0.005 / 0.7), seed=1, lifetime_s=90)
    truth = theory(head, SLA).rate_rps / theory(base, SLA).rate_rps
    turns = Turns()
    with RefServer(base) as one, RefServer(head) as other:
        result = paired(
            plan,
            one.url,
            other.url,
            overrides=Overrides(time_budget_s=36.0),
            watcher=turns,
        )
    assert result.verdict in ("measured", "inconclusive")
    low, mid, high = result.ratio.low, result.ratio.mid, result.ratio.high
    assert mid is not None
    assert mid < 1.0  # 0.6 in truth, and 1.7 the wrong way round
    if low and high:  # within twice the half-width of the 95 % interval, as 99.99 % are
        assert abs(math.log(mid / truth)) < math.log(high / low)
    assert len(result.pairs) >= 4
    assert {pair.first for pair in result.pairs} == {"base", "head"}
    assert turns.done.count("base") == len(result.base.trials)
    assert turns.done.count("head") == len(result.head.trials)
    for pair in result.pairs:
        ours, theirs = result.base.trials[pair.base], result.head.trials[pair.head]
        assert (ours.outcome != "invalid", theirs.outcome != "invalid") == (True, True)
        # the same draw of arrivals: their counts differ by the loads alone, and by what a
        # scaled clock moves over the end of the warm-up or of the trial
        scaled = ours.health.tickets_due * theirs.arrivals_per_s / ours.arrivals_per_s
        assert theirs.health.tickets_due == pytest.approx(scaled, rel=0.4, abs=10)
    stored = read_result(plan.parent / "sale.capplan" / "paired.json", Paired)
    assert stored == result
    assert not (plan.parent / "sale.capplan" / "paired.partial.json").exists()
    assert not (plan.parent / "sale.capplan" / "capacity.json").exists()


def side(low: float | None, high: float | None, verdict: CapacityVerdict = "measured") -> Any:
    return Measurement(
        verdict=verdict,
        reason="",
        bounds_rps=Bounds(low, None, high),
        trials=(),
        load_time_s=60.0,
        requests_per_arrival=1.0,
        mix={},
        notes=(),
        generator=Generator(processes=1, cores=2, same_machine=True),
    )


def found(ratio: Ratio, pairs: int = 8, **changes: Any) -> PairedMeasurement:
    fields: dict[str, Any] = {
        "base": side(95.0, 105.0),
        "head": side(80.0, 90.0),
        "pairs": tuple(HeldPair(i, i, "base" if i % 2 else "head") for i in range(pairs)),
        "estimate": Estimate(ratio, Ratio(0.5, 0.8, 1.3), (0.8,) * pairs),
        "stopped": {},
        "reason": "",
        "load_time_s": 120.0,
    }
    return PairedMeasurement(**fields | changes)


def run(plan: Path, monkeypatch: pytest.MonkeyPatch, measured: PairedMeasurement) -> Paired:
    loading: Any = sys.modules["capplan.workflow.preparing"]
    monkeypatch.setattr(loading, "require_loadable", lambda target, hosts: None)
    monkeypatch.setattr(room, "measure_paired", lambda base, head, show, keep: measured)
    return paired(plan, "http://127.0.0.1:1", "http://127.0.0.1:2")


def headline(result: Paired) -> str:
    console = Console(width=100, color_system=None)
    with console.capture() as captured:
        console.print(terminal.show(result, "sale.yaml"))
    return captured.get().splitlines()[0]


@pytest.mark.parametrize(
    ("measured", "verdict", "text"),
    [
        (found(Ratio(0.75, 0.8, 0.86)), "measured", "sustains less than the base: 0.8 (0.75 to"),
        (found(Ratio(1.1, 1.2, 1.3)), "measured", "sustains more than the base: 1.2"),
        (found(Ratio(0.9, 1.0, 1.1)), "measured", "No difference seen: the head sustains 1 of"),
        (found(Ratio(0.7, 1.0, 1.4)), "inconclusive", "the pairs disagree too much"),
        (found(Ratio(0.75, 0.8, 0.86), pairs=4), "inconclusive", "before there were enough pairs"),
        (
            found(Ratio(0.75, 0.8, 0.86), reason="the load generator is the limit"),
            "inconclusive",
            "the load generator is the limit",
        ),
    ],
)
def test_the_verdict_is_what_the_pairs_are_good_for(plan, monkeypatch, measured, verdict, text):
    result = run(plan, monkeypatch, measured)
    assert result.verdict == verdict
    assert text in headline(result)


def test_a_head_that_never_holds_the_sla_is_below_it_with_the_bound_that_is_known(
    plan, monkeypatch
):
    stop = Stop("below_sla", Bounds(high=1.0), "the SLA was missed at the lowest rate")
    result = run(
        plan,
        monkeypatch,
        found(
            Ratio(None, None, None),
            pairs=0,
            estimate=None,
            stopped={"head": stop},
            base=side(80.0, None),
            head=side(None, 1.0),
        ),
    )
    assert result.verdict == "below_sla"
    assert result.ratio.high == pytest.approx(1 / 80)
    assert "The head misses the SLA at any load, the base does not" in headline(result)


def test_a_base_that_never_holds_the_sla_leaves_nothing_to_compare_with(plan, monkeypatch):
    stop = Stop("below_sla", Bounds(high=1.0), "the SLA was missed at the lowest rate")
    measured = found(Ratio(None, None, None), pairs=0, estimate=None, stopped={"base": stop})
    result = run(plan, monkeypatch, measured)
    assert result.verdict == "inconclusive"
    assert "the search on the base ended" in result.reason


def test_an_interrupted_comparison_keeps_what_was_measured(plan, monkeypatch):
    with pytest.raises(Interrupted, match="after 2 pairs"):
        run(plan, monkeypatch, found(Ratio(0.7, 0.8, 0.9), pairs=2, interrupted=True))
    assert read_result(plan.parent / "sale.capplan" / "paired.partial.json", Paired).interrupted
    assert not (plan.parent / "sale.capplan" / "paired.json").exists()


def test_a_target_beside_the_two_is_refused(plan):
    with pytest.raises(UsageError, match="--paired names both targets itself"):
        paired(plan, "http://127.0.0.1:1", "http://127.0.0.1:2", overrides=Overrides(target="x"))
