"""One child process that carries the user's Locust script.

It has its own session, so a Ctrl-C in the terminal reaches only this process, which then decides.
"""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

from capplan.errors import SetupError
from capplan.loadtest.generators.peer import ChildDied, Peer
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
START_TIMEOUT_S = 30.0
_HOME = Path(__file__).parents[3]


def worker_command(descriptor: int) -> list[str]:
    """Return the command line of a load generator that talks through an inherited socket."""
    return [sys.executable, "-u", "-P", "-c", _WORKER, str(_HOME), str(descriptor)]


class Child(Peer):
    """A load generator in a process of this machine. ``config`` is already on its way to it."""

    called = "the load generator"

    def __init__(self, config: WorkerConfig, log: Path) -> None:
        self.log = log
        ours, theirs = socket.socketpair()
        super().__init__(ours, config)
        command = worker_command(theirs.fileno())
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
            raise SetupError(f"{self.called} could not start: {error}") from error
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

    def go(self, at: float) -> None:
        """Let the schedule start at an instant of the performance counter, which both share."""
        self.send({"do": "go", "at": at})

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
            f"{self.called} has said nothing for {silence_s:.0f} s: a task or the start of "
            f"the script never gives control back",
            f"look for an endless loop in the script; the generator's log: {self.log}",
        )

    def death(self) -> ChildDied:
        """Say how the process ended, with the last lines of its log."""
        code = self._process.wait()
        how = f"killed by signal {-code}" if code < 0 else f"code {code}"
        tail = self.log.read_text(errors="replace").strip().splitlines()[-5:]
        last = ("\n  " + "\n  ".join(tail)) if tail else ""
        return ChildDied(f"{self.called} ended by itself ({how}){last}", f"see its log: {self.log}")
