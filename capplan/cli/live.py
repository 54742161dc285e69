"""The live display of a load test on stderr: a panel on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.live import Live

from capplan.loadtest.measure import Measurement
from capplan.loadtest.progress import Progress
from capplan.render.live import panel, prediction, trial_line
from capplan.render.phases import findings
from capplan.results.phases import Phases
from capplan.workflow.watcher import Watcher

_REFRESH_S = 0.25


class Display(Watcher):
    """Use it as a context manager, and let it watch the load test."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, highlight=False, markup=False, emoji=False)
        self._live = Live(console=self._console, auto_refresh=False, transient=True)
        self._shown_at = 0.0
        self._said: set[str] = set()
        self._predicted = False

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._live.stop()

    def show(self, progress: Progress) -> None:
        """Redraw the panel, not more often than one can read."""
        if progress.predicted_s is not None and not self._predicted:
            self._predicted = True
            self._console.print(prediction(progress.predicted_s, progress.left_s), soft_wrap=True)
        now = time.monotonic()
        if self._console.is_terminal and now - self._shown_at >= _REFRESH_S:
            self._shown_at = now
            self._live.update(panel(progress), refresh=True)

    def trial_done(self, measured: Measurement) -> None:
        """Print the line of the trial that has just ended."""
        number = len(measured.trials)
        line = trial_line(number, measured.trials[-1], measured.bounds_rps)
        self._console.print(line, soft_wrap=True)

    def say(self, text: str) -> None:
        """Print something that is neither a trial nor a phase."""
        self._console.print(text, soft_wrap=True)

    def phase_done(self, phases: Phases) -> None:
        """Print what the phase that has just ended found."""
        for finding in findings(phases):
            if finding not in self._said:
                self._said.add(finding)
                self._console.print(finding, soft_wrap=True)

    def side_done(self, name: str, measured: Measurement) -> None:
        """Print the line of a trial on one of two targets."""
        number = len(measured.trials)
        line = trial_line(number, measured.trials[-1], measured.bounds_rps)
        self._console.print(f"{name} ", line, sep="", soft_wrap=True)
