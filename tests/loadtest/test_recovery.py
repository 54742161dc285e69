"""Whether the target is there, in virtual time and with a real server that goes away."""

from collections.abc import Iterator

import pytest

from capplan.errors import ExitCode, SetupError
from capplan.loadtest import recovery
from capplan.loadtest.evaluate import evaluate
from capplan.loadtest.measure import Measurement, measure
from capplan.loadtest.progress import Progress
from capplan.loadtest.recording import Rows
from capplan.loadtest.recovery import (
    PATIENCE_S,
    RECOVERY_S,
    Pulse,
    Pulses,
    TargetLost,
    after_a_break,
    after_silence,
    await_floor,
    floor_s,
    standstill_s,
)
from capplan.loadtest.validity import Usage
from capplan.model.service_time import Deterministic
from capplan.refserver import RefServer, RefServerConfig
from capplan.results.capacity import LatencySummary, Outcome, Trial
from tests.loadtest.harness import SLA, both, free_port, job, recording, script

ONE_PAGE = """
class Buyer(FastHttpUser):
    @task
    def t(self):
        self.client.get("/a")
"""
GONE = Pulse(0, None)


class Scripted(Pulses):
    """Pulses that are known beforehand, each a second after the other."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *found: Pulse) -> None:
        self.found: Iterator[Pulse] = iter([*found, *[found[-1]] * 1000])
        self.now_s = 0.0
        monkeypatch.setattr(recovery, "monotonic", lambda: self.now_s)

    def take(self) -> Pulse:
        self.now_s += 1.0
        return next(self.found)


def trial(outcome: Outcome = "fail", p50_s: float | None = 0.01) -> Trial:
    summary = LatencySummary(
        p50=p50_s, p75=p50_s, p90=p50_s, p95=p50_s, p99=p50_s, p999=p50_s, mean=p50_s, max=p50_s
    )
    held = evaluate(recording([0.01] * 100), "probe", 0.0, SLA, {}, Usage())
    return held.model_copy(
        update={
            "outcome": outcome,
            "latency_actual_s": summary,
            "errors": {"GET /a: [Errno 111] Connection refused": 9},
        }
    )


def codes(found: Trial) -> list[str]:
    return [note.code for note in found.notes]


def test_a_target_that_answers_once_the_load_is_off_was_overloaded(monkeypatch):
    missed = trial()
    pulses = Scripted(monkeypatch, Pulse(10, 0.5))
    assert after_silence(pulses, missed, []) == (missed, False)
    assert pulses.now_s == 1.0


def test_a_target_that_comes_back_was_restarted_and_the_trial_is_worthless_once(monkeypatch):
    back = (GONE, GONE, Pulse(10, 0.01))
    first, lost = after_silence(Scripted(monkeypatch, *back), trial(), [])
    assert (first.outcome, codes(first), lost) == ("invalid", ["target_restarted"], False)
    assert "did not answer for 3 s" in first.notes[0].message
    # twice is no accident: it breaks down under this load
    second, lost = after_silence(Scripted(monkeypatch, *back), trial(), [first])
    assert (second.outcome, codes(second), lost) == ("fail", ["target_restarted"], False)


def test_a_target_that_does_not_come_back_in_time_is_lost(monkeypatch):
    pulses = Scripted(monkeypatch, GONE)
    found, lost = after_silence(pulses, trial(), [])
    assert (found.outcome, codes(found), lost) == ("invalid", ["target_lost"], True)
    assert PATIENCE_S <= pulses.now_s <= PATIENCE_S + 2
    error = recovery.lost([trial("pass"), found])
    assert error.message.startswith("the target stopped answering (GET /a: ")
    assert "Connection refused) in trial 2" in error.message
    assert error.exit_code is ExitCode.ENVIRONMENT


def test_refused_connections_of_a_target_that_answers_now_are_a_restart_once():
    broken = trial("fail")
    seen: list[Trial] = []
    for outcome in ("invalid", "fail"):
        seen.append(after_a_break(broken, recording([0.01] * 100).rows(), seen))
        assert (seen[-1].outcome, codes(seen[-1])) == (outcome, ["target_restarted"])
    assert "9 connections were refused" in seen[0].notes[-1].message


@pytest.mark.parametrize(
    "sound",
    [
        trial("pass"),
        trial("fail").model_copy(update={"errors": {"GET /a: 503 Service Unavailable": 9}}),
        trial("fail").model_copy(update={"errors": {"GET /a: no answer within 2 s": 9}}),
    ],
)
def test_what_is_no_restart_stays_as_it_is(sound):
    assert after_a_break(sound, recording([0.01] * 100).rows(), []) == sound


def served(slots: int, service_s: float, rps: float, stops_s: float = 0.0) -> Rows:
    """Ten seconds of even arrivals at a queue, which serves nothing for a while after 4 s."""
    intended_s = [k / rps for k in range(int(10 * rps))]
    free_s = [0.0] * slots
    sojourn_s = []
    for now_s in intended_s:
        begin_s = max(now_s, free_s[0])
        if 4.0 <= begin_s < 4.0 + stops_s:
            begin_s = 4.0 + stops_s
        free_s = sorted([*free_s[1:], begin_s + service_s])
        sojourn_s.append(begin_s + service_s - now_s)
    return recording(sojourn_s, intended_s=intended_s).rows()


def test_a_target_that_seldom_stands_still_is_worth_another_trial_each_time():
    """One in six may: as often as that, it is the target's own way."""
    failed = trial("fail").model_copy(update={"errors": {}})
    still = served(4, 0.02, 100.0, 3.0)
    first = after_a_break(failed, still, [])
    assert (first.outcome, codes(first)) == ("invalid", ["target_stood_still"])
    assert "answered nothing for 3" in first.notes[-1].message
    for trials_since, outcome in ((0, "fail"), (5, "fail"), (6, "invalid")):
        again = after_a_break(failed, still, [first, *[trial("pass")] * trials_since])
        assert (again.outcome, codes(again)) == (outcome, ["target_stood_still"])


