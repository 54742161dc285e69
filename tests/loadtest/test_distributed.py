"""Several generators are a master and workers of Locust: what a script sees, and who may die."""

import os
import re
import signal
import subprocess
import sys
import textwrap
import threading
from collections import Counter
from pathlib import Path

import psutil
import pytest

from capplan.errors import UsageError
from capplan.loadtest.generators.engine import Engine
from capplan.loadtest.generators.peer import ChildDied
from capplan.loadtest.generators.remote import Wanted
from capplan.loadtest.protocol import SUCCESS
from tests.loadtest.harness import (
    BUYER,
    engine,
    ref_server,
    script,
    spec,
    to_the_end,
    worker,
)

pytestmark = pytest.mark.load

HANDS_OUT = """
from locust.runners import MasterRunner, WorkerRunner

accounts = []

def take(environment, msg, **_):
    accounts.extend(msg.data)

@events.init.add_listener
def at_init(environment, **_):
    print("init", type(environment.runner).__name__, flush=True)
    if not isinstance(environment.runner, MasterRunner):
        environment.runner.register_message("accounts", take)

@events.test_start.add_listener
def at_start(environment, **_):
    runner = environment.runner
    if isinstance(runner, WorkerRunner):
        print(runner.worker_index, "begins with", len(accounts), "accounts", flush=True)
    elif isinstance(runner, MasterRunner):
        print("starts with", *sorted(map(runner.get_worker_index, runner.clients)), flush=True)
        every = list(range(runner.target_user_count))
        for k, worker in enumerate(runner.clients):
            runner.send_message("accounts", every[k :: len(runner.clients)], client_id=worker)
    else:
        runner.send_message("accounts", list(range(runner.target_user_count)))

class Buyer(FastHttpUser):
    @task
    def t(self):
        self.client.get(f"/cart/{accounts.pop()}", name="/cart")
"""


def log(locustfile: Path) -> list[str]:
    return locustfile.with_suffix(".log").read_text().splitlines()


# what the script sees


@pytest.mark.parametrize("processes", [1, 2])
def test_a_script_that_hands_out_data_gives_each_process_its_own(tmp_path, processes):
    """This is how Locust's documentation deals out accounts; nobody gets one that is another's."""
    locustfile = script(tmp_path, HANDS_OUT)
    with ref_server() as target:
        with engine(locustfile, target.url, processes=processes) as fleet:
            made = fleet.trial(spec(), to_the_end)
        got = Counter(target.stats()["endpoints"])
    assert set(made.rows().ending) == {SUCCESS}
    assert len(got) == made.count
    assert set(got.values()) == {1}
    said = Counter(log(locustfile))
    if processes == 1:
        assert said == {"init LocalRunner": 1}
    else:
        assert said == {
            "init MasterRunner": 1,
            "init WorkerRunner": 2,
            "starts with 0 1": 1,
            "0 begins with 2500 accounts": 1,
            "1 begins with 2500 accounts": 1,
        }


@pytest.mark.parametrize("processes", [1, 2])
def test_no_user_is_there_before_the_script_has_prepared_what_it_needs(tmp_path, processes):
    body = """
    prepared = []

    @events.test_start.add_listener
    def at_start(environment, **_):
        gevent.sleep(0.5)
        prepared.append(environment)

    class Buyer(FastHttpUser):
        def on_start(self):
            assert prepared

        @task
        def t(self):
            self.client.get("/a")
    """
    locustfile = script(tmp_path, body)
    with ref_server() as target, engine(locustfile, target.url, processes=processes) as fleet:
        made = fleet.trial(spec(), to_the_end)
    assert made.state["failed_starts"] == 0
    assert made.count == made.tickets_due


def test_the_master_has_the_statistics_and_the_users_of_all_workers(tmp_path):
    body = """
    from locust.runners import MasterRunner

    @events.quitting.add_listener
    def at_quitting(environment, **_):
        runner = environment.runner
        if isinstance(runner, MasterRunner):
            print("requests", environment.stats.total.num_requests, flush=True)
            print("state", runner.state, flush=True)

    @events.worker_report.add_listener
    def on_report(client_id, data):
        print("users", data["user_count"], flush=True)

    class Buyer(FastHttpUser):
        @task
        def t(self):
            self.client.get("/a")
    """
    locustfile = script(tmp_path, body)
    with ref_server() as target, engine(locustfile, target.url, processes=2) as fleet:
        made = fleet.trial(spec(duration_s=3.5, users=40, max_users=40), to_the_end)
    said = log(locustfile)
    (total,) = (int(line.split()[1]) for line in said if line.startswith("requests"))
    assert total == made.count
    assert "users 20" in said
    assert "state stopping" in said


