"""What goes wrong: unusable scripts, servers that misbehave, processes that are killed."""

import ast
import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from capplan.errors import SetupError, UsageError
from capplan.loadtest.evaluate import evaluate
from capplan.loadtest.generators import engine as engine_module
from capplan.loadtest.measure import Measurement, measure
from capplan.loadtest.progress import Progress
from capplan.loadtest.protocol import FAILURE, NOT_STARTED, SUCCESS, TIMEOUT
from capplan.loadtest.recording import Recording
from capplan.loadtest.search import policy
from capplan.loadtest.validity import Usage
from capplan.model.service_time import Deterministic
from capplan.plan.sla import parse_sla
from capplan.refserver import RefServer, RefServerConfig
from tests.loadtest.harness import (
    OK,
    TIMEOUT_S,
    Answer,
    both,
    engine,
    free_port,
    job,
    ref_server,
    run,
    says,
    script,
    server,
    spec,
    to_the_end,
)

pytestmark = pytest.mark.load

NOBODY = "http://127.0.0.1:1"
ONE_PAGE = """
class Buyer(FastHttpUser):
    @task
    def t(self):
        self.client.get("/a")
"""


# scripts that break later


def test_an_endless_loop_in_a_task_is_noticed_during_the_check(tmp_path, monkeypatch):
    monkeypatch.setattr(engine_module, "SILENCE_S", 0.5)
    body = """
    class Buyer(FastHttpUser):
        @task
        def t(self):
            while True:
                pass
    """
    child = engine(script(tmp_path, body), NOBODY, timeout_s=0.5)
    with pytest.raises(SetupError, match="said nothing for 1 s"), child:
        child.check()
    assert not psutil.pid_exists(child.pids[0])


def test_an_endless_loop_in_a_task_is_noticed_during_a_trial(tmp_path, monkeypatch):
    monkeypatch.setattr(engine_module, "SILENCE_S", 0.5)
    body = """
    class Buyer(FastHttpUser):
        @task
        def t(self):
            self.client.get("/a")
            while True:
                pass
    """
    with ref_server() as target:
        child = engine(script(tmp_path, body), target.url, timeout_s=0.5)
        with pytest.raises(SetupError, match="said nothing for 1 s"), child:
            child.trial(spec(), to_the_end)
    assert not psutil.pid_exists(child.pids[0])


def test_a_task_that_swallows_every_exception_cannot_hold_up_the_next_trial(tmp_path):
    body = """
    class Buyer(FastHttpUser):
        stuck = 0

        @task
        def t(self):
            self.client.get("/a")
            Buyer.stuck += 1
            while Buyer.stuck <= 3:
                try:
                    gevent.sleep(60)
                except BaseException:
                    pass
    """
    with (
        ref_server() as target,
        engine(script(tmp_path, body), target.url, timeout_s=0.2) as child,
    ):
        first = child.trial(spec(), to_the_end)
        second = child.trial(spec(index=1), to_the_end)
    for made in (first, second):
        assert made.count == made.state["issued"]
        assert set(made.rows().ending) == {SUCCESS}


@pytest.mark.parametrize(
    ("during", "unit"), [("trial", "task"), ("check", "task"), ("check", "visit")]
)
def test_a_user_that_cannot_be_made_is_the_scripts_error(tmp_path, during, unit):
    body = f"""
    class Buyer(FastHttpUser):
        made = 0

        def __init__(self, environment):
            super().__init__(environment)
            Buyer.made += 1
            if Buyer.made > {3 if during == "trial" else 0}:
                raise RuntimeError("no more accounts")

        @task
        def t(self):
            self.client.get("/a")
    """
    locustfile = script(tmp_path, body)
    child = engine(locustfile, NOBODY, unit=unit)
    with pytest.raises(UsageError, match="RuntimeError: no more accounts") as broken, child:
        child.trial(spec(), to_the_end) if during == "trial" else child.check()
    line = 1 + locustfile.read_text().partition("raise RuntimeError")[0].count("\n")
    assert f'File "{locustfile}", line {line}, in __init__' in broken.value.message
    assert "capplan/" not in broken.value.message.partition("Traceback")[2]
    assert "pool.py" not in broken.value.message
    assert not any(map(psutil.pid_exists, child.pids))


