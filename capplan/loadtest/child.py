"""One child process that carries the user's Locust script, and the socket to it.

The child lives exactly as long as the socket between the two: when this process ends, in whatever
way, the socket closes and the child leaves. It has its own session, so a Ctrl-C in the terminal
reaches only this process, which then decides.
"""

from __future__ import annotations

import json
import select
import signal
import socket
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from time import monotonic
from typing import Any

from capplan.errors import SetupError, UsageError
from capplan.loadtest.protocol import WorkerConfig

# not "-m": that looks for every module in the working directory first, where a shop may well have
# a locust.py or a calendar.py of its own; only capplan itself has to be the parent's
_WORKER = """
import sys
sys.path.insert(0, sys.argv[1])
import capplan
del sys.path[0]
from capplan.loadtest.worker.__main__ import main
main()
"""
_HOME = Path(__file__).parents[2]


class ChildDied(SetupError):
    """A load generator ended although nobody told it to."""


class Child:
    """A running load generator. ``config`` is already on its way to it."""

    def __init__(self, config: WorkerConfig, log: Path) -> None:
        self.log = log
        self._config = config
        self._pending = b""
        self.heard_at = monotonic()
        ours, theirs = socket.socketpair()
        self._socket = ours
        command = [sys.executable, "-u", "-P", "-c", _WORKER, str(_HOME), str(theirs.fileno())]
        try:
            with log.open("ab") as output:
                self._process = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    pass_fds=[theirs.fileno()],
                    start_new_session=True,
                )
        except OSError as error:
            ours.close()
            raise SetupError(f"the load generator could not start: {error}") from error
        finally:
            theirs.close()
        try:
            self.send(asdict(config))
        except BaseException:
            self.kill()
            raise

    @property
    def pid(self) -> int:
        """The child's process id."""
        return self._process.pid

    def fileno(self) -> int:
        """Return the descriptor that becomes readable when the child has said something."""
        return self._socket.fileno()

    def send(self, message: dict[str, Any]) -> None:
        """Write one message."""
        try:
            self._socket.sendall(json.dumps(message).encode() + b"\n")
        except OSError:
            raise self._died() from None

    def receive(self) -> list[dict[str, Any]]:
        """Return what the child has said; only when its descriptor is readable."""
        try:
            chunk = self._socket.recv(1 << 20)
        except ConnectionResetError:
            chunk = b""
        if not chunk:
            raise self._died()
        self.heard_at = monotonic()
        *lines, self._pending = (self._pending + chunk).split(b"\n")
        messages = [json.loads(line) for line in lines]
        for message in messages:
            if message["is"] == "refused":
                raise _refusal(message, self._config)
        return messages

    def expect(self, kind: str, silence_s: float) -> dict[str, Any]:
        """Wait for a message; raise when the child says nothing for ``silence_s``."""
        while True:
            if not select.select([self], [], [], silence_s)[0]:
                raise self.stuck(silence_s)
            for message in self.receive():
                if message["is"] == kind:
                    return message

    def quit(self) -> None:
        """Ask the child to let the script's own clean-up run, and to leave."""
        try:
            self.send({"do": "quit"})
            self._process.wait(timeout=2.0)
        except (SetupError, subprocess.TimeoutExpired):
            pass  # it is ended by force below
        self.kill()

    def kill(self) -> None:
        """End the child at once; its load stops with it."""
        self._socket.close()
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def stuck(self, silence_s: float) -> SetupError:
        """Say that the child has been silent for too long."""
        return SetupError(
            f"the load generator has said nothing for {silence_s:.0f} s: a task or the start of "
            f"the script never gives control back",
            f"look for an endless loop in the script; the generator's log: {self.log}",
        )

    def _died(self) -> ChildDied:
        code = self._process.wait()
        how = f"killed by signal {-code}" if code < 0 else f"code {code}"
        tail = self.log.read_text(errors="replace").strip().splitlines()[-5:]
        last = ("\n  " + "\n  ".join(tail)) if tail else ""
        return ChildDied(
            f"the load generator ended by itself ({how}){last}", f"see its log: {self.log}"
        )


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
