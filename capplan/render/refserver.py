"""What a reference server says about itself when it starts."""

from __future__ import annotations

from rich.console import RenderableType

from capplan.plan.sla import Sla
from capplan.refserver import RefServerConfig, Theory
from capplan.render.parts import answer, bullets
from capplan.units import format_duration, format_number, format_rate


def listening(url: str, config: RefServerConfig, sla: Sla, truth: Theory) -> RenderableType:
    """Show where a reference server listens and what a load test against it must find."""
    service = config.service
    queue = "" if config.queue is None else f", refuses when {format_number(config.queue)} wait"
    about = "" if truth.stderr_rps == 0 else f" (± {format_number(truth.stderr_rps)}, simulated)"
    return answer(
        f"Listening on {url} for {format_duration(config.lifetime_s)}; Ctrl-C ends it.",
        bullets(
            (
                f"in theory it sustains {format_rate(truth.rate_rps)}{about} within {sla}; "
                f"the limit is {truth.limited_by}",
                f"{config.slots} slots, {service.kind} service of "
                f"{format_duration(service.mean_s)}, cv {service.cv:g}: always busy at "
                f"{format_rate(config.slots / service.mean_s)}{queue}",
                f"what it served so far: {url}/__stats",
            )
        ),
    )
