"""Workers that connect, as separate processes: one load, the script that travels, a death."""

import contextlib
import itertools
import os
import re
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from capplan import __version__
from capplan.errors import SetupError, UsageError
from capplan.loadtest.generators import remote
from capplan.loadtest.generators.distributed import Master
from capplan.loadtest.generators.engine import Engine
from capplan.loadtest.generators.remote import Entrance, Wanted
from capplan.loadtest.generators.seal import TOKEN_VARIABLE
from capplan.loadtest.machine import Meter
from capplan.loadtest.protocol import MOST_USERS, SUCCESS, MasterAddress
from capplan.loadtest.reach import own_reach
from capplan.loadtest.recording import Recording
from capplan.model.service_time import Deterministic
from capplan.refserver import RefServer, RefServerConfig
from capplan.workflow.workers import parse_address, wanted
from tests.loadtest.harness import (
    BUYER,
    received,
    ref_server,
    requests,
    script,
    spec,
    to_the_end,
    worker,
)
from tests.loadtest.test_fleet import drawn

ROOT = Path(__file__).parents[2]
TOKEN = "only for this test"
WITH_A_NEIGHBOUR = """
from pages import PAGE

class Buyer(FastHttpUser):
    @task
    def t(self):
        self.client.get(PAGE)

class Admin(FastHttpUser):
    fixed_count = 1
    wait_time = constant(0.05)

    def on_start(self):
        with open(ADMINS, "a") as admins:
            admins.write("here\\n")

    @task
    def t(self):
        self.client.get("/stock")
"""
Joining = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def joining(tmp_path: Path) -> Iterator[Joining]:
    """Start workers in a folder that has nothing of the script; end what is left of them."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    started: list[subprocess.Popen[str]] = []

    def start(address: str, token: str = TOKEN) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "capplan", "worker", address, "--wait", "20s"],
            cwd=elsewhere,
            env={
                **os.environ,
                "PYTHONPATH": str(ROOT),
                "XDG_CACHE_HOME": str(elsewhere),
                TOKEN_VARIABLE: token,
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.mark.load
def test_workers_hold_one_load_and_the_others_go_on_when_one_dies(tmp_path, joining):
    """A stranger is sent away, a worker that dies costs its trial, and a new one joins.

    The one that dies is told to, and leaves by its own doing: a process that is the first of its
    container is not ended by the signal itself.
    """
    told: list[str] = []
    workers: list[subprocess.Popen[str]] = []
    addresses: list[str] = []

    def tell(text: str) -> None:
        told.append(text)
        if found := re.search(r"capplan worker (127\.0\.0\.1:\d+)", text):
            addresses.append(found[1])
            workers.extend([joining(found[1], "another token"), joining(found[1])])
            workers.append(joining(found[1]))

    def kill_one(made: Recording) -> bool:
        if made.count > 20 and workers[1].poll() is None:
            workers[1].terminate()
            assert workers[1].wait(10) == 128 + signal.SIGTERM
        return False

    admins = tmp_path / "admins"
    locustfile = script(tmp_path, f"ADMINS = {str(admins)!r}\n{WITH_A_NEIGHBOUR}")
    (tmp_path / "pages.py").write_text('PAGE = "/a"\n')
    with RefServer(RefServerConfig(64, Deterministic(0.001), lifetime_s=90.0)) as target:
        fleet = Engine(
            worker(locustfile, target.url),
            tmp_path / "log",
            processes=0,
            fixed=True,
            wanted=Wanted(2, "127.0.0.1", 0, TOKEN),
            tell=tell,
        )
        with fleet:
            assert (fleet.processes, fleet.pids, fleet.here) == (2, (), False)
            with received(target) as counted:
                whole = fleet.trial(spec(), to_the_end)
            broken = fleet.trial(spec(index=1, duration_s=2.0), kill_one)
            alone = fleet.trial(spec(index=2), to_the_end)
            assert fleet.processes == 1
            late = joining(addresses[0])
            assert fleet._master is not None
            assert select.select([fleet._master], [], [], 20.0)[0]  # it knocks
            before = admins.read_text()
            again = fleet.trial(spec(index=3), to_the_end)
            assert admins.read_text() == before  # whoever comes later has none of them
        assert late.wait(10) == workers[2].wait(10) == 0

    assert sorted(whole.rows().intended_s) == pytest.approx(drawn(spec(), 2), abs=1e-6)
    assert requests(whole)["GET /a"] == counted["GET /a"] == whole.tickets_due
    assert counted["GET /stock"] > 0  # the users with a fixed number are there, once
    assert broken.workers == 2
    assert len(broken.lost) == 1
    assert "has gone" in broken.lost[0]
    assert (alone.workers, again.workers) == (1, 2)
    for made in (whole, alone, again):
        assert made.lost == ()
        assert made.tickets_due == made.state["issued"] == made.count
        assert set(made.rows().ending) == {SUCCESS}
    assert alone.state["outside"] > 0  # whoever is left has the users with a fixed number
    stranger, _ = workers[0].communicate(timeout=10)
    assert workers[0].returncode == 4
    assert "it does not know the token" in stranger
    assert sum("was not let in: it does not know the token" in text for text in told) == 1
    assert sum("goes on with the others" in text for text in told) == 1


@pytest.mark.load
def test_another_worker_may_come_for_one_that_went_while_others_were_waited_for(tmp_path, joining):
    told: list[str] = []
    workers: list[subprocess.Popen[str]] = []
    loaded = tmp_path / "loaded"

    def replace_the_first(address: str) -> None:
        while not loaded.exists() or str(workers[0].pid) not in loaded.read_text():
            time.sleep(0.05)
        workers[0].kill()
        workers.extend(joining(address) for _ in range(2))

    def tell(text: str) -> None:
        told.append(text)
        if found := re.search(r"capplan worker (127\.0\.0\.1:\d+)", text):
            workers.append(joining(found[1]))
            threading.Thread(target=replace_the_first, args=(found[1],), daemon=True).start()

    says_so = f"""
