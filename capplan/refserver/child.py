"""A reference server as a child process, for tests, benchmarks and the demo."""

from __future__ import annotations

import http.client
import json
import os
import selectors
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from capplan.errors import ExitCode, SetupError, UsageError
from capplan.refserver.config import RefServerConfig
from capplan.refserver.protocol import STATS_PATH

_START_S = 30.0
_STOP_S = 10.0
_HOME = Path(__file__).parents[2]


class RefServer:
    """Run a server from ``with`` to its end; it never outlives this process, however that ends.

    The child watches a pipe that only this process holds. It has its own process session, so that
    Ctrl-C on the terminal reaches the one who measures, not the one who is measured.
    """

    url: str

    def __init__(self, config: RefServerConfig) -> None:
        self.config = replace(config, exit_with_stdin=True)

    def __enter__(self) -> Self:
        """Start the server and wait until it accepts requests.

        Raises ``SetupError`` or ``UsageError`` with the child's own message when it cannot start.
        """
        # started in capplan's own folder: what lies in the user's must not be imported instead
        self._process = subprocess.Popen(
            [sys.executable, "-m", "capplan.refserver", self.config.to_json()],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=_HOME,
            start_new_session=True,
        )
        try:
            self.url = self._announced_url()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop the server."""
        self.stop()

    @property
    def pid(self) -> int:
        """The process id of the server."""
        return self._process.pid

    def stats(self) -> dict[str, Any]:
        """Ask the server what it served so far; see ``Work.report`` for the keys."""
        address = urlsplit(self.url)
        connection = http.client.HTTPConnection(
            address.hostname or "", address.port, timeout=_STOP_S
        )
        try:
            connection.request("GET", STATS_PATH)
            report: dict[str, Any] = json.loads(connection.getresponse().read())
        except (OSError, http.client.HTTPException) as error:
            raise SetupError(f"the reference server at {self.url} is gone: {error}") from None
        finally:
            connection.close()
        return report

    def stop(self) -> None:
        """End the server and wait for it; does nothing the second time."""
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        try:
            self._process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _announced_url(self) -> str:
        assert self._process.stdout is not None
        line = _first_line(self._process.stdout.fileno(), _START_S)
        if line is None:
            raise SetupError(f"the reference server did not start within {_START_S:g} s")
        if not line:
            code = self._process.wait()
            raise SetupError(f"the reference server ended with code {code} before it listened")
        said = json.loads(line)
        if "url" in said:
            return str(said["url"])
        kind = UsageError if said["exit_code"] == ExitCode.USAGE else SetupError
        raise kind(said["error"], said["hint"])


def _first_line(descriptor: int, timeout_s: float) -> bytes | None:
    """Return what comes up to the first line end; None when it takes too long, empty at the end."""
    deadline_s = time.monotonic() + timeout_s
    line = b""
    with selectors.DefaultSelector() as selector:
        selector.register(descriptor, selectors.EVENT_READ)
        while not line.endswith(b"\n"):
            if not selector.select(max(0.0, deadline_s - time.monotonic())):
                return None
            piece = os.read(descriptor, 65_536)
            if not piece:
                return b""
            line += piece
    return line