def test_a_script_that_stops_the_test_at_the_master_is_refused(tmp_path):
    body = """
    from locust.runners import WorkerRunner

    def check(environment):
        while not environment.runner.stats.total.num_requests:
            gevent.sleep(0.1)
        environment.runner.quit()

    @events.test_start.add_listener
    def at_start(environment, **_):
        if not isinstance(environment.runner, WorkerRunner):
            gevent.spawn(check, environment)

    class Buyer(FastHttpUser):
        @task
        def t(self):
            self.client.get("/a")
    """
    with (
        ref_server() as target,
        engine(script(tmp_path, body), target.url, processes=2) as fleet,
        pytest.raises(UsageError, match="it stops the test by itself"),
    ):
        fleet.trial(spec(100.0, 60.0), to_the_end)


def test_a_script_that_leaves_at_the_master_is_refused_whatever_is_done_meanwhile(tmp_path):
    body = """
    import sys
    from locust.runners import MasterRunner

    @events.test_start.add_listener
    def at_start(environment, **_):
        if isinstance(environment.runner, MasterRunner):
            gevent.spawn_later(0.5, sys.exit, "no stock left")

    class Buyer(User):
        @task
        def t(self):
            gevent.sleep(3)
    """
    with (
        ref_server() as target,
        engine(script(tmp_path, body), target.url, processes=2) as fleet,
        pytest.raises(UsageError, match="it ends the whole process: SystemExit: no stock left"),
    ):
        fleet.check()


def test_an_error_whose_words_cannot_be_encoded_is_told_like_any_other(tmp_path):
    body = """
    class Buyer(FastHttpUser):
        @task
        def t(self):
            self.client.get("/a")
            raise ValueError("unknown city " + chr(0xD83D))
    """
    with ref_server() as target, engine(script(tmp_path, body), target.url, processes=2) as fleet:
        made = fleet.trial(spec(), to_the_end)
    assert made.lost == ()
    assert any("unknown city" in error for error in made.state["errors"])
    assert made.count == made.tickets_due


def test_a_script_that_only_a_worker_cannot_use_is_refused_with_its_reason(tmp_path):
    """As where a library is missing on the worker's machine: its process has no runner yet."""
    body = """
    import sys

    class Buyer(FastHttpUser):
        @task
        def t(self):
            self.client.get("/a")

    if not os.path.exists(FIRST):
        open(FIRST, "w").close()
    else:
        import a_library_that_is_missing
    """
    first = f"import os\nFIRST = {str(tmp_path / 'first')!r}\n"
    with (
        ref_server() as target,
        pytest.raises(UsageError, match="No module named 'a_library_that_is_missing'"),
        engine(script(tmp_path, first + textwrap.dedent(body)), target.url, processes=2),
    ):
        pass


# death

BY_FORCE = r"Locust's master ended by itself \(killed by signal 9\)"


def kill_the_master(fleet: Engine, after_s: float) -> threading.Timer:
    """Kill it in the middle of a trial."""
    return threading.Timer(after_s, os.kill, (fleet.master_pid, signal.SIGKILL))


def test_the_end_of_the_master_ends_the_run_and_all_workers(tmp_path):
    with (
        ref_server() as target,
        engine(script(tmp_path, BUYER), target.url, processes=2) as fleet,
    ):
        workers = [psutil.Process(pid) for pid in fleet.pids]
        kill_the_master(fleet, 1.0).start()
        with pytest.raises(ChildDied, match=BY_FORCE):
            fleet.trial(spec(100.0, 60.0), to_the_end)
        assert psutil.wait_procs(workers, timeout=5.0)[1] == []


STUCK = """
class Buyer(FastHttpUser):
    @task
    def t(self):
        self.client.get("/a")
        while True:
            pass
"""


def test_a_worker_elsewhere_ends_with_its_master_even_in_a_task_that_never_ends(tmp_path):
    """The process that makes load must not outlive what it makes load for."""
    workers: list[subprocess.Popen[bytes]] = []

    def tell(text: str) -> None:
        if found := re.search(r"CAPPLAN_TOKEN=(.+) capplan worker (\S+)", text):
            command = [sys.executable, "-m", "capplan", "worker", found[2]]
            root = str(Path(__file__).parents[2])
            told = {"CAPPLAN_TOKEN": found[1], "PYTHONPATH": root, "XDG_CACHE_HOME": str(tmp_path)}
            workers.append(subprocess.Popen(command, env=os.environ | told))

    locustfile = script(tmp_path, STUCK)
    wanted = Wanted(1, "127.0.0.1", 0, "only for this test")
    with ref_server() as target:
        config = worker(locustfile, target.url)
        with Engine(config, tmp_path / "log", 0, wanted=wanted, tell=tell) as fleet:
            kill_the_master(fleet, 2.0).start()
            with pytest.raises(ChildDied, match=BY_FORCE):
                fleet.trial(spec(100.0, 60.0), to_the_end)
            assert workers[0].wait(5) == 0
