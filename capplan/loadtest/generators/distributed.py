"""Locust's master as a child process, and the workers that this machine starts for it.

The load test speaks with each worker on a socket, as with a child that is alone. Only that the
master holds the other end, and passes on by Locust's messages what is said there.
"""

from __future__ import annotations

import json
import secrets
import select
import socket
from dataclasses import replace
from pathlib import Path
from typing import Any

from capplan.loadtest.generators.child import START_TIMEOUT_S, Child
from capplan.loadtest.protocol import MasterAddress, WorkerConfig

_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}


def private_address() -> MasterAddress:
    """Return where a master can listen whose workers are all on this machine."""
    return MasterAddress("127.0.0.1", 0, secrets.token_urlsafe(18))


class Master(Child):
    """The process of Locust's master. It listens when this has been made."""

    called = "Locust's master"

    def __init__(self, config: WorkerConfig, log: Path, at: MasterAddress) -> None:
        super().__init__(replace(config, role="master", master=at), log)
        self._lines = 0
        self._begun = False
        self._heard: list[dict[str, Any]] = []
        try:
            port = self._wait_for("listening")["port"]
        except BaseException:
            self.kill()
            raise
        self.address = replace(at, port=port)

    def begin(self) -> None:
        """Tell the script once that the test starts, and wait for what it does then."""
        if self._begun:
            return
        self._begun = True
        self.send({"do": "begin"})
        self._wait_for("begun")

    def listen(self, patience_s: float = 0.0) -> bool:
        """Take in what the process says within that time, and return whether it said anything.

        Raises where it refuses the script or has died.
        """
        readable = bool(select.select([self], [], [], patience_s)[0])
        if readable:
            self._heard += self.receive()
        return readable

    def take(self, kind: str) -> list[dict[str, Any]]:
        """Return what it has said of one kind, once."""
        taken = [message for message in self._heard if message["is"] == kind]
        self._heard = [message for message in self._heard if message["is"] != kind]
        return taken

    def next_line(self) -> MasterAddress:
        """Return what a new worker has to be told: where to connect, and by which line."""
        self._lines += 1
        return replace(self.address, line=self._lines)

    def line(self, number: int, index: int, *lifelines: socket.socket) -> socket.socket:
        """Return our end of a line to the worker with that index.

        The master gets the lifeline of a worker on this machine as well, and keeps it.
        """
        ours, theirs = socket.socketpair()
        ends = (theirs, *lifelines)
        command = {"do": "line", "line": number, "index": index, "sockets": len(ends)}
        try:
            self._pass(command, ends)
        except BaseException:
            ours.close()
            raise
        finally:
            for end in ends:
                end.close()
        return ours

    def _wait_for(self, kind: str) -> dict[str, Any]:
        """Wait for a message; what else is said meanwhile is kept, unlike by ``expect``."""
        while not (said := self.take(kind)):
            if not self.listen(START_TIMEOUT_S):
                raise self.stuck(START_TIMEOUT_S)
        return said[0]

    def _pass(self, command: dict[str, Any], sockets: tuple[socket.socket, ...]) -> None:
        said = json.dumps(command).encode() + b"\n"
        try:
            socket.send_fds(self._socket, [said], [end.fileno() for end in sockets])
        except OSError:
            raise self.death() from None


class LocalWorker(Child):
    """A worker of Locust in a process of this machine, which lives no longer than the master."""

    def __init__(self, config: WorkerConfig, log: Path, master: Master) -> None:
        at = master.next_line()
        at = replace(at, host=_EVERYWHERE.get(at.host, at.host))
        super().__init__(replace(config, role="worker", master=at), log)
        try:
            self._socket = master.line(at.line, config.index, self._socket)
        except BaseException:
            self.kill()
            raise
