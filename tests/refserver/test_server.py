"""The reference server as a process, through real sockets on loopback."""

import asyncio
import json
import math
import os
import signal
import socket
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest

from capplan.errors import SetupError, UsageError
from capplan.model.queueing import mmc_mean_wait_s
from capplan.model.service_time import Deterministic, Exponential
from capplan.refserver import RefServer, RefServerConfig
from capplan.refserver.__main__ import main
from tests.model.poisson import poisson_sojourns_s

MM4 = RefServerConfig(4, Exponential(0.02), seed=11, lifetime_s=60.0)
QUICK = RefServerConfig(4, Deterministic(0.001), lifetime_s=60.0)
WAIT_S = 30  # no test waits this long; it only bounds one that is broken


def connect(url: str) -> socket.socket:
    address = urlsplit(url)
    assert address.hostname
    assert address.port
    return socket.create_connection((address.hostname, address.port), timeout=WAIT_S)


def read_to_end(client: socket.socket) -> bytes:
    pieces = []
    while piece := client.recv(65_536):
        pieces.append(piece)
    return b"".join(pieces)


def ask_stats(url: str) -> dict[str, Any]:
    with connect(url) as client:
        client.sendall(b"GET /__stats HTTP/1.1\r\nConnection: close\r\n\r\n")
        report: dict[str, Any] = json.loads(read_to_end(client).partition(b"\r\n\r\n")[2])
    return report


def await_received(url: str, count: int) -> None:
    """Ask until the server has seen that many requests; each question waits for its answer."""
    while ask_stats(url)["received"] < count:
        pass


def can_bind_ipv6() -> bool:
    with socket.socket(socket.AF_INET6) as probe:
        try:
            probe.bind(("::1", 0))
        except OSError:
            return False
        return True


def spawn(config: RefServerConfig, **pipes: Any) -> subprocess.Popen[bytes]:
    """Start the server as a bare process, to see how it ends."""
    command = [sys.executable, "-m", "capplan.refserver", config.to_json()]
    return subprocess.Popen(command, stdout=subprocess.PIPE, **pipes)


def announced(process: subprocess.Popen[bytes]) -> dict[str, Any]:
    assert process.stdout is not None
    line: dict[str, Any] = json.loads(process.stdout.readline())
    return line


