"""A generator that is too weak: it grows, says what is missing, and invents no number."""

import math
from pathlib import Path

import pytest

from capplan.loadtest import machine, measure, remedy
from capplan.loadtest.evaluate import evaluate
from capplan.loadtest.generators.engine import Engine
from capplan.loadtest.measure import Measurement, Run
from capplan.loadtest.protocol import MOST_USERS, NOT_STARTED, TrialSpec, WorkerConfig
from capplan.loadtest.recording import Recording
from capplan.loadtest.search.policy import Bounds, Next
from capplan.loadtest.validity import MAX_GENERATOR_CPU, Usage
from capplan.model.service_time import Deterministic
from capplan.plan.sla import parse_sla
from capplan.refserver import RefServer, RefServerConfig
from tests.loadtest.harness import job, rows, run, script, spec

pytestmark = pytest.mark.load

NEVER = math.inf


class Simulated(Engine):
    """A generator whose processes carry so much each, against a target that carries so much.

    ``busy_s``: how long a user is busy with each arrival. ``die``: how many trials lose a process.
    """

    def __init__(self, per_process: float, target: float, busy_s: float = 0.1, die: int = 0):
        super().__init__(WorkerConfig((), "", 1.0, ()), Path())
        self.per_process, self.target, self.busy_s, self.die = per_process, target, busy_s, die
        self.loads: list[tuple[float, int, int]] = []

    def grow(self) -> None:
        self.processes += 1

    def trial(self, spec: TrialSpec, watch: object) -> Recording:
        rate, users = spec.arrivals_per_s, max(spec.users, spec.max_users)
        self.loads.append((round(rate, 1), self.processes, spec.users))
        made = Recording(spec, self.processes)
        each = max(1, round(rate * spec.duration_s / self.processes))
        count = each * self.processes
        starved = rate * self.busy_s > users
        slow = rate > self.target
        made.add(
            rows(
                [(i + 0.5) * spec.duration_s / count for i in range(count)],
                [0.5 if slow else 0.1] * count,
                lateness_s=[0.4] * count if starved else None,
            ),
            ["GET /", NOT_STARTED],
        )
        made.tickets_due = count
        for worker in range(self.processes):
            used = min(1.0, rate / self.processes / self.per_process * MAX_GENERATOR_CPU)
            report = {
                "issued": each,
                "held_s": spec.duration_s,
                "users": users // self.processes,
                "generator_cpu": used,
                "lateness_s_p99": 0.05 if used > 0.99 else 0.001,
                "starved": each if starved else 0,
            }
            made.progress(report, worker)
        if self.die:
            self.die -= 1
            made.lost = ("the load generator ended by itself (killed by signal 9)",)
        return made


def search(
    monkeypatch: pytest.MonkeyPatch,
    engine: Simulated,
    *,
    cores: int = 4,
    idle_cores: float = 1.0,
    max_rate_rps: float | None = None,
) -> Measurement:
    """Run a whole search against a simulated generator; each trial takes as long as it should."""

    class Meter:
        elapsed_s = 4.0

        def usage(self, **_: object) -> Usage:
            return Usage(cores, idle_cores)

    monkeypatch.setattr(measure, "Meter", Meter)
    run = Run(
        job(Path("shop.py"), "http://127.0.0.1", max_rate_rps=max_rate_rps, time_budget_s=200.0),
        lambda _: None,
    )
    while isinstance(step := run.next_step(), Next):
        run.trial(engine, step)
    return run.finished(step)


def notes(found: Measurement) -> dict[str, str]:
    return {note.code: f"{note.message}; {note.advice}" for note in found.notes}


# it grows


def test_a_weak_generator_adds_processes_until_it_can_hold_the_load(monkeypatch):
    weak = Simulated(per_process=100.0, target=250.0)
    found = search(monkeypatch, weak)
    assert found.verdict == "measured"
    assert found.bounds_rps.low is not None
    assert found.bounds_rps.high is not None
    assert 160.0 < found.bounds_rps.low < 250.0 < found.bounds_rps.high < 320.0
    assert max(processes for _, processes, _ in weak.loads) == 4
    assert found.generator.processes == 4
    assert found.generator.limit_rps is None
    invalid = [t for t in found.trials if t.outcome == "invalid"]
    assert [t.health.processes for t in invalid] == [1, 2, 3]
    # each was repeated at once with one process more
    again = [weak.loads[k + 1] for k, t in enumerate(found.trials) if t.outcome == "invalid"]
    assert [(rate, n) for rate, n, _ in again] == [
        (round(t.arrivals_per_s, 1), t.health.processes + 1) for t in invalid
    ]
    assert "generator_limit" not in notes(found)


