"""The other end of a socket: one load generator, here or on another machine.

It lives exactly as long as the socket: when this process ends, in whatever way, the socket closes
and the generator leaves.
"""

from __future__ import annotations

import json
import select
import socket
from abc import ABC, abstractmethod
from time import monotonic
from typing import Any

from capplan.errors import SetupError, UsageError
from capplan.loadtest.protocol import WorkerConfig


class ChildDied(SetupError):
    """A load generator ended although nobody told it to."""


class Peer(ABC):
    """A running load generator, and what it was told to run."""

    replaceable = True
    """Whether another one can be started when this one has died."""

    def __init__(self, connection: socket.socket, config: WorkerConfig) -> None:
        self.heard_at = monotonic()
        self._socket = connection
        self._config = config
        self._pending = b""

    @property
    def index(self) -> int:
        """Which of the generators it is, as its script sees it."""
        return self._config.index

    def fileno(self) -> int:
        """Return the descriptor that becomes readable when the generator has said something."""
        return self._socket.fileno()

    def send(self, message: dict[str, Any]) -> None:
        """Write one message."""
        try:
            self._socket.sendall(json.dumps(message).encode() + b"\n")
        except OSError:
            raise self.death() from None

    @abstractmethod
    def go(self, at: float) -> None:
        """Let the schedule start at an instant of this process's performance counter."""

    def receive(self) -> list[dict[str, Any]]:
        """Return what the generator has said; only when its descriptor is readable."""
        try:
            chunk = self._socket.recv(1 << 20)
        except OSError:  # reset, or a machine that no longer answers
            chunk = b""
        if not chunk:
            raise self.death()
        self.heard_at = monotonic()
        *lines, self._pending = (self._pending + chunk).split(b"\n")
        messages = [json.loads(line) for line in lines]
        for message in messages:
            if message["is"] == "refused":
                raise _refusal(message, self._config)
        return messages

    def expect(self, kind: str, silence_s: float) -> dict[str, Any]:
        """Wait for a message and pass over others; raise when nothing comes for ``silence_s``."""
        while True:
            if not select.select([self], [], [], silence_s)[0]:
                raise self.stuck(silence_s)
            for message in self.receive():
                if message["is"] == kind:
                    return message

    @abstractmethod
    def quit(self) -> None:
        """Ask the generator to let the script's own clean-up run, and to leave."""

    @abstractmethod
    def kill(self) -> None:
        """End the load of this generator at once."""

    @abstractmethod
    def stuck(self, silence_s: float) -> SetupError:
        """Say that the generator has been silent for too long."""

    @abstractmethod
    def death(self) -> ChildDied:
        """Say how the generator ended."""


def _refusal(message: dict[str, Any], config: WorkerConfig) -> UsageError:
    if message["why"] == "host":
        host = message["message"]
        return UsageError(
            f"the script sends requests to {host}, which the plan does not name",
            f"add {host} to service.allowed_hosts, with payments and mail stubbed there",
        )
    if message["why"] == "options":
        return UsageError(
            message["message"],
            "they stand after -- on the command line, or in service.arguments in the plan",
        )
    names = ", ".join(config.locustfiles)
    trace = f"\n\n{message['trace'].rstrip()}" if message["trace"] else ""
    return UsageError(
        f"the locustfile cannot be used: {names}: {message['message']}{trace}",
        "run 'locust -f' with the same file to see the same error without capplan" if trace else "",
    )