async def get(url: str, target: str, idle: list[Any]) -> bytes:
    """Send one request over an idle connection, or a new one when all are busy."""
    address = urlsplit(url)
    reader, writer = (
        idle.pop() if idle else await asyncio.open_connection(address.hostname, address.port)
    )
    writer.write(f"{target} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    head: bytes = await reader.readuntil(b"\r\n\r\n")
    await reader.readexactly(int(head.partition(b"Content-Length: ")[2].split(b"\r")[0]))
    idle.append((reader, writer))
    return head


async def offer(url: str, gaps_s: list[float], targets: list[str]) -> list[tuple[float, bytes]]:
    """Send requests at their intended times, answered or not; return latency and head of each."""
    loop = asyncio.get_running_loop()
    idle: list[Any] = []

    async def one(intended_s: float, target: str) -> tuple[float, bytes]:
        head = await get(url, target, idle)
        return loop.time() - intended_s, head

    intended_s, tasks = loop.time(), []
    for gap_s, target in zip(gaps_s, targets, strict=True):
        intended_s += gap_s
        await asyncio.sleep(intended_s - loop.time())
        tasks.append(asyncio.create_task(one(intended_s, target)))
    answers = await asyncio.gather(*tasks)
    for _, writer in idle:
        writer.close()
        await writer.wait_closed()
    return answers


@pytest.mark.load
def test_a_poisson_load_is_answered_as_fast_as_theory_says_and_counted_exactly():
    rate_rps, arrivals = 120.0, 1_200  # ten seconds at 60 % utilisation
    rng = np.random.default_rng(12)
    gaps_s = rng.exponential(1 / rate_rps, arrivals).tolist()
    targets = rng.choice(["GET /", "GET /product?id=7", "GET /cart"], arrivals).tolist()
    with RefServer(MM4) as server:
        answers = asyncio.run(offer(server.url, gaps_s, targets))
        report = server.stats()

    assert [report[key] for key in ("received", "served", "failed", "abandoned", "in_flight")] == [
        arrivals, arrivals, 0, 0, 0,
    ]  # fmt: skip
    assert report["endpoints"] == Counter(target.partition("?")[0] for target in targets)
    assert all(head.startswith(b"HTTP/1.1 200 ") for _, head in answers)

    # the mean over so few arrivals scatters; how much is seen from simulating it 200 times
    means_s = [
        poisson_sojourns_s(Exponential(0.02), 4, rate_rps, arrivals, rng, warmup=0.0).mean()
        for _ in range(200)
    ]
    tolerance_s = 4 * float(np.std(means_s))
    theory_s = 0.02 + mmc_mean_wait_s(4, rate_rps, 0.02)
    assert tolerance_s < 0.35 * theory_s
    assert abs(report["sojourn_s_mean"] - theory_s) <= tolerance_s
    # nothing is answered early, but for the resolution of the loop's clock; what a busy machine
    # adds to each answer is no fault of the server's, so there is only a generous bound on it
    measured_s = float(np.mean([latency_s for latency_s, _ in answers]))
    assert report["sojourn_s_mean"] - 1e-3 <= measured_s <= theory_s + tolerance_s + 0.05
    # 1,200 services of mean 20 ms and as much scatter
    assert report["busy_s"] == pytest.approx(24.0, abs=4 * 0.02 * math.sqrt(arrivals))


def test_pipelined_split_and_chunked_requests_are_answered_in_order():
    requests = (
        b"GET /first HTTP/1.1\r\nHost: x\r\n\r\n"
        b"POST /second HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
        b"HEAD /third HTTP/1.1\r\nHost: x\r\n\r\n"
        b"POST /fourth HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello"
        b"GET /__stats HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    )
    with RefServer(replace(QUICK, slots=1)) as server, connect(server.url) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for start in range(0, len(requests), 7):
            client.sendall(requests[start : start + 7])
        sent = read_to_end(client)
        counts = server.stats()["endpoints"]
    assert sent.count(b"HTTP/1.1 200 OK\r\n") == 5
    assert sent.count(b"done\n") == 3  # none for HEAD
    report = json.loads(sent[sent.index(b"{") :])
    assert report["received"] == 4
    assert counts == {"GET /first": 1, "HEAD /third": 1, "POST /fourth": 1, "POST /second": 1}


def test_clients_that_leave_while_they_wait_are_counted_and_nothing_breaks():
    with RefServer(replace(QUICK, slots=1, service=Deterministic(0.05))) as server:
        for _ in range(5):
            with connect(server.url) as leaving:
                leaving.sendall(b"GET /left HTTP/1.1\r\n\r\n")
        await_received(server.url, 5)
        with connect(server.url) as staying:
            staying.sendall(b"GET /stayed HTTP/1.1\r\nConnection: close\r\n\r\n")
            # answered after the slot has worked for all who left before
            assert read_to_end(staying).startswith(b"HTTP/1.1 200 OK")
        report = server.stats()
    assert (report["abandoned"], report["served"], report["in_flight"]) == (5, 1, 0)
    assert report["busy_s"] == pytest.approx(0.3)


def test_garbage_is_answered_with_400_and_the_server_goes_on():
    with RefServer(QUICK) as server:
        with connect(server.url) as client:
            client.sendall(b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n")
            assert read_to_end(client).startswith(b"HTTP/1.1 400 Bad Request\r\n")
        assert server.stats()["garbage"] == 1


def test_too_high_a_rate_is_refused_with_503():
    with RefServer(replace(QUICK, fail_above_rps=5.0, fail_share=1.0)) as server:
        answers = asyncio.run(offer(server.url, [0.0] * 20, ["GET /"] * 20))
        report = server.stats()
    # all twenty come within one second, unless the machine stood still meanwhile
    refused = sum(head.startswith(b"HTTP/1.1 503 Service Unavailable") for _, head in answers)
    assert refused == report["failed"] > 0
    assert report["served"] == 20 - refused


def test_ipv6_loopback_is_served_where_there_is_one_and_else_named():
    server = RefServer(replace(QUICK, host="::1"))
    if can_bind_ipv6():
        with server:
            assert server.url.startswith("http://[::1]:")
            assert server.stats()["received"] == 0
    else:
        with pytest.raises(SetupError) as caught, server:
            pass
        assert "port 0 on ::1 cannot be opened" in caught.value.message


def test_a_taken_port_is_named_with_the_way_out():
    with RefServer(QUICK) as server:
        port = urlsplit(server.url).port
        assert port is not None
        with pytest.raises(SetupError) as caught, RefServer(replace(QUICK, port=port)):
            pass
    assert caught.value.message == f"port {port} on 127.0.0.1 is already in use"
    assert "0 for any free one" in caught.value.hint


def test_a_childs_refusal_of_its_configuration_reaches_the_parent(monkeypatch):
    monkeypatch.setattr(RefServerConfig, "to_json", lambda self: '{"colour": "red"}')
    with pytest.raises(UsageError) as caught, RefServer(QUICK):
        pass
    assert "not a reference server's configuration" in caught.value.message


def test_the_end_of_its_lifetime_ends_the_process():
    with spawn(replace(QUICK, lifetime_s=0.2), stdin=subprocess.DEVNULL) as process:
        assert "url" in announced(process)
        assert process.wait(WAIT_S) == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_process_cleanly_even_with_requests_in_flight(number):
    slow = replace(QUICK, service=Deterministic(50.0))
    with spawn(slow, stderr=subprocess.PIPE) as process:
        url = announced(process)["url"]
        with connect(url) as client:
            client.sendall(b"GET / HTTP/1.1\r\n\r\n")
            await_received(url, 1)
            process.send_signal(number)
            assert read_to_end(client) == b""
        assert process.wait(WAIT_S) == 0
        assert process.stderr is not None
        assert process.stderr.read() == b""


def test_the_end_of_standard_input_ends_the_process():
    with spawn(replace(QUICK, exit_with_stdin=True), stdin=subprocess.PIPE) as process:
        assert "url" in announced(process)
        assert process.poll() is None
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(WAIT_S) == 0


def test_a_killed_parent_takes_its_server_along():
    parent_code = (
        "import sys\n"
        "from capplan.refserver import RefServer, RefServerConfig\n"
        "with RefServer(RefServerConfig.from_json(sys.argv[1])) as server:\n"
        "    print(server.pid, flush=True)\n"
        "    sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", parent_code, QUICK.to_json()],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as parent:
        assert parent.stdout is not None
        assert parent.stderr is not None
        server_pid = int(parent.stdout.readline())
        os.kill(server_pid, 0)  # it runs
        parent.kill()
        # the server inherited the standard error: its end is the end of both
        assert parent.stderr.read() == b""
        assert parent.wait(WAIT_S) == -signal.SIGKILL


def test_statistics_of_a_server_that_is_gone_are_a_setup_error():
    with RefServer(QUICK) as server:
        server.stop()
        server.stop()
        with pytest.raises(SetupError) as caught:
            server.stats()
    assert server.url in caught.value.message


def test_a_child_that_ends_before_it_listens_is_a_setup_error(monkeypatch):
    monkeypatch.setattr(sys, "executable", "/bin/true")
    with pytest.raises(SetupError) as caught, RefServer(QUICK):
        pass
    assert caught.value.message == "the reference server ended with code 0 before it listened"


def test_the_child_program_says_in_json_what_it_misses(capsys):
    assert main([]) == 2
    said = json.loads(capsys.readouterr().out)
    assert said["error"] == "0 arguments instead of one configuration"
    assert said["exit_code"] == 2