def test_a_task_that_sleeps_for_ever_is_refused_after_the_check(tmp_path):
    body = """
    class Buyer(FastHttpUser):
        @task
        def t(self):
            self.client.get("/a")
            gevent.sleep(10**6)
    """
    with ref_server() as target:
        wanted = job(script(tmp_path, body), target.url, timeout_s=0.3)
        with pytest.raises(UsageError, match=r"first task: it had not ended after 1\.3 s"):
            measure(wanted, lambda _: None, lambda _: None)
        received = target.stats()["received"]
    assert received == 1


@pytest.mark.parametrize(
    ("call", "codes"),
    [
        ("monkey.get_original('time', 'sleep')(0.08)", {"script_holds_up"}),
        # a machine that others keep busy may not give it the core that it wants
        ("sum(range(3_000_000))", {"generator_busy", "script_holds_up", "late_arrivals"}),
    ],
)
def test_a_call_that_gives_no_control_back_is_a_fault_of_the_script(tmp_path, call, codes):
    """Twenty calls a second of 80 ms each are more than a second of a second.

    The answers come late for it, which must not be held against the target.
    """
    body = f"""
    from gevent import monkey

    class Buyer(FastHttpUser):
        @task
        def t(self):
            self.client.get("/a")
            {call}
    """
    with ref_server() as target:
        made = run(script(tmp_path, body), target.url, spec(20.0, 1.5))
    judged = evaluate(made, "refine", 0.0, parse_sla("p95<5ms"), {}, Usage())
    assert judged.outcome == "invalid"
    assert codes & {note.code for note in judged.notes}


# servers that misbehave


def endings(tmp_path: Path, answer: Answer, timeout_s: float = TIMEOUT_S) -> tuple[set[int], Any]:
    """Load a server with both clients; return what became of the requests, and the errors."""
    body = """
    class Buyer(CLIENT):
        @task
        def t(self):
            self.client.get("/a")
    """
    with server(answer) as url:
        load = spec(80.0, users=60)
        made = run(script(tmp_path, both(body)), url, load, timeout_s=timeout_s)
    assert NOT_STARTED not in made.endpoints
    assert made.count == made.state["issued"] > 20
    assert (made.state["in_flight"], made.state["queued"]) == (0, 0)
    return set(made.rows().ending), made.state["errors"]


def test_requests_without_an_answer_are_timeouts(tmp_path):
    def until_it_leaves(connection: socket.socket) -> None:
        connection.recv(1)

    found, errors = endings(tmp_path, until_it_leaves, timeout_s=0.4)
    assert found == {TIMEOUT}
    assert list(errors) == ["GET /a: no answer within 0.4 s"]


