"""The words between the commands of ``capplan demo``."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.text import Text

from capplan.refserver import Theory
from capplan.render.parts import answer, next_step
from capplan.render.terminal import show
from capplan.results.base import Result
from capplan.results.capacity import Capacity
from capplan.units import format_rate


def opening(url: str, plan: str) -> RenderableType:
    """Say what was set up."""
    return answer(
        "The way from a plan to a decision, in four commands.",
        Text(f"{plan} describes a sale. {url} is a small server, started for this.\n"),
    )


def command(line: str) -> RenderableType:
    """Show a command as it would be typed."""
    return Text(f"$ {line}\n", style="bold", no_wrap=True, overflow="ignore")


def outcome(result: Result, plan: str, truth: Theory) -> RenderableType:
    """Show the answer of one command; after a measurement also what it should have found."""
    blocks = [show(result, plan), Text("")]
    if isinstance(result, Capacity):
        blocks.append(Text(_compared(result, truth.rate_rps) + "\n"))
    return Group(*blocks)


def closing(folder: str) -> RenderableType:
    """Say where everything is."""
    return answer(
        f"The plan, the locustfile and all results are in {folder}; the server is stopped.",
        next_step("capplan init"),
    )


def _compared(result: Capacity, truth_rps: float) -> str:
    low, high = result.sustained_rps.low, result.sustained_rps.high
    known = f"This server is a simulated queue that sustains {format_rate(truth_rps)} in theory"
    if low is None or high is None:
        return f"{known}."
    if low <= truth_rps <= high:
        return f"{known}: the measured interval contains it."
    return f"{known}: the measured interval missed it this time."
