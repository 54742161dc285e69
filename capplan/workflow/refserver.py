"""``capplan refserver``: a server to measure, and the number that the measurement must find."""

from __future__ import annotations

from collections.abc import Callable

from capplan.plan.sla import Sla
from capplan.refserver import RefServerConfig, Theory, serve, theory


def refserver(config: RefServerConfig, sla: Sla, announce: Callable[[str, Theory], None]) -> None:
    """Serve until the configured lifetime is over or a signal comes.

    ``announce`` gets the URL and the rate that theory says is sustained within ``sla``, once
    requests are accepted. Raises ``SetupError`` when the port cannot be had.
    """
    truth = theory(config, sla)
    serve(config, lambda url: announce(url, truth))