@pytest.mark.parametrize(
    "rows",
    [
        served(4, 0.02, 190.0),  # busy
        served(4, 0.02, 400.0),  # hopelessly overloaded
        served(1, 2.0, 20.0),  # slow by itself: two seconds between any two answers
        served(4, 0.02, 100.0, 0.5),  # a short pause
        served(4, 0.02, 2.5, 3.0),  # few wait
    ],
)
def test_a_queue_that_is_served_does_not_stand_still(rows):
    assert standstill_s(rows) == 0.0


def test_the_floor_is_the_best_median_of_what_was_worth_something():
    assert floor_s([trial("pass", 0.03), trial("fail", 0.02), trial("invalid", 0.01)]) == 0.02
    assert floor_s([trial("fail", None)]) is None
    assert floor_s([]) is None


def test_a_search_goes_on_when_the_latency_is_back_at_its_floor(monkeypatch):
    said: list[str] = []
    slow, quick = Pulse(10, 0.3), Pulse(10, 0.012)
    pulses = Scripted(monkeypatch, slow, GONE, slow, quick)
    await_floor(pulses, [trial("pass", 0.01)], said.append)
    assert pulses.now_s == 4.0
    assert said == [
        "waiting for the target to recover: it answers in 300 ms (p50), it was 10 ms",
        "the target answers in 12 ms (p50), it was 10 ms: the search goes on",
    ]


@pytest.mark.parametrize(
    ("pulse", "words"), [(Pulse(10, 0.3), "answers in 300 ms"), (GONE, "does not answer")]
)
def test_a_target_that_does_not_recover_is_not_measured(monkeypatch, pulse, words):
    pulses = Scripted(monkeypatch, pulse)
    with pytest.raises(SetupError, match=rf"the target {words}.*has not recovered in 1 min"):
        await_floor(pulses, [trial("pass", 0.01)], lambda _: None)
    assert pulses.now_s == pytest.approx(RECOVERY_S, abs=2)


def test_without_any_success_so_far_every_answer_will_do(monkeypatch):
    await_floor(Scripted(monkeypatch, Pulse(10, 9.0)), [trial("fail", None)], lambda _: None)


@pytest.mark.load
@pytest.mark.parametrize("comes_back", [True, False])
def test_a_server_that_goes_away_in_a_trial_makes_it_worthless_and_ends_the_load_for_good(
    tmp_path, monkeypatch, comes_back
):
    """It goes in the second trial, and when it comes back does so after the first pulse."""
    monkeypatch.setattr(recovery, "PATIENCE_S", 4.0 if comes_back else 0.5)
    config = RefServerConfig(64, Deterministic(0.001), port=free_port(), lifetime_s=60.0)
    target = RefServer(config).__enter__()
    running, kept, real_take = [target], list[Measurement](), Pulses.take

    def stop_in_the_second(progress: Progress) -> None:
        if progress.trial == 2 and progress.requests > 10 and running == [target]:
            running.pop().__exit__(None, None, None)

    def take(self: Pulses) -> Pulse:
        found = real_take(self)
        if comes_back and not running:
            running.append(RefServer(config).__enter__())
        return found

    monkeypatch.setattr(Pulses, "take", take)
    wanted = job(
        script(tmp_path, ONE_PAGE), target.url, max_rate_rps=90.0, time_budget_s=4.0, timeout_s=1.0
    )
    try:
        if comes_back:
            found = measure(wanted, stop_in_the_second, kept.append)
            assert [k for k, t in enumerate(found.trials) if "target_restarted" in codes(t)] == [1]
            assert found.trials[1].outcome == "invalid"
            assert "fail" not in {t.outcome for t in found.trials}
        else:
            with pytest.raises(TargetLost, match=r"stopped answering .*refused.* in trial 2"):
                measure(wanted, stop_in_the_second, kept.append)
            assert len(kept[-1].trials) == 2
            assert kept[-1].trials[1].outcome == "invalid"
            assert codes(kept[-1].trials[1])[-1] == "target_lost"
    finally:
        for server in running:
            server.__exit__(None, None, None)


@pytest.mark.load
def test_a_server_that_is_restarted_at_once_makes_its_trial_worthless(tmp_path):
    """It is back before anybody could ask for it; only what came in between tells."""
    config = RefServerConfig(64, Deterministic(0.001), port=free_port(), lifetime_s=60.0)
    running = [RefServer(config).__enter__()]
    began: list[int] = []

    def restart_in_the_second(progress: Progress) -> None:
        if progress.trial == 2 and progress.requests > 10 and not began:
            began.append(progress.trial)
            running.pop().__exit__(None, None, None)
            running.append(RefServer(config).__enter__())

    locustfile = script(tmp_path, both(ONE_PAGE.replace("FastHttpUser", "CLIENT")))
    wanted = job(locustfile, running[0].url, max_rate_rps=90.0, time_budget_s=4.0, timeout_s=1.0)
    try:
        found = measure(wanted, restart_in_the_second, lambda _: None)
    finally:
        running[0].__exit__(None, None, None)
    assert began
    # connections were refused, or it was back so soon that they were only late
    assert {"target_restarted", "late_arrivals"} & set(codes(found.trials[1]))
    assert found.trials[1].outcome == "invalid"
    assert "fail" not in {t.outcome for t in found.trials}
