"""Workers on other machines: they come to Locust's master, get the script, and serve like others.

Two things differ from a worker of this machine: the locustfiles travel, since the other machine
does not have them, and a start is told in seconds from now, since its clock is another one.
"""

from __future__ import annotations

import base64
import os
import select
import socket
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path, PurePosixPath
from time import monotonic, perf_counter
from typing import Any

from capplan import __version__
from capplan.errors import SetupError
from capplan.loadtest.generators.distributed import Master
from capplan.loadtest.generators.peer import ChildDied, Peer
from capplan.loadtest.generators.seal import TOKEN_VARIABLE
from capplan.loadtest.generators.sources import sources
from capplan.loadtest.protocol import MasterAddress, WorkerConfig
from capplan.loadtest.target import host_of, is_loopback
from capplan.units import format_duration

WAIT_S = 600.0
"""How long workers are waited for."""

_QUIT_S = 2.0


@dataclass(frozen=True, slots=True)
class Wanted:
    """How many workers there have to be, and where they come to: ``host`` and ``port``."""

    count: int
    host: str
    port: int
    token: str

    def address(self) -> MasterAddress:
        """Return where the master can listen; ``SetupError`` where it cannot.

        Locust's own message of that would be in the log, and says less.
        """
        try:
            with _listen(self.host, self.port) as listener:
                host = listener.getsockname()[0]
        except (OSError, UnicodeError) as error:
            raise SetupError(
                f"no worker could connect to {self.host}:{self.port}: {error}",
                "name another address with --bind",
            ) from error
        return MasterAddress(host, self.port, self.token)


class RemoteWorker(Peer):
    """A worker of Locust on another machine, which has the script."""

    replaceable = False

    def __init__(
        self, connection: socket.socket, config: WorkerConfig, name: str, files: int
    ) -> None:
        super().__init__(connection, config)
        self.name = name
        self.files = files

    @property
    def is_gone(self) -> bool:
        """Whether the master has hung up, though there may be something left to read."""
        asked = select.poll()
        asked.register(self, 0)
        return bool(asked.poll(0))

    def go(self, at: float) -> None:
        """Let the schedule start at an instant; on the way the message loses a moment."""
        self.send({"do": "go", "in_s": at - perf_counter()})

    def quit(self) -> None:
        """Ask the worker to leave, and wait a little until it has."""
        try:
            self.send({"do": "quit"})
            self._socket.settimeout(_QUIT_S)
            while self._socket.recv(1 << 16):
                pass
        except (SetupError, OSError):
            pass  # the end of the master ends it as well
        self.kill()

    def kill(self) -> None:
        """Hang up: the master tells the worker to leave."""
        with suppress(OSError):  # it is gone already
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def stuck(self, silence_s: float) -> SetupError:
        """Say that the worker has been silent for too long."""
        return ChildDied(
            f"the worker on {self.name} has said nothing for {silence_s:.0f} s",
            "look at its output: the machine is gone, or a task never gives control back",
        )

    def death(self) -> ChildDied:
        """Say that the worker is no more."""
        return ChildDied(f"the worker on {self.name} has gone", "look at its output")


