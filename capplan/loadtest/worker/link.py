"""The child's end of the socket to its parent.

A native thread reads it, started before Locust patches threads. The end of the stream means that
the parent is gone, however it died: the process leaves at once, even when a task of the script
never gives control back.
"""

from __future__ import annotations

import _thread
import json
import os
import socket
from collections import deque
from typing import Any


class Link:
    """JSON lines to and from the parent."""

    def __init__(self, descriptor: int) -> None:
        os.set_inheritable(descriptor, False)  # what the script starts must not keep it open
        self._socket = socket.socket(fileno=descriptor)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 22)
        self._inbox: deque[dict[str, Any]] = deque()
        self._arrived = _thread.allocate_lock()
        self._arrived.acquire()
        _thread.start_new_thread(self._read, ())

    def first(self) -> dict[str, Any]:
        """Wait for the first message; only before Locust is imported."""
        self._arrived.acquire()
        return self._inbox.popleft()

    def poll(self) -> dict[str, Any] | None:
        """Return the next message, or None when there is none yet."""
        return self._inbox.popleft() if self._inbox else None

    def send(self, message: dict[str, Any]) -> None:
        """Write one message; a parent that no longer reads ends the process."""
        try:
            self._socket.sendall(json.dumps(message).encode() + b"\n")
        except OSError:
            os._exit(1)

    def _read(self) -> None:
        pending = b""
        first = True
        while True:
            try:
                chunk = self._socket.recv(1 << 16)
            except OSError:
                chunk = b""
            if not chunk:
                os._exit(0)
            *lines, pending = (pending + chunk).split(b"\n")
            self._inbox.extend(json.loads(line) for line in lines)
            if lines and first:
                first = False
                self._arrived.release()