import os
with open({str(loaded)!r}, "a") as loaded:
    loaded.write(f"{{os.getpid()}}\\n")
"""
    with ref_server() as target:
        config = worker(script(tmp_path, says_so + BUYER), target.url)
        wanted = Wanted(2, "127.0.0.1", 0, TOKEN)
        with Engine(config, tmp_path / "log", 0, wanted=wanted, tell=tell) as fleet:
            made = fleet.trial(spec(), to_the_end)
    assert made.workers == 2
    assert made.lost == ()
    assert made.tickets_due == made.count
    assert sum("has gone: another one is waited for" in text for text in told) == 1


@pytest.mark.load
def test_a_worker_that_knocks_while_the_master_prepares_is_let_in(tmp_path, joining):
    """The port is open before the script has done what it does at its start."""
    body = """
    from locust.runners import MasterRunner

    @events.init.add_listener
    def at_init(environment, **_):
        if isinstance(environment.runner, MasterRunner):
            gevent.sleep(4.0)

    class Buyer(FastHttpUser):
        @task
        def t(self):
            self.client.get("/a")
    """
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    joining(f"127.0.0.1:{port}")
    with ref_server() as target:
        config = worker(script(tmp_path, body), target.url)
        wanted = Wanted(1, "127.0.0.1", port, TOKEN)
        with Engine(config, tmp_path / "log", 0, wanted=wanted) as fleet:
            assert fleet.processes == 1


@pytest.mark.load
def test_workers_that_do_not_come_are_not_waited_for_for_ever(tmp_path, monkeypatch):
    monkeypatch.setattr(remote, "WAIT_S", 0.2)
    body = """
    class Buyer(User):
        @task
        def t(self):
            pass
    """
    config = worker(script(tmp_path, body), "http://127.0.0.1:1")
    fleet = Engine(config, tmp_path / "log", 0, wanted=Wanted(2, "127.0.0.1", 0, TOKEN))
    with pytest.raises(SetupError, match="0 of 2 workers came within"), fleet:
        pass


@pytest.mark.load
def test_a_script_that_cannot_be_used_is_refused_before_anybody_is_waited_for(tmp_path):
    config = worker(script(tmp_path, "class Buyer(User):\n    pass\n"), "http://127.0.0.1:1")
    fleet = Engine(config, tmp_path / "log", 0, wanted=Wanted(2, "127.0.0.1", 0, TOKEN))
    with pytest.raises(UsageError, match="the user class Buyer has no tasks"), fleet:
        pass


def test_an_address_that_cannot_be_bound_is_named():
    with pytest.raises(SetupError, match=r"no worker could connect to 192\.0\.2\.7:1") as refused:
        Wanted(1, "192.0.2.7", 1, TOKEN).address()
    assert "--bind" in refused.value.hint


def test_a_host_with_a_name_is_bound_by_its_address():
    """ZeroMQ knows no names where it listens."""
    assert Wanted(1, "localhost", 0, TOKEN).address() == MasterAddress("127.0.0.1", 0, TOKEN)


@pytest.mark.parametrize(
    ("host", "family"),
    [("127.0.0.1", socket.AF_INET), ("::", socket.AF_INET6), ("fd00::5", socket.AF_INET6)],
)
def test_workers_may_come_to_an_address_of_either_family(monkeypatch, host, family):
    """What the machine has of IPv6 is not asked: only what would be bound."""
    asked: list[Any] = []

    class Listener(contextlib.nullcontext[None]):
        def __enter__(self) -> Any:
            return self

        def getsockname(self) -> tuple[str, int]:
            return host, 7

    def create_server(address: tuple[str, int], *, family: int = socket.AF_INET, **_: Any) -> Any:
        asked.append((address, family))
        return Listener()

    monkeypatch.setattr(socket, "create_server", create_server)
    assert Wanted(1, host, 7, TOKEN).address() == MasterAddress(host, 7, TOKEN)
    assert asked == [((host, 7), family)]


def entrance(folder: Path, target: str, host: str, told: list[str]) -> Entrance:
    """The entrance to a master to whom nobody comes."""
    config = worker(script(folder, ""), target)
    nobody = SimpleNamespace(
        address=MasterAddress(host, 7, TOKEN),
        listen=lambda patience_s=0.0: False,
        take=lambda kind: [],
    )
    return Entrance(cast(Master, nobody), Wanted(1, host, 7, TOKEN), config, told.append)


@pytest.mark.parametrize(
    ("host", "shown"),
    [("127.0.0.1", "127.0.0.1:7"), ("::", "[::]:7"), ("fd00::5", "[fd00::5]:7")],
)
def test_workers_are_told_where_to_come_to(tmp_path, monkeypatch, host, shown):
    monkeypatch.setattr(remote, "WAIT_S", 0.05)
    told: list[str] = []
    with pytest.raises(SetupError, match="0 of 1 worker came"):
        entrance(tmp_path, "http://shop", host, told).gather(itertools.count())
    assert f"on {shown};" in told[0]


@pytest.mark.parametrize(
    ("target", "address", "version", "words"),
    [
        ("http://shop", "10.0.0.9", __version__, ""),
        ("http://127.0.0.1:80", "127.0.0.1", __version__, ""),
        ("http://127.0.0.1:80", "10.0.0.9", __version__, "would be its own machine"),
        ("http://localhost", "10.0.0.9", __version__, "would be its own machine"),
        ("http://shop", "10.0.0.9", "0.0.1", "it has capplan 0.0.1, and this is"),
    ],
)
def test_who_cannot_take_part_is_told_why(tmp_path, target, address, version, words):
    refusal = entrance(tmp_path, target, "::", [])._refusal({"capplan": version}, address)
    assert words in refusal
    assert bool(refusal) == bool(words)


def test_a_fixed_number_of_processes_leaves_no_core_to_grow_to():
    assert Meter().usage(fixed=3).cores == 3
    assert Meter().usage(fixed=3, here=False).idle_cores is None


def test_the_pool_counts_the_files_of_all_machines():
    assert own_reach(0, (1_000, 600)).users == 2 * 500
    assert own_reach(0, (10**6,) * 3).users == MOST_USERS


@pytest.mark.parametrize(
    ("text", "found"), [("10.0.0.5:5577", ("10.0.0.5", 5577)), ("[::]:0", ("::", 0))]
)
def test_an_address_has_a_host_and_a_port(text, found):
    assert parse_address(text) == found


@pytest.mark.parametrize("text", ["10.0.0.5", ":5577", "host:", "host:70000", "host:x", ""])
def test_an_address_that_is_none_is_refused(text):
    with pytest.raises(ValueError, match="HOST:PORT"):
        parse_address(text)


def test_a_token_comes_from_the_environment_or_is_made_and_is_never_short(monkeypatch):
    monkeypatch.delenv(TOKEN_VARIABLE, raising=False)
    first, second = (wanted(2, "127.0.0.1:0").token for _ in range(2))
    assert first != second
    assert len(first) >= 20
    monkeypatch.setenv(TOKEN_VARIABLE, "from the cluster's secret")
    assert wanted(2, "127.0.0.1:0").token == "from the cluster's secret"
    monkeypatch.setenv(TOKEN_VARIABLE, "short")
    with pytest.raises(UsageError, match="too short"):
        wanted(2, "127.0.0.1:0")
