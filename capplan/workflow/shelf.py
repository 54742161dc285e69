"""Where the results of one plan are kept, so that commands meet in files and nowhere else."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from capplan.errors import SetupError
from capplan.plan.load import PlanFile, load_plan
from capplan.results.base import Result
from capplan.results.breaking import BreakingPoints
from capplan.results.capacity import Capacity
from capplan.results.demand import Demand
from capplan.results.paired import Paired
from capplan.results.recommendation import Recommendation
from capplan.results.simulation import Simulation
from capplan.results.store import read_result, write_bytes, write_result
from capplan.results.sweep import Sweep
from capplan.results.verdict import Verdict

R = TypeVar("R", bound=Result)

_FILES: dict[type[Result], str] = {
    Demand: "demand.json",
    Capacity: "capacity.json",
    Paired: "paired.json",
    Recommendation: "recommendation.json",
    Simulation: "simulation.json",
    BreakingPoints: "breakingpoints.json",
    Sweep: "sweep.json",
    Verdict: "verdict.json",
}


@dataclass(frozen=True, slots=True)
class Shelf:
    """The folder of one plan's results; a plan that came from standard input has none."""

    folder: Path | None

    def find(self, kind: type[R]) -> R | None:
        """Return the stored result of this kind, or None when there is none.

        Raises ``UsageError`` for a file that is there and cannot be read as one.
        """
        path = self.path(kind)
        return read_result(path, kind) if path and path.exists() else None

    def keep(self, result: Result) -> None:
        """Store a result in place of the one before."""
        if path := self.path(type(result)):
            write_result(path, result)

    def keep_beside(self, name: str, data: bytes) -> None:
        """Store what is too large for a result, in a file of that name."""
        if self.folder:
            write_bytes(self.folder / name, data)

    def path(self, kind: type[Result]) -> Path | None:
        """Return where a result of this kind belongs."""
        return self.folder and self.folder / _FILES[kind]

    def keep_partial(self, result: Result) -> Path | None:
        """Store what is known before there is an answer beside where that belongs; return where."""
        path = self.partial(type(result))
        if path:
            write_result(path, result)
        return path

    def partial(self, kind: type[Result]) -> Path | None:
        """Return where lies what is known before there is an answer of this kind."""
        path = self.path(kind)
        return path and path.with_suffix(".partial.json")

    def drop_partial(self, kind: type[Result]) -> None:
        """Take away what an answer of this kind has made superfluous."""
        if path := self.partial(kind):
            path.unlink(missing_ok=True)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other load tests of the plan away meanwhile, also those of other processes.

        They would load the same target, and write over each other's trials. The folder has to be
        there. Raises ``SetupError`` when one is running. The lock ends with the process, however
        that does; where the system has none, nobody is kept away.
        """
        if self.folder is None or sys.platform == "win32":
            yield
            return
        import fcntl

        descriptor = os.open(self.folder, os.O_RDONLY)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise SetupError(
                    "another load test of this plan is running, with its trials in "
                    f"{shown(self.folder)}",
                    "wait for its end, or end it",
                ) from None
            except OSError:  # folders have no lock on the file system of another machine
                pass
            yield
        finally:
            os.close(descriptor)


def open_plan(plan: Path | str) -> tuple[PlanFile, Shelf]:
    """Load a plan, ``-`` from standard input, and find the place of its results.

    Raises ``UsageError`` when the plan is missing or has mistakes.
    """
    plan_file = load_plan(Path(plan))
    return plan_file, Shelf(None if str(plan) == "-" else plan_file.results_dir)


def shown(path: Path) -> str:
    """Return a path as a person would type it: relative when that is shorter."""
    return min(str(path), os.path.relpath(path), key=len)
