"""``capplan loadtest`` as a user runs it: a real child, real sockets, real signals."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import psutil
import pytest

from capplan.model.service_time import Exponential
from capplan.refserver import RefServer, RefServerConfig
from capplan.results.capacity import Capacity
from capplan.results.store import from_json, read_result

ROOT = Path(__file__).parents[2]
SCRIPT = """
from locust import FastHttpUser, task

class Visitor(FastHttpUser):
    @task(3)
    def page(self):
        self.client.get("/page")

    @task
    def order(self):
        self.client.get("/cart")
        self.client.post("/order", json={})
"""
PLAN = """
sale: {start: 2026-11-27T12:00:00+01:00, duration: 2 h}
audience: [{channel: email, reach: 40k, visits: 1% to 3%, arrive: within 1 h}]
visit: {requests: 20 to 60}
service: {locustfile: users.py, timeout: 2 s, sla: {latency_p95: 150 ms, failures: 1%}}
servers: {today: 2}
"""


def start(
    folder: Path, *options: str, plan: str = PLAN, before: Callable[[], None] | None = None
) -> subprocess.Popen[str]:
    (folder / "sale.yaml").write_text(plan)
    if not (folder / "users.py").exists():
        (folder / "users.py").write_text(SCRIPT)
    return subprocess.Popen(
        [sys.executable, "-m", "capplan", "loadtest", "sale.yaml", *options],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "TERM": "dumb", "COLUMNS": "100"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=before,
    )


def run(folder: Path, *options: str, plan: str = PLAN) -> tuple[int, str, str]:
    with start(folder, *options, plan=plan) as process:
        out, err = process.communicate(timeout=100)
    return process.returncode, out, err


@contextmanager
def broken_shop() -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_error(500, "Out of order")

        def do_POST(self) -> None:
            self.send_error(500, "Out of order")

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def wait_for(path: Path, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 60
    while not path.exists():
        assert process.poll() is None, process.stderr and process.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.05)  # polls a file; nothing is concluded from how long it took


def children(process: subprocess.Popen[str]) -> list[psutil.Process]:
    return psutil.Process(process.pid).children(recursive=True)


@pytest.mark.load
def test_a_short_real_load_test_counts_what_the_server_served(tmp_path):
    with RefServer(RefServerConfig(slots=4, service=Exponential(0.02), lifetime_s=90)) as server:
        code, out, _ = run(tmp_path, "--target", server.url, "--time-budget", "8s", "--json")
        served = server.stats()
    result = from_json(out, Capacity, "stdout")
    assert code in (0, 5)
    assert len(result.trials) >= 4
    sent = sum(t.requests_per_arrival * t.health.tickets_issued for t in result.trials)
    checked = 3  # the visit before the load makes 2 tasks: 2 to 4 requests
    assert 0 <= served["received"] - round(sent) - checked + 1 <= 2
    assert served["served"] == served["received"]
    assert result.requests_per_arrival == pytest.approx(1.25, abs=0.05)
    assert set(result.mix) == {"GET /page", "GET /cart", "POST /order"}
    assert (tmp_path / "sale.capplan" / "capacity.json").exists()
    assert not (tmp_path / "sale.capplan" / "capacity.partial.json").exists()


def test_a_target_that_is_down_is_named_and_exits_with_4(tmp_path):
    code, out, err = run(tmp_path, "--target", "http://127.0.0.1:9")
    assert (code, out) == (4, "")
    assert err.startswith("error: nothing answers at http://127.0.0.1:9")
    assert "hint:" in err


@pytest.mark.parametrize("script", ["import nowhere_to_be_found\n", "1/0\n", "def (:\n"])
def test_a_script_that_cannot_be_loaded_shows_the_users_own_line(tmp_path, script):
    (tmp_path / "users.py").write_text(script)
    with broken_shop() as url:
        code, out, err = run(tmp_path, "--target", url)
    assert (code, out) == (2, "")
    assert "users.py" in err
    assert script.strip() in err
    assert "capplan/loadtest" not in err


@pytest.mark.load
def test_a_target_that_answers_500_to_everything_is_below_the_sla(tmp_path):
    with broken_shop() as url:
        code, out, _ = run(tmp_path, "--target", url, "--json")
    result = from_json(out, Capacity, "stdout")
    assert code == 3
    assert result.verdict == "below_sla"
    assert "100% of the requests failed" in result.reason
    assert "500" in result.reason


def test_check_shows_what_one_visit_calls_without_load(tmp_path):
    with RefServer(RefServerConfig(slots=1, service=Exponential(0.001), lifetime_s=120)) as server:
        code, out, err = run(tmp_path, "--target", server.url, "--check")
        received = server.stats()["received"]
        assert (code, err) == (0, "")
        assert out.startswith("The script works: ")
        assert "Visitor: 2 tasks" in out
        code, out, err = run(tmp_path, "--target", server.url, "--check", "--json")
    assert 2 <= received <= 4
    assert json.loads(out)[0]["user_class"] == "Visitor"


def test_options_after_two_dashes_go_to_the_script_and_files_add_up(tmp_path):
    """The plan's own options hold as long as the command line names none."""
    tagged = SCRIPT.replace("@task\n", '@tag("buy")\n    @task\n').replace(
        "import FastHttpUser", "import FastHttpUser, tag"
    )
    (tmp_path / "users.py").write_text(tagged)
    (tmp_path / "looker.py").write_text(tagged.replace("Visitor", "Looker"))
    arguments = PLAN.replace("users.py,", "users.py, arguments: --tags buy,")
    with RefServer(RefServerConfig(slots=1, service=Exponential(0.001), lifetime_s=120)) as server:

        def called(*options: str, plan: str = PLAN) -> dict[str, set[str]]:
            code, out, err = run(
                tmp_path, "--target", server.url, "--check", "--json", *options, plan=plan
            )
            assert (code, err) == (0, "")
            return {v["user_class"]: {call["name"] for call in v["calls"]} for v in json.loads(out)}

        order = {"GET /cart", "POST /order"}
        assert called("--", "--tags", "buy") == {"Visitor": order}
        assert called(plan=arguments) == {"Visitor": order}
        assert called("--", "--exclude-tags", "buy", plan=arguments) == {"Visitor": {"GET /page"}}
        both = ("--locustfile", "users.py", "--locustfile", "looker.py")
        assert set(called(*both)) == {"Visitor", "Looker"}
        assert set(called(*both, "--", "Looker")) == {"Looker"}
        code, _, err = run(tmp_path, "--target", server.url, "--", "--users", "9")
    assert code == 2
    assert err.startswith("error: --users is an option of Locust itself")
    assert "hint: they stand after -- on the command line" in err


