"""Several load generators that hold one load: together, from one instant, and none left behind."""

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import psutil
import pytest

from capplan.loadtest import schedule
from capplan.loadtest.generators.engine import Engine
from capplan.loadtest.generators.peer import ChildDied
from capplan.loadtest.protocol import SUCCESS
from capplan.loadtest.recording import Recording
from tests.loadtest.harness import (
    engine,
    received,
    ref_server,
    requests,
    script,
    spec,
    to_the_end,
)

pytestmark = pytest.mark.load

TWO_PAGES = """
class Buyer(FastHttpUser):
    weight = 3

    @task
    def t(self):
        self.client.get("/a")

class Seller(FastHttpUser):
    @task
    def t(self):
        self.client.get("/b")
"""


def drawn(load, workers: int) -> list[float]:
    """The intended starts of all workers, as the parent can know them from the seed."""
    shares = [load.share(worker, workers) for worker in range(workers)]
    return sorted(due_s for share in shares for due_s in schedule.arrivals(share))


# one load from several processes


def test_two_processes_hold_the_load_that_one_would(tmp_path):
    """The counts of both together, in 150 bins of 10 ms, vary as much as their mean.

    For a Poisson process the index of dispersion has the standard deviation √(2/149); four of them
    make the band. A quarter of the arrivals is the seller's: 4·√(.25·.75/n). The seed is fixed.
    """
    load = spec(400.0, 1.5, users=60)
    with (
        ref_server() as target,
        engine(script(tmp_path, TWO_PAGES), target.url, processes=2) as fleet,
        received(target) as counted,
    ):
        made = fleet.trial(load, to_the_end)
    got = made.rows()
    assert np.sort(got.intended_s) == pytest.approx(drawn(load, 2), abs=1e-6)
    assert made.tickets_due == made.state["issued"] == made.count
    assert min(made.each("issued")) > 200
    assert set(got.ending) == {SUCCESS}
    assert requests(made) == counted
    bins, _ = np.histogram(got.intended_s, bins=150, range=(0.0, 1.5))
    assert bins.var(ddof=1) / bins.mean() == pytest.approx(1.0, abs=4 * (2 / 149) ** 0.5)
    share = counted["GET /b"] / counted.total()
    assert share == pytest.approx(0.25, abs=4 * (0.25 * 0.75 / counted.total()) ** 0.5)


def test_no_process_starts_before_the_last_login_of_another_is_done(tmp_path):
    body = f"""
    import time

    def note(what, user):
        with open("{tmp_path}/times", "a") as times:
            times.write(f"{{what}} {{user.environment.runner.worker_index}} {{time.time()}}\\n")

    class Buyer(FastHttpUser):
        def on_start(self):
            if self.environment.runner.worker_index:
                gevent.sleep(0.4)
            note("login", self)

        @task
        def t(self):
            note("task", self)
            self.client.get("/a")
    """
    with (
        ref_server() as target,
        engine(script(tmp_path, body), target.url, processes=2) as fleet,
    ):
        made = fleet.trial(spec(users=10, max_users=10), to_the_end)
    lines = [line.split() for line in (tmp_path / "times").read_text().splitlines()]
    times = {
        (what, worker): [float(at) for w, k, at in lines if (w, k) == (what, worker)]
        for what in ("login", "task")
        for worker in ("0", "1")
    }
    assert len(times["login", "0"]) == len(times["login", "1"]) == 5
    assert max(times["login", "1"]) < min(times["task", "0"] + times["task", "1"])
    assert made.state["ready"] == 10


def test_users_with_a_fixed_count_are_not_multiplied_by_the_processes(tmp_path):
    body = f"""
    class Buyer(FastHttpUser):
        @task
        def t(self):
            self.client.get("/a")

    class Admin(FastHttpUser):
        fixed_count = 3
        wait_time = constant(60)

        def on_start(self):
            with open("{tmp_path}/admins", "a") as admins:
                admins.write("here\\n")

        @task
        def t(self):
            self.client.get("/stock")
    """
    with (
        ref_server() as target,
        engine(script(tmp_path, body), target.url, processes=2) as fleet,
    ):
        made = fleet.trial(spec(), to_the_end)
    assert (tmp_path / "admins").read_text().split() == ["here"] * 3
    assert made.tickets_due == made.state["issued"] == made.count


