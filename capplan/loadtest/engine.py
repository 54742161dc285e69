"""Runs trials in a child process that carries the user's Locust script.

The child lives exactly as long as the socket between the two: when this process ends, in whatever
way, the socket closes and the child leaves. It has its own session, so a Ctrl-C in the terminal
reaches only this process, which then decides.
"""

from __future__ import annotations

import json
import selectors
import signal
import socket
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from capplan.errors import SetupError, UsageError
from capplan.loadtest.protocol import TrialSpec, WorkerConfig
from capplan.loadtest.recording import Recording

START_TIMEOUT_S = 30.0
SILENCE_S = 15.0
"""A child that says nothing for so long is stuck in a task that never gives control back."""

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


@dataclass(frozen=True, slots=True)
class Ready:
    """What the child found in the script: user classes with their weights, and remarks."""

    classes: dict[str, float]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CheckedVisit:
    """What one user of a class called without load."""

    user_class: str
    tasks: int
    calls: tuple[dict[str, Any], ...]
    error: str | None


@dataclass
class Engine:
    """A child process that serves one script. Use it as a context manager."""

    config: WorkerConfig
    log: Path
    ready: Ready = field(init=False)
    _process: subprocess.Popen[bytes] = field(init=False)
    _socket: socket.socket = field(init=False)
    _pending: bytes = field(init=False, default=b"")
    _inbox: deque[dict[str, Any]] = field(init=False, default_factory=deque)

    def __enter__(self) -> Engine:
        ours, theirs = socket.socketpair()
        self._socket = ours
        command = [sys.executable, "-u", "-P", "-c", _WORKER, str(_HOME), str(theirs.fileno())]
        try:
            with self.log.open("wb") as log:
                self._process = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    pass_fds=[theirs.fileno()],
                    start_new_session=True,
                )
        except OSError as error:
            ours.close()
            raise SetupError(f"the load generator could not start: {error}") from error
        finally:
            theirs.close()
        try:
            self._send(asdict(self.config))
            message = self._expect("ready", START_TIMEOUT_S)
        except BaseException:
            self.kill()
            raise
        self.ready = Ready(message["classes"], tuple(message["notes"]))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self.quit()
        else:
            self.kill()

    def check(self) -> tuple[CheckedVisit, ...]:
        """Run one visit of each user class without load."""
        self._send({"do": "check"})
        message = self._expect("checked", SILENCE_S + self.config.timeout_s)
        return tuple(
            CheckedVisit(v["user_class"], v["tasks"], tuple(v["calls"]), v["error"])
            for v in message["visits"]
        )

    def trial(self, spec: TrialSpec, watch: Callable[[Recording], bool]) -> Recording:
        """Hold one load and return its recording.

        ``watch`` sees the recording grow, about ten times a second; when it returns true the trial
        ends early.
        """
        recording = Recording(spec)
        self._send({"do": "trial", "spec": asdict(spec)})
        ending = False
        for message in self._messages(SILENCE_S + self.config.timeout_s):
            if message.get("trial") != spec.index:
                continue
            if message["is"] == "rows":
                recording.add(message["columns"], message["endpoints"])
            else:
                recording.progress(message)
            if message["is"] == "done":
                break
            if not ending and watch(recording):
                ending = True
                recording.ended_early = True
                self._send({"do": "end"})
        return recording

    def quit(self) -> None:
        """Let the script's own clean-up run for a moment, then end the child."""
        try:
            self._send({"do": "quit"})
            self._process.wait(timeout=2.0)
        except (SetupError, subprocess.TimeoutExpired):
            pass  # it is ended by force below
        self.kill()

    def kill(self) -> None:
        """End the child at once; the load stops with it."""
        self._socket.close()
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    @property
    def pid(self) -> int:
        """The child's process id."""
        return self._process.pid

    def _send(self, message: dict[str, Any]) -> None:
        try:
            self._socket.sendall(json.dumps(message).encode() + b"\n")
        except OSError:
            raise self._died() from None

    def _expect(self, kind: str, silence_s: float) -> dict[str, Any]:
        return next(m for m in self._messages(silence_s) if m["is"] == kind)

    def _messages(self, silence_s: float) -> Iterator[dict[str, Any]]:
        with selectors.DefaultSelector() as selector:
            selector.register(self._socket, selectors.EVENT_READ)
            while True:
                while self._inbox:
                    message = self._inbox.popleft()
                    if message["is"] == "refused":
                        raise _refusal(message, self.config)
                    yield message
                if not selector.select(timeout=silence_s):
                    raise self._stuck(silence_s)
                self._receive()

    def _receive(self) -> None:
        try:
            chunk = self._socket.recv(1 << 20)
        except ConnectionResetError:
            chunk = b""
        if not chunk:
            raise self._died()
        *lines, self._pending = (self._pending + chunk).split(b"\n")
        self._inbox.extend(json.loads(line) for line in lines)

    def _stuck(self, silence_s: float) -> SetupError:
        return SetupError(
            f"the load generator has said nothing for {silence_s:.0f} s: a task or the start of "
            f"the script never gives control back",
            f"look for an endless loop in the script; the generator's log: {self.log}",
        )

    def _died(self) -> SetupError:
        code = self._process.wait()
        tail = self.log.read_text(errors="replace").strip().splitlines()[-5:]
        last = ("\n  " + "\n  ".join(tail)) if tail else ""
        return SetupError(
            f"the load generator ended by itself (code {code}){last}",
            f"see its log: {self.log}",
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