def test_a_generator_that_is_strong_enough_stays_as_it_is(monkeypatch):
    strong = Simulated(per_process=1000.0, target=250.0)
    assert search(monkeypatch, strong).generator.processes == 1


# it cannot grow


def test_with_all_cores_in_use_the_answer_is_at_least_what_was_held(monkeypatch):
    weak = Simulated(per_process=100.0, target=NEVER)
    found = search(monkeypatch, weak, cores=2)
    assert found.verdict == "inconclusive"
    assert found.reason == "the load generator is the limit"
    passed = max(t.arrivals_per_s for t in found.trials if t.outcome == "pass")
    assert found.bounds_rps == Bounds(passed, None, None)
    assert passed == 160.0
    assert max(n for _, n, _ in weak.loads) == 2
    said = notes(found)["generator_limit"]
    # 320 rps were too much, and so were 0.7 times as many
    assert "could not hold 224 rps: 2 processes used up to 90% of a core" in said
    assert "1.0 of 2 cores were idle" in said
    assert "about 3 cores" in said
    assert found.generator.limit_rps == pytest.approx(224.0)


def test_a_target_that_needs_the_other_cores_gets_them(monkeypatch):
    weak = Simulated(per_process=100.0, target=NEVER)
    found = search(monkeypatch, weak, cores=4, idle_cores=0.1)
    assert found.verdict == "inconclusive"
    assert found.generator.processes == 1
    assert "0.1 of 4 cores were idle" in notes(found)["generator_limit"]


def test_a_limit_of_the_generator_above_the_answer_does_not_matter(monkeypatch):
    """160 is too much for one process, and 90 for the target: what lies between is measured."""
    found = search(monkeypatch, Simulated(per_process=120.0, target=90.0), cores=1)
    assert found.verdict == "measured"
    assert found.bounds_rps.mid is not None
    assert found.bounds_rps.mid == pytest.approx(90.0, rel=0.2)
    assert "generator_limit" not in notes(found)


def test_a_rate_the_user_allows_is_not_mistaken_for_the_limit_of_the_generator(monkeypatch):
    found = search(
        monkeypatch, Simulated(per_process=100.0, target=NEVER), cores=1, max_rate_rps=60.0
    )
    assert (found.verdict, found.bounds_rps.low) == ("not_reached", 60.0)


# too few users


def test_a_pool_that_is_too_small_is_doubled_until_it_is_not(monkeypatch):
    """Users that stay busy for five seconds after each arrival, with a timeout of two."""
    slow_scripts = Simulated(per_process=NEVER, target=50.0, busy_s=5.0)
    found = search(monkeypatch, slow_scripts)
    assert found.verdict == "measured"
    assert "pool_too_small" in notes(found)
    pools = [users for rate, _, users in slow_scripts.loads if rate == 80.0]
    assert pools == sorted(set(pools))


def test_a_pool_at_its_limit_is_a_limit_of_the_generator(monkeypatch):
    endless = Simulated(per_process=NEVER, target=NEVER, busy_s=60.0)
    found = search(monkeypatch, endless)
    assert found.verdict == "inconclusive"
    assert max(users for _, _, users in endless.loads) == MOST_USERS
    assert found.bounds_rps.low is not None
    assert found.bounds_rps.low <= MOST_USERS / 60.0
    assert found.bounds_rps.high is None
    assert "all of its 5,000 users were busy" in notes(found)["generator_limit"]