def test_an_answer_that_trickles_is_bounded_as_a_whole(tmp_path):
    def trickle(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        connection.settimeout(0.05)
        while True:  # a piece comes long before a read would time out
            with contextlib.suppress(TimeoutError):
                connection.recv(1)
                return
            connection.sendall(b"x")

    found, errors = endings(tmp_path, trickle, timeout_s=0.4)
    assert found == {TIMEOUT}
    assert list(errors) == ["GET /a: no answer within 0.4 s"]


def test_a_server_that_hangs_up_without_an_answer_fails(tmp_path):
    found, errors = endings(tmp_path, lambda c: c.shutdown(socket.SHUT_RDWR))
    assert found == {FAILURE}
    assert all("clos" in error for error in errors)


def test_an_answer_that_is_no_http_fails(tmp_path):
    assert endings(tmp_path, says(b"\x00\xff not at all\r\n\r\n"))[0] == {FAILURE}


def test_a_server_may_hang_up_after_an_answer(tmp_path):
    def hang_up(connection: socket.socket) -> None:
        # in one packet, so that no request is under way when the connection ends
        connection.sendall(OK, socket.MSG_MORE)
        connection.shutdown(socket.SHUT_WR)

    assert endings(tmp_path, hang_up) == ({SUCCESS}, {})


def test_a_server_may_hang_up_when_a_connection_is_idle(tmp_path):
    body = """
    class Buyer(CLIENT):
        @task
        def t(self):
            self.client.get("/a")
            gevent.sleep(0.5)  # long after the server has hung up
            self.client.get("/a")
            raise StopUser  # whose connection is not used again at a moment that chance decides
    """

    def hang_up_when_idle(connection: socket.socket) -> None:
        connection.sendall(OK)
        connection.settimeout(0.05)  # the next read ends the connection

    with server(hang_up_when_idle) as url:
        made = run(script(tmp_path, both(body)), url, spec(60.0, users=100))
    assert made.count == 2 * made.state["issued"] > 20
    assert set(made.rows().ending) == {SUCCESS}


def test_a_server_that_fails_everything_is_below_the_sla_and_the_reason_says_so(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(policy, "LOWEST_RATE", 20.0)  # no long trials at a request per second
    with server(says(b"HTTP/1.1 500 Oops\r\nContent-Length: 4\r\n\r\noops")) as url:
        locustfile = script(tmp_path, ONE_PAGE)
        found = measure(job(locustfile, url), lambda _: None, lambda _: None)
    assert found.verdict == "below_sla"
    assert "100% of the requests failed at" in found.reason
    assert "GET /a" in found.reason
    assert "500" in found.reason
    assert found.bounds_rps.low is None
    assert {trial.outcome for trial in found.trials} == {"fail"}


def test_a_timeout_is_named_as_an_answer_would_be(tmp_path):
    body = """
    class Fast(FastHttpUser):
        @task
        def t(self):
            self.client.get("/a?size=4")

    class Buyer(HttpUser):
        @task
        def t(self):
            self.client.get("/a?size=4", params={"colour": "red"})
    """

    def until_it_leaves(connection: socket.socket) -> None:
        connection.recv(1)

    for answer in (says(OK), until_it_leaves):
        with server(answer) as url:
            load = spec(60.0, users=60)
            made = run(script(tmp_path, body), url, load, timeout_s=0.3)
        assert set(made.endpoints) == {"GET /a?size=4", "GET /a?size=4&colour=red"}


def test_a_server_that_answers_slowly_for_a_while_is_slow_for_just_those_requests(tmp_path):
    """The first twenty answers take half a second, all later ones none."""
    tickets = iter(range(10_000))

    def recovering(connection: socket.socket) -> None:
        if next(tickets) < 20:
            time.sleep(0.5)  # the server's own slowness, not a wait for something
        connection.sendall(OK)

    locustfile = script(tmp_path, ONE_PAGE)
    with server(recovering) as url, engine(locustfile, url) as child:
        slow = child.trial(spec(80.0, 1.2, users=80), to_the_end)
        after = child.trial(spec(80.0, index=1, users=80), to_the_end)
    for made in (slow, after):
        assert made.count == made.state["issued"] > 20
        assert set(made.rows().ending) == {SUCCESS}
    assert sum(slow.rows().latency_s >= 0.5) == 20
    assert sum(after.rows().latency_s >= 0.5) == 0


def measured_while_it_stands_still(folder):
    """From the fiftieth request on it answers nothing for a second and a half."""
    tickets, goes_on_at = iter(range(100_000)), list[float]()

    def standing_still(connection: socket.socket) -> None:
        if next(tickets) >= 50 and not goes_on_at:
            goes_on_at.append(time.monotonic() + 1.5)
        if goes_on_at:  # the server's own slowness, not a wait for something
            time.sleep(max(0.0, goes_on_at[0] - time.monotonic()))
        connection.sendall(OK)

    locustfile = script(folder, ONE_PAGE)
    with server(standing_still) as url:
        wanted = job(locustfile, url, max_rate_rps=90.0, time_budget_s=6.0)
        found = measure(wanted, lambda _: None, lambda _: None)
    assert goes_on_at
    return found


def test_a_server_that_stands_still_once_costs_a_trial_and_not_the_answer(tmp_path):
    def unharmed() -> bool:
        found = measured_while_it_stands_still(tmp_path)
        outcomes = {t.outcome for t in found.trials}
        return outcomes <= {"pass", "invalid"} and found.bounds_rps.high is None

    # a crowded machine may be slow beside it, and that counts
    assert any(unharmed() for _ in range(3))


def test_a_server_that_is_restarted_fails_meanwhile_and_is_found_again(tmp_path):
    port = free_port()
    config = RefServerConfig(64, Deterministic(0.001), port=port, lifetime_s=60.0)
    running = [RefServer(config)]
    served: list[int] = []

    def restart_once(made: Recording) -> bool:
        if made.count > 30 and not served:
            served.append(running[0].stats()["received"])
            running[0].__exit__(None, None, None)
            running[0] = RefServer(config).__enter__()
        return False

    locustfile = script(tmp_path, ONE_PAGE)
    running[0].__enter__()
    try:
        with engine(locustfile, f"http://127.0.0.1:{port}", timeout_s=1.0) as child:
            broken = child.trial(spec(60.0, 2.5, users=40), restart_once)
            whole = child.trial(spec(60.0, index=1, users=40), to_the_end)
        received = running[0].stats()["received"]
    finally:
        running[0].__exit__(None, None, None)
    found = broken.rows().ending
    assert served
    assert broken.count == broken.state["issued"]
    assert {SUCCESS, FAILURE} <= set(found)
    assert set(whole.rows().ending) == {SUCCESS}
    # all that succeeded since the last failure, at the latest, was served by the new server
    since = len(found) - 1 - int(np.flatnonzero(found != SUCCESS)[-1])
    assert since + whole.count <= received <= int((found == SUCCESS).sum()) + whole.count


def test_an_sla_below_what_an_idle_server_needs_is_missed_with_the_floor_that_was_measured(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(policy, "LOWEST_RATE", 20.0)  # no long trials at a request per second
    with RefServer(RefServerConfig(64, Deterministic(0.1), lifetime_s=60.0)) as target:
        wanted = job(script(tmp_path, ONE_PAGE), target.url, sla=parse_sla("p95<50ms"))
        found = measure(wanted, lambda _: None, lambda _: None)
    assert found.verdict == "below_sla"
    assert found.bounds_rps.low is None
    assert found.binding is not None
    assert (found.binding.name, found.binding.exceedance) == ("p95", 1.0)
    floor = re.search(r"p95 was (\d+) ms, over 50 ms", found.reason)
    assert floor is not None
    assert int(floor[1]) >= 100


def test_no_clock_of_the_wall_is_read_where_time_is_measured():
    """A step of the machine's clock, by NTP or by hand, must not bend a load or a latency.

    ``perf_counter`` and ``monotonic`` do not follow it. That Locust's response times do not either
    is a contract test. Locust's own statistics are stamped with the wall's time, also by ``tally``.
    """
    wall = {"time", "time_ns", "now", "utcnow", "today", "localtime", "gmtime", "ctime"}
    for path in Path(engine_module.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())) if path.name != "tally.py" else ():
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                assert node.func.attr not in wall, f"{path}:{node.lineno}"
            if isinstance(node, ast.ImportFrom) and node.module in ("time", "datetime"):
                assert not wall & {name.name for name in node.names}, f"{path}:{node.lineno}"


def test_a_step_of_the_wall_clock_in_a_trial_bends_nothing(tmp_path):
    """An hour ahead after 20 requests, an hour back after 60, as the process itself sees it."""
    body = """
    import time

    class Steps:
        made = 0
        wall = time.time

        @classmethod
        def request(cls):
            cls.made += 1
            offset_s = {20: 3600.0, 60: -3600.0}.get(cls.made)
            if offset_s:
                time.time = lambda: cls.wall() + offset_s
                print("stepped", round(time.time() - cls.wall()), flush=True)

    class Buyer(CLIENT):
        @task
        def t(self):
            self.client.get("/a")
            Steps.request()
    """
    locustfile = script(tmp_path, both(body))
    with ref_server() as target, engine(locustfile, target.url) as child:
        made = child.trial(spec(100.0, 1.2), to_the_end)
        after = child.trial(spec(index=1), to_the_end)
    log = locustfile.with_suffix(".log").read_text()
    assert re.findall(r"stepped (-?\d+)", log) == ["3600", "-3600"]
    for trial in (made, after):
        assert trial.count == trial.tickets_due == trial.state["issued"] > 60
        assert set(trial.rows().ending) == {SUCCESS}
        assert trial.rows().latency_s.max() < TIMEOUT_S
        assert trial.rows().latency_s.min() >= 0.0
        assert trial.rows().intended_s.max() < trial.spec.duration_s
    assert made.state["held_s"] < made.spec.duration_s + TIMEOUT_S


# processes that are killed


def generators() -> list[psutil.Process]:
    """The load generators that this process has started."""
    return [
        child
        for child in psutil.Process().children()
        if "capplan.loadtest.worker" in " ".join(child.cmdline())
    ]


def test_a_trial_whose_generator_is_killed_is_worthless_and_the_search_goes_on(tmp_path):
    killed: list[int] = []

    def kill_once(_: Progress) -> None:
        if not killed:
            (generator,) = generators()
            generator.kill()
            killed.append(generator.pid)

    with ref_server() as target:
        locustfile = script(tmp_path, ONE_PAGE)
        load = job(locustfile, target.url, max_rate_rps=60.0, time_budget_s=4.0)
        found = measure(load, kill_once, lambda _: None)
    first, second, *_ = found.trials
    assert (first.outcome, [note.code for note in first.notes]) == ("invalid", ["worker_died"])
    assert "worker_died" not in {note.code for note in second.notes}
    assert "worker_died" in {note.code for note in found.notes}
    assert generators() == []


def test_trials_are_kept_when_the_load_generator_is_killed_twice(tmp_path):
    kept: list[Measurement] = []

    def kill_from_the_second_on(progress: Progress) -> None:
        if progress.trial >= 2:
            for generator in generators():
                generator.kill()

    with ref_server() as target:
        locustfile = script(tmp_path, ONE_PAGE)
        with pytest.raises(SetupError, match="ended by itself"):
            measure(job(locustfile, target.url), kill_from_the_second_on, kept.append)
    assert [len(so_far.trials) for so_far in kept] == [1, 2]
    assert "worker_died" in {note.code for note in kept[1].trials[1].notes}
    assert generators() == []


def test_an_interrupt_ends_the_load_and_keeps_the_trials(tmp_path):
    def interrupt_in_the_second(progress: Progress) -> None:
        if progress.trial == 2:
            raise KeyboardInterrupt

    with ref_server() as target:
        locustfile = script(tmp_path, ONE_PAGE)
        found = measure(job(locustfile, target.url), interrupt_in_the_second, lambda _: None)
    assert (found.interrupted, found.verdict, len(found.trials)) == (True, "inconclusive", 1)
    passed = found.trials[0].outcome == "pass"  # a crowded machine may be slow at any rate
    assert (found.bounds_rps.low is not None) is passed
    assert generators() == []


MEASURE = """
import json, sys, psutil
from pathlib import Path
from capplan.loadtest.measure import measure
from tests.loadtest.harness import job

def show(progress):
    if progress.trial == int(sys.argv[3]) and progress.requests > 10:
        print(json.dumps([child.pid for child in psutil.Process().children()]), flush=True)

found = measure(job(Path(sys.argv[1]), sys.argv[2], time_budget_s=60.0), show, lambda _: None)
print(json.dumps({"interrupted": found.interrupted, "trials": len(found.trials)}), flush=True)
"""


@contextlib.contextmanager
def measuring(
    locustfile: Path, url: str, trial: int
) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """A process in the middle of a trial, and the process id of its load generator."""
    process = subprocess.Popen(
        [sys.executable, "-c", MEASURE, str(locustfile), url, str(trial)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    assert process.stdout is not None
    try:
        (generator,) = json.loads(process.stdout.readline())
        yield process, generator
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def gone(pid: int, within_s: float) -> bool:
    try:
        psutil.Process(pid).wait(within_s)
    except psutil.NoSuchProcess:
        pass
    except psutil.TimeoutExpired:
        return False
    return True


def test_no_generator_outlives_a_parent_that_is_killed(tmp_path):
    with (
        ref_server() as target,
        measuring(script(tmp_path, ONE_PAGE), target.url, trial=1) as (process, pid),
    ):
        assert psutil.pid_exists(pid)
        process.kill()
        assert gone(pid, within_s=5.0)


def test_even_a_generator_in_an_endless_loop_does_not_outlive_its_parent(tmp_path):
    looping = tmp_path / "looping"
    os.mkfifo(looping)
    body = f"""
    class Buyer(FastHttpUser):
        served = 0

        @task
        def t(self):
            self.client.get("/a")
            Buyer.served += 1
            if Buyer.served > 20:
                open("{looping}", "w").close()
                while True:
                    pass
    """
    with (
        ref_server() as target,
        measuring(script(tmp_path, body), target.url, trial=1) as (process, pid),
    ):
        looping.read_text()  # waits until the loop begins
        process.kill()
        assert gone(pid, within_s=5.0)


def test_ctrl_c_ends_the_load_within_two_seconds(tmp_path):
    with (
        ref_server() as target,
        measuring(script(tmp_path, ONE_PAGE), target.url, trial=2) as (process, pid),
    ):
        process.send_signal(signal.SIGINT)
        assert gone(pid, within_s=2.0)
        assert process.stdout is not None
        *_, last = process.stdout.read().splitlines()
    assert json.loads(last) == {"interrupted": True, "trials": 1}
    assert process.returncode == 0