def test_a_fleet_that_grows_shares_the_next_load(tmp_path):
    with (
        ref_server() as target,
        engine(script(tmp_path, TWO_PAGES), target.url) as fleet,
    ):
        alone = fleet.trial(spec(), to_the_end)
        fleet.grow()
        both = fleet.trial(spec(index=1), to_the_end)
    assert (alone.workers, both.workers) == (1, 2)
    assert len(both.each("issued")) == 2
    assert min(both.each("issued")) > 20
    for made in (alone, both):
        assert made.tickets_due == made.state["issued"] == made.count


def test_all_processes_end_a_trial_early_and_are_idle_for_the_next(tmp_path):
    with (
        ref_server() as target,
        engine(script(tmp_path, TWO_PAGES), target.url, processes=2) as fleet,
    ):
        ended = fleet.trial(spec(100.0, 60.0), lambda made: made.count > 10)
        whole = fleet.trial(spec(index=1), to_the_end)
    assert ended.ended_early
    assert max(ended.each("held_s")) < 30.0
    assert ended.count == ended.state["issued"]
    assert whole.tickets_due == whole.state["issued"] == whole.count


# processes that die


def kill_once(fleet: Engine, worker: int):
    """Kill one of the processes when a trial has begun."""
    victim = fleet.pids[worker]

    def watch(made: Recording) -> bool:
        if made.count > 5:
            with contextlib.suppress(ProcessLookupError):
                os.kill(victim, signal.SIGKILL)
        return False

    return watch


def test_a_process_that_is_killed_ends_the_trial_and_is_replaced(tmp_path):
    with (
        ref_server() as target,
        engine(script(tmp_path, TWO_PAGES), target.url, processes=2) as fleet,
    ):
        before = fleet.pids
        broken = fleet.trial(spec(100.0, 60.0), kill_once(fleet, 1))
        after = fleet.pids
        whole = fleet.trial(spec(index=1), to_the_end)
    assert len(broken.lost) == 1
    assert "killed by signal 9" in broken.lost[0]
    assert not broken.ended_early
    assert 0 < broken.each("held_s")[0] < 30.0
    assert (before[0] == after[0], before[1] == after[1]) == (True, False)
    assert whole.lost == ()
    assert whole.tickets_due == whole.state["issued"] == whole.count
    assert not any(psutil.pid_exists(pid) for pid in (*before, *after))


def test_a_process_that_dies_in_two_trials_running_ends_the_run(tmp_path):
    body = """
    class Buyer(FastHttpUser):
        @task
        def t(self):
            self.client.get("/a")
            if self.environment.runner.worker_index == 1:
                print("no more memory", flush=True)
                os._exit(7)
    """
    with ref_server() as target:
        locustfile = script(tmp_path, "import os\n" + body.replace("\n    ", "\n"))
        with engine(locustfile, target.url, processes=2) as fleet:
            first = fleet.trial(spec(), to_the_end)
            with pytest.raises(ChildDied, match=r"code 7[^$]*no more memory"):
                fleet.trial(spec(index=1), to_the_end)
    assert len(first.lost) == 1
    assert not any(psutil.pid_exists(pid) for pid in fleet.pids)


def test_a_process_that_died_between_two_trials_is_noticed_in_the_next(tmp_path):
    with (
        ref_server() as target,
        engine(script(tmp_path, TWO_PAGES), target.url, processes=2) as fleet,
    ):
        os.kill(fleet.pids[0], signal.SIGKILL)
        broken = fleet.trial(spec(), to_the_end)
        whole = fleet.trial(spec(index=1), to_the_end)
    assert len(broken.lost) == 1
    assert whole.tickets_due == whole.state["issued"] == whole.count


FLEET = """
import sys, time
from pathlib import Path
from tests.loadtest.harness import engine, spec, to_the_end

with engine(Path(sys.argv[1]), sys.argv[2], processes=2) as fleet:
    print(*fleet.pids, flush=True)
    fleet.trial(spec(20.0, 60.0), to_the_end)
"""


def test_no_process_outlives_a_parent_that_is_killed(tmp_path):
    with ref_server() as target:
        command = [sys.executable, "-c", FLEET, str(script(tmp_path, TWO_PAGES)), target.url]
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]
        ) as parent:
            assert parent.stdout is not None
            fleet = [psutil.Process(int(pid)) for pid in parent.stdout.readline().split()]
            parent.kill()
        gone, alive = psutil.wait_procs(fleet, timeout=5.0)
    assert (len(gone), alive) == (2, [])
