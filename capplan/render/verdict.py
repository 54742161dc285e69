"""Whether the planned fleet is good enough, for the terminal."""

from __future__ import annotations

from rich.console import RenderableType

from capplan.render.parts import answer, next_step, notes, table
from capplan.results.verdict import Verdict

_COLOURS = {"pass": "bold green", "fail": "bold red", "inconclusive": "bold yellow"}
_NEXT = {"fail": "capplan recommend", "inconclusive": "capplan loadtest"}


def verdict(result: Verdict, plan: str) -> RenderableType:
    """Show whether the planned fleet is good enough."""
    worst = next(check for check in result.checks if check.outcome == result.verdict)
    return answer(
        f"{result.verdict.upper()}: {worst.message}",
        table(
            ("check", "<outcome", "<what was seen"),
            [(check.name, check.outcome, check.message) for check in result.checks],
        ),
        notes(result.notes),
        next_step(_NEXT[result.verdict], plan) if result.verdict in _NEXT else None,
        style=_COLOURS[result.verdict],
    )
