"""The generator's end of its line to the load test.

Either a socket that the parent has passed on, or Locust's messages by way of a master. The socket
is there in both cases, and a native thread reads it, started before Locust patches threads: its end
means that the parent is gone, however it died. The process leaves at once then, even when a task of
the script never gives control back.
"""

from __future__ import annotations

import _thread
import json
import os
import socket
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

Command = Mapping[str, Any]
Orders = Mapping[str, Callable[[Command], None]]
"""What to do for each command."""

ENDS_BY_ITSELF = "it stops the test by itself, but how long a load lasts is not its choice"
"""Why a script is refused that ends the test."""

_LOOK_EVERY_S = 0.02
_MOST_DESCRIPTORS = 16


class Link(ABC):
    """What the generator hears from the load test, and says to it."""

    def __init__(self) -> None:
        self._inbox: deque[dict[str, Any]] = deque()

    def poll(self) -> dict[str, Any] | None:
        """Return the next message, or None when there is none yet."""
        return self._inbox.popleft() if self._inbox else None

    def obey(self, orders: Orders, sleep: Callable[[float], None]) -> NoReturn:
        """Do what each message asks for; ``sleep`` lets others go on meanwhile."""
        while True:
            message = self.poll()
            if message is None:
                sleep(_LOOK_EVERY_S)
            else:
                orders[message["do"]](message)

    @abstractmethod
    def send(self, message: dict[str, Any]) -> None:
        """Write one message."""

    def refuse(self, message: str, trace: str = "", why: str = "script") -> None:
        """Say that the script cannot be used."""
        self.send({"is": "refused", "why": why, "message": message, "trace": trace})

    @abstractmethod
    def leave(self, code: int) -> NoReturn:
        """End this process when what was said is on its way."""


class ParentLink(Link):
    """JSON lines to and from the parent."""

    def __init__(self, descriptor: int) -> None:
        super().__init__()
        os.set_inheritable(descriptor, False)  # what the script starts must not keep it open
        self._socket = socket.socket(fileno=descriptor)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 22)
        self._descriptors: deque[int] = deque()
        self._arrived = _thread.allocate_lock()
        self._arrived.acquire()
        _thread.start_new_thread(self._read, ())

    def first(self) -> dict[str, Any]:
        """Wait for the first message; only before Locust is imported."""
        self._arrived.acquire()
        return self._inbox.popleft()

    def descriptor(self) -> int:
        """Return the first file descriptor that came with the messages and was not yet taken."""
        return self._descriptors.popleft()

    def send(self, message: dict[str, Any]) -> None:
        """Write one message; a parent that no longer reads ends the process."""
        try:
            self._socket.sendall(json.dumps(message).encode() + b"\n")
        except OSError:
            os._exit(1)

    def leave(self, code: int) -> NoReturn:
        """End this process: what it has sent is the kernel's already."""
        os._exit(code)

    def _read(self) -> None:
        pending = b""
        first = True
        while True:
            try:
                chunk, passed, _, _ = socket.recv_fds(self._socket, 1 << 16, _MOST_DESCRIPTORS)
            except OSError:
                chunk, passed = b"", []
            if not chunk:
                os._exit(0)
            for descriptor in passed:
                os.set_inheritable(descriptor, False)
                self._descriptors.append(descriptor)
            *lines, pending = (pending + chunk).split(b"\n")
            self._inbox.extend(json.loads(line) for line in lines)
            if lines and first:
                first = False
                self._arrived.release()