def test_accounts_that_run_out_are_no_limit_of_the_target(tmp_path):
    """Five users who take 0.1 s each serve 50/s: of 200/s for half a second the last wait 1.5 s."""
    body = """
    accounts = list(range(5))

    class Buyer(FastHttpUser):
        def on_start(self):
            self.account = accounts.pop()

        @task
        def t(self):
            self.client.get("/a")
    """
    config = RefServerConfig(64, Deterministic(0.1), lifetime_s=60.0)
    with RefServer(config) as target:
        made = run(script(tmp_path, body), target.url, spec(200.0, 0.5))
    trial = evaluate(made, "probe", 0.0, parse_sla("p95<1s"), {}, Usage())
    assert trial.outcome == "invalid"
    assert trial.health.users == 5
    (note,) = (note for note in trial.notes if note.code == "users_missing")
    assert "5 users were there" in note.message
    assert "(IndexError: pop from empty list (shop.py, line 12))" in note.message
    assert "no more than 5 users" in remedy.missing(trial).message


@pytest.mark.parametrize("client", ["HttpUser", "FastHttpUser"])
@pytest.mark.parametrize("unit", ["task", "visit"])
def test_data_that_runs_out_is_no_failure_of_the_target(tmp_path, unit, client):
    body = f"""
    rows = iter(range(20))

    class Buyer({client}):
        @task
        def t(self):
            self.client.get(f"/{{next(rows)}}", name="/page")
            raise StopUser
    """
    with RefServer(RefServerConfig(64, Deterministic(0.001), lifetime_s=60.0)) as target:
        made = run(script(tmp_path, body), target.url, spec(200.0, 0.5), unit=unit, visit_tasks=1)
    trial = evaluate(made, "probe", 0.0, parse_sla("p95<2s"), {}, Usage())
    assert trial.outcome == "invalid"
    assert trial.health.unasked == trial.failures == trial.requests - 20 > 40
    found = {note.code: note.message for note in trial.notes}
    assert f"for {trial.health.unasked} arrivals the script raised" in found["script_raised"]
    assert "StopIteration" in found["tasks_raised"]


# worthless for ever


def test_trials_that_are_always_worthless_end_without_a_number(monkeypatch):
    hopeless = Simulated(per_process=0.1, target=NEVER)
    found = search(monkeypatch, hopeless, cores=2)
    assert found.verdict == "inconclusive"
    assert found.bounds_rps == Bounds(None, None, None)
    assert len(hopeless.loads) == 1 + remedy.MOST_IN_A_ROW


def test_a_trial_that_lost_a_process_is_repeated_as_it_was(monkeypatch):
    mortal = Simulated(per_process=NEVER, target=50.0, die=1)
    found = search(monkeypatch, mortal)
    assert found.verdict == "measured"
    assert mortal.loads[0] == mortal.loads[1]
    assert "worker_died" in notes(found)


# a real one


def test_a_script_that_burns_cpu_gets_a_second_process(tmp_path, monkeypatch):
    """Each arrival costs 2 ms of CPU, so that one process ends at 500/s; 450/s are asked for."""
    monkeypatch.setattr(measure, "FIRST_RATE", 450.0)
    monkeypatch.setattr(machine, "cores", lambda: 2)
    monkeypatch.setattr(remedy, "SPARE_CORES", 0.0)  # others may use this machine meanwhile
    body = """
    import time

    class Buyer(FastHttpUser):
        @task
        def t(self):
            self.client.get("/a")
            until = time.process_time() + 0.002
            while time.process_time() < until:
                pass
    """

    def enough(so_far: Measurement) -> None:
        if so_far.trials[-1].health.processes == 2:
            raise KeyboardInterrupt

    with RefServer(RefServerConfig(64, Deterministic(0.001), lifetime_s=60.0)) as target:
        locustfile = script(tmp_path, body.replace("\n    ", "\n"))
        found = measure.measure(job(locustfile, target.url), lambda _: None, enough)
    weak, grown = found.trials
    assert (weak.outcome, weak.health.processes, grown.health.processes) == ("invalid", 1, 2)
    assert {note.code for note in weak.notes} & {"generator_busy", "late_arrivals"}
    assert grown.arrivals_per_s == weak.arrivals_per_s
    assert len(grown.health.generator_cpus) == 2
    # both halves were issued in full
    assert grown.health.tickets_issued == grown.health.tickets_due
    assert found.generator.processes == 2