@pytest.mark.load
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_ends_the_load_and_keeps_the_trials(tmp_path, number):
    partial = tmp_path / "sale.capplan" / "capacity.partial.json"
    with RefServer(RefServerConfig(slots=4, service=Exponential(0.02), lifetime_s=90)) as server:
        with start(tmp_path, "--target", server.url) as process:
            wait_for(partial, process)
            (child,) = children(process)
            process.send_signal(number)
            _, err = process.communicate(timeout=20)
        assert process.returncode == 130
        assert not child.is_running()
        received = server.stats()["received"]
        assert server.stats()["received"] == received
    result = read_result(partial, Capacity)
    assert "error: interrupted after" in err
    assert result.interrupted
    assert len(result.trials) >= 1
    assert not partial.with_name("capacity.json").exists()


@pytest.mark.load
def test_no_generator_outlives_a_capplan_that_is_killed(tmp_path):
    partial = tmp_path / "sale.capplan" / "capacity.partial.json"
    with RefServer(RefServerConfig(slots=4, service=Exponential(0.02), lifetime_s=90)) as server:
        with start(tmp_path, "--target", server.url) as process:
            wait_for(partial, process)
            (child,) = children(process)
            process.kill()
            process.communicate(timeout=20)
        gone, alive = psutil.wait_procs([child], timeout=5)
    assert (gone, alive) == ([child], [])
    assert read_result(partial, Capacity).trials


def test_what_cannot_be_measured_is_refused_with_the_way_out(tmp_path):
    for options, words in {
        (): "the plan names no target",
        ("--target", "ftp://127.0.0.1"): "is not an address that can be loaded",
        ("--target", "http://127.0.0.1:9", "--locustfile", "none.py"): "none.py does not exist",
        ("--sla", "p42<1s"): "p42",
        ("--time-budget", "12:30"): "--time-budget",
        ("--max-rate", "-5"): "--max-rate",
    }.items():
        code, out, err = run(tmp_path, *options)
        assert (code, out) == (2, ""), options
        assert words in err
        assert "Traceback" not in err