class Entrance:
    """Who may come in to the master; ``tell`` hears what a person should know."""

    def __init__(
        self, master: Master, wanted: Wanted, config: WorkerConfig, tell: Callable[[str], None]
    ) -> None:
        self._master, self._wanted, self._config, self._tell = master, wanted, config, tell
        self._locustfiles = [
            Path(os.path.normpath(Path(name).absolute())) for name in config.locustfiles
        ]
        self._scripts = sources(self._locustfiles)

    def gather(self, free: Iterator[int]) -> list[RemoteWorker]:
        """Wait for all workers that are wanted; raise ``SetupError`` when they do not come.

        ``free`` are the indexes that nobody has.
        """
        wanted = self._wanted
        port = self._master.address.port
        at = _joined(_reachable(wanted.host), port)
        many = "1 worker" if wanted.count == 1 else f"{wanted.count} workers"
        self._tell(
            f"waiting for {many} on {_joined(wanted.host, port)}; start each with:\n"
            f"  {TOKEN_VARIABLE}={wanted.token} capplan worker {at}"
        )
        deadline, workers = monotonic() + WAIT_S, list[RemoteWorker]()
        try:
            workers += self.newcomers(free)  # who came while the script was loaded
            while len(workers) < wanted.count:
                if not self._master.listen(max(0.0, deadline - monotonic())):
                    raise SetupError(
                        f"{len(workers)} of {many} came within {format_duration(WAIT_S)}",
                        f"start them with: {TOKEN_VARIABLE}=... capplan worker {at}",
                    )
                workers += self.newcomers(free)
                workers = self._still_there(workers)
        except BaseException:
            for worker in workers:
                worker.kill()
            raise
        return workers

    def _still_there(self, workers: list[RemoteWorker]) -> list[RemoteWorker]:
        """Return those that have not gone while others were waited for."""
        gone = [worker for worker in workers if worker.is_gone]
        for worker in gone:
            self._tell(f"{worker.death()}: another one is waited for")
            worker.kill()
        return [worker for worker in workers if worker not in gone]

    def newcomers(self, free: Iterator[int]) -> Iterator[RemoteWorker]:
        """Yield those who have come since, and may take part."""
        self._master.listen()
        if self._master.take("stranger"):
            self._tell(
                "a worker was not let in: it does not know the token of this load test "
                f"({TOKEN_VARIABLE})"
            )
        for hello in self._master.take("knock"):
            if worker := self._welcome(hello, free):
                self._tell(f"worker {worker.index + 1} is here: {worker.name}")
                yield worker

    def _welcome(self, hello: dict[str, Any], free: Iterator[int]) -> RemoteWorker | None:
        address = str(hello.get("address"))
        if refusal := self._refusal(hello, address):
            self._answer(hello, {"refused": refusal})
            self._tell(f"a worker at {address} was not let in: {refusal}")
            return None
        root = Path(os.path.commonpath([path.parent for path in self._scripts]))
        shipped = {
            path.relative_to(root).as_posix(): base64.b64encode(path.read_bytes()).decode()
            for path in self._scripts
        }
        there = tuple(
            PurePosixPath(path.relative_to(root)).as_posix() for path in self._locustfiles
        )
        at, index = replace(self._master.next_line(), token=""), next(free)  # it knows the token
        line = self._master.line(at.line, index)
        config = replace(self._config, locustfiles=there, index=index, role="worker", master=at)
        self._answer(hello, {"files": shipped, "config": asdict(config)}, at.line)
        name = f"{hello.get('host')} ({address})"
        return RemoteWorker(line, config, name, int(hello.get("files", 1024)))

    def _answer(self, hello: dict[str, Any], message: dict[str, Any], line: int = 0) -> None:
        answer = {"do": "answer", "to": hello["from"], "line": line, "message": message}
        self._master.send(answer)

    def _refusal(self, hello: dict[str, Any], address: str) -> str:
        if hello.get("capplan") != __version__:
            return f"it has capplan {hello.get('capplan')}, and this is {__version__}"
        if is_loopback(host_of(self._config.target)) and not is_loopback(address):
            return f"the target {self._config.target} would be its own machine"
        return ""


def _listen(host: str, port: int) -> socket.socket:
    if ":" not in host:
        return socket.create_server((host, port), backlog=128)
    both = host == "::" and socket.has_dualstack_ipv6()
    return socket.create_server(
        (host, port), family=socket.AF_INET6, backlog=128, dualstack_ipv6=both
    )


def _joined(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _reachable(host: str) -> str:
    """Return an address of this machine that others can reach, as far as can be told."""
    if host not in ("", "0.0.0.0", "::"):
        return host
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # sends nothing; the route tells the address
            return str(probe.getsockname()[0])
        except OSError:
            return socket.gethostname()
