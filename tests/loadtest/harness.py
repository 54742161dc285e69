"""Builders for the tests of the load test: recordings, scripts, engines, misbehaving servers."""

from __future__ import annotations

import contextlib
import socket
import textwrap
import threading
from array import array
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from capplan.loadtest.generators.engine import Engine
from capplan.loadtest.measure import Job
from capplan.loadtest.protocol import (
    COLUMNS,
    SUCCESS,
    TrialSpec,
    Unit,
    WorkerConfig,
    pack,
)
from capplan.loadtest.recording import Recording
from capplan.model.service_time import Deterministic
from capplan.plan.sla import Sla, parse_sla
from capplan.refserver import RefServer, RefServerConfig

SLA = parse_sla("p95<300ms, failures<1%")
TIMEOUT_S = 2.0

IMPORTS = """\
import gevent
from locust import (
    FastHttpUser, HttpUser, LoadTestShape, MarkovTaskSet, SequentialTaskSet, TaskSet, User,
    between, constant, events, tag, task, transition,
)
from locust.exception import StopUser
"""


def spec(
    arrivals_per_s: float = 200.0,
    duration_s: float = 0.4,
    *,
    index: int = 0,
    seed: int = 1,
    limit_s: float = 0.3,
    give_up_s: float = 2.0,
    users: int = 20,
    max_users: int = 200,
) -> TrialSpec:
    """A short load; about eighty arrivals unless said."""
    return TrialSpec(index, arrivals_per_s, duration_s, limit_s, give_up_s, seed, users, max_users)


# recordings


def rows(
    intended_s: Sequence[float],
    latency_s: Sequence[float],
    ending: Sequence[int] | None = None,
    lateness_s: Sequence[float] | None = None,
    endpoint: Sequence[int] | None = None,
) -> dict[str, str]:
    """Packed columns, as the child sends them."""
    count = len(intended_s)
    columns: Mapping[str, Sequence[float]] = {
        "intended_s": intended_s,
        "latency_s": latency_s,
        "lateness_s": lateness_s or [0.0] * count,
        "endpoint": endpoint or [0] * count,
        "ending": ending or [SUCCESS] * count,
    }
    packed: dict[str, array[Any]] = {
        name: array(code, columns[name]) for name, code in COLUMNS.items()
    }
    return pack(packed)


def recording(
    latency_s: Sequence[float],
    ending: Sequence[int] | None = None,
    *,
    intended_s: Sequence[float] | None = None,
    lateness_s: Sequence[float] | None = None,
    endpoint: Sequence[int] | None = None,
    endpoints: Sequence[str] = ("GET /",),
    duration_s: float = 10.0,
    ended_early: bool = False,
    **state: Any,
) -> Recording:
    """A finished recording; requests are spread evenly over the trial unless said."""
    count = len(latency_s)
    if intended_s is None:
        intended_s = [(i + 0.5) * duration_s / count for i in range(count)]
    made = Recording(spec(count / duration_s, duration_s))
    made.add(rows(intended_s, latency_s, ending, lateness_s, endpoint), list(endpoints))
    made.ended_early = ended_early
    made.tickets_due = count
    made.progress({"held_s": duration_s, "due": count, "issued": count} | state)
    return made


# scripts and engines

BUYER = """
class Buyer(FastHttpUser):
    @task
    def t(self):
        self.client.get("/a")
"""


def script(folder: Path, body: str, name: str = "shop.py") -> Path:
    """Write a locustfile; what scripts usually import is imported in its first lines."""
    path = folder / name
    path.write_text(IMPORTS + textwrap.dedent(body))
    return path


def both(body: str) -> str:
    """Write ``class Buyer(CLIENT)`` down twice, once for each of Locust's HTTP clients."""
    body = textwrap.dedent(body)
    return body.replace("Buyer(CLIENT)", "Buyer(HttpUser)") + body.replace(
        "Buyer(CLIENT)", "FastBuyer(FastHttpUser)"
    )


def worker(
    locustfile: Path,
    target: str,
    *,
    timeout_s: float = TIMEOUT_S,
    allowed_hosts: tuple[str, ...] = (),
    arguments: tuple[str, ...] = (),
    unit: Unit = "task",
    visit_tasks: int = 5,
) -> WorkerConfig:
    """What a child is told."""
    return WorkerConfig(
        (str(locustfile),), target, timeout_s, allowed_hosts, arguments, unit, visit_tasks
    )


def job(
    locustfile: Path,
    target: str,
    *,
    sla: Sla = SLA,
    timeout_s: float = TIMEOUT_S,
    max_rate_rps: float | None = None,
    time_budget_s: float = 10.0,
) -> Job:
    """A whole measurement."""
    return Job(
        target=target,
        locustfiles=(locustfile,),
        sla=sla,
        endpoints={},
        timeout_s=timeout_s,
        allowed_hosts=(),
        max_rate_rps=max_rate_rps,
        time_budget_s=time_budget_s,
        seed=1,
        log=locustfile.with_suffix(".log"),
    )


def to_the_end(_: Recording) -> bool:
    """Let a trial run its course."""
    return False


def engine(locustfile: Path, target: str, *, processes: int = 1, **options: Any) -> Engine:
    """Child processes for a script, to be used as a context manager."""
    config = worker(locustfile, target, **options)
    return Engine(config, locustfile.with_suffix(".log"), processes)


def run(locustfile: Path, target: str, load: TrialSpec, **options: Any) -> Recording:
    """Hold one load in a child of its own."""
    with engine(locustfile, target, **options) as child:
        return child.trial(load, to_the_end)


def requests(made: Recording) -> Counter[str]:
    """How many requests of each endpoint were recorded."""
    names = [made.endpoints[i] for i in made.rows().endpoint]
    return Counter(name for name in names if not name.startswith("("))


@contextlib.contextmanager
def received(server: RefServer) -> Iterator[Counter[str]]:
    """Count what the server receives, per endpoint; the counter is filled at the end."""
    before = Counter(server.stats()["endpoints"])
    counted: Counter[str] = Counter()
    yield counted
    counted.update(Counter(server.stats()["endpoints"]) - before)


def ref_server() -> RefServer:
    """A server that no load of these tests brings to its limit."""
    return RefServer(RefServerConfig(64, Deterministic(0.001), lifetime_s=60.0))


# servers that misbehave

Answer = Callable[[socket.socket], None]
"""What a server does with a connection on which a request has arrived; closing it ends it."""

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def says(answer: bytes) -> Answer:
    """Answer every request in the same words and keep the connection."""
    return lambda connection: connection.sendall(answer)


@contextlib.contextmanager
def server(answer: Answer) -> Iterator[str]:
    """Serve on a free port of loopback, one thread per connection; yields the URL."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=1000)
    open_connections: set[socket.socket] = set()
    threads: list[threading.Thread] = []

    def serve(connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            while connection.recv(65_536):
                answer(connection)

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                open_connections.add(connection)
                thread = threading.Thread(target=serve, args=[connection], daemon=True)
                threads.append(thread)
                thread.start()

    acceptor = threading.Thread(target=accept, daemon=True)
    acceptor.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        acceptor.join()
        listener.close()
        for connection in open_connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in threads:
            thread.join()


def free_port() -> int:
    """A port on which nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port


def port_of(url: str) -> int:
    """The port in a URL."""
    return urlsplit(url).port or 0
