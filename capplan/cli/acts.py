"""The progress of a simulation on stderr: a bar on a terminal, a line per act elsewhere."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from capplan.render.simulation import act_line, clock
from capplan.results.simulation import Act
from capplan.simulate.progress import Progress


class ActsDisplay:
    """Use it as a context manager, and hand its methods to the simulation."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, highlight=False, markup=False, emoji=False)
        self._bar = Bar(
            TextColumn("{task.description}"),
            BarColumn(),
            TimeRemainingColumn(),
            console=self._console,
            transient=True,
            disable=not self._console.is_terminal,
        )
        self._task = self._bar.add_task("the first run compiles the simulation", total=1.0)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.stop()

    def show(self, progress: Progress) -> None:
        """Move the bar on."""
        protected = ", protected" if progress.protected else ""
        now = "" if progress.clock_s is None else f", {clock(progress.clock_s)}"
        text = f"{progress.act}{protected}{now}"
        self._bar.update(self._task, completed=progress.done, description=text)

    def act_done(self, act: Act) -> None:
        """Print the line of the act that has just ended."""
        self._console.print(act_line(act), soft_wrap=True)
