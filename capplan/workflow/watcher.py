"""Who hears of a load test while it runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from capplan.loadtest.measure import Measurement
    from capplan.loadtest.progress import Progress
    from capplan.results.phases import Phases


class Watcher:
    """Hears of a load test and keeps silent; whoever shows it overrides what it shows."""

    def show(self, progress: Progress) -> None:
        """Hear of progress, about ten times a second."""

    def trial_done(self, measured: Measurement) -> None:
        """Hear of what is known after a trial."""

    def side_done(self, name: str, measured: Measurement) -> None:
        """Hear of what is known of one of two targets, ``base`` or ``head``, after its trial."""

    def phase_done(self, phases: Phases) -> None:
        """Hear of what is known after a phase."""

    def say(self, text: str) -> None:
        """Hear of anything else that a person should know."""


NOBODY = Watcher()
