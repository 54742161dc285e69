"""At which rate phases are held, and what is kept when one of them is interrupted."""

from pathlib import Path
from typing import cast

import pytest

from capplan.errors import Interrupted
from capplan.loadtest.generators.engine import Engine
from capplan.loadtest.measure import Job
from capplan.loadtest.phases.asked import AskedPhases, Surge
from capplan.loadtest.phases.run import PhaseRun
from capplan.loadtest.search.policy import Bounds
from capplan.plan.schema import Saleday
from capplan.plan.sla import parse_sla
from capplan.results.base import Note
from capplan.results.phases import Phases
from capplan.workflow.phases import Holding, Known
from capplan.workflow.watcher import Watcher

ENGINE: Engine = cast(Engine, None)  # the phases that would use it are replaced


class Noted(Watcher):
    """Writes down which phases are over."""

    def __init__(self, over: list[Phases]) -> None:
        self.over = over

    def phase_done(self, phases: Phases) -> None:
        self.over.append(phases)


def holding(asked: AskedPhases, over: list[Phases] | None = None) -> Holding:
    job = Job(
        target="http://127.0.0.1:9",
        locustfiles=(),
        sla=parse_sla("p95<300ms"),
        endpoints={},
        timeout_s=3.0,
        allowed_hosts=(),
        max_rate_rps=None,
        time_budget_s=10.0,
        seed=1,
        log=Path("unused.log"),
    )
    return Holding(asked, job, Saleday(attempts=3), Noted([] if over is None else over))


def hold(asked: AskedPhases, bounds: Bounds) -> tuple[Holding, list[Phases]]:
    kept: list[Phases] = []
    phases = holding(asked)
    phases.hold(ENGINE, Known(bounds, 2.0), kept.append)
    return phases, kept


@pytest.mark.parametrize(
    ("bounds", "rate_rps", "low_rps", "codes"),
    [
        (Bounds(90.0, 100.0, 110.0), 100.0, 90.0, []),
        (Bounds(90.0, None, None), 90.0, 90.0, ["rate_unsure"]),
    ],
)
def test_phases_run_at_the_sustained_rate_or_at_the_highest_that_held(
    monkeypatch, bounds, rate_rps, low_rps, codes
):
    seen = []
    monkeypatch.setattr(PhaseRun, "run", lambda self, asked, done: seen.append(self.setting))
    phases, _ = hold(AskedPhases(opening=True), bounds)
    (setting,) = seen
    assert (setting.rate_rps, setting.low_rps, setting.per_arrival) == (rate_rps, low_rps, 2.0)
    assert [note.code for note in phases.found.notes] == codes
    # the client waits as long as the service's timeout, unless the plan says otherwise
    assert (setting.retry.attempts, setting.retry.timeout_s) == (3, 3.0)


def test_without_a_rate_that_holds_no_phase_runs(monkeypatch):
    monkeypatch.setattr(PhaseRun, "run", lambda *_: pytest.fail("there is nothing to run at"))
    phases, kept = hold(AskedPhases(opening=True), Bounds(None, None, 5.0))
    assert [note.code for note in phases.found.notes] == ["no_rate"]
    assert kept == []


def test_an_interrupt_keeps_the_phases_that_had_ended(monkeypatch):
    def interrupted(self: PhaseRun, load: Surge) -> None:
        raise KeyboardInterrupt

    soaked = Phases(notes=(Note(code="soaked", message="stands for a soak"),))
    monkeypatch.setattr(PhaseRun, "soak", lambda self, duration_s: None)
    monkeypatch.setattr(PhaseRun, "overload", interrupted)
    kept: list[Phases] = []
    phases = holding(AskedPhases(overload=Surge(2.0, 5.0), soak_s=20.0), kept)
    phases.found = soaked
    with pytest.raises(KeyboardInterrupt), phases.remembering():
        phases.hold(ENGINE, Known(Bounds(1.0, 2.0, 3.0), 1.0), kept.append)
    assert kept == [soaked, soaked]  # stored and shown once, after the soak
    assert phases.found == soaked
    with pytest.raises(Interrupted, match="in the overload; the sustained rate is known"):
        phases.raise_if_interrupted(Path("capacity.json"))


def test_an_interrupt_before_the_first_phase_is_not_taken_for_an_end():
    phases = holding(AskedPhases(opening=True))
    phases.raise_if_interrupted(None)  # nothing has happened yet
    with pytest.raises(KeyboardInterrupt), phases.remembering():
        raise KeyboardInterrupt
    with pytest.raises(Interrupted, match="in the start; the sustained rate is known"):
        phases.raise_if_interrupted(None)
