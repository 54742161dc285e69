"""Whether the planned fleet is good enough, for the terminal."""

from __future__ import annotations

from rich.console import RenderableType

from capplan.render.parts import answer, next_step, notes, table
from capplan.results.verdict import Check, Verdict

_COLOURS = {"pass": "bold green", "fail": "bold red", "inconclusive": "bold yellow"}
_AGAIN = ("--paired", "BASE", "HEAD")


def verdict(result: Verdict, plan: str) -> RenderableType:
    """Show whether the planned fleet is good enough."""
    worst = next(check for check in result.checks if check.outcome == result.verdict)
    return answer(
        f"{result.verdict.upper()}: {worst.message}{left_out(result)}",
        table(
            ("check", "<outcome", "<what was seen"),
            [(check.name, shown(check), check.message) for check in result.checks],
        ),
        notes(result.notes),
        _next(worst, plan),
        style=_COLOURS[result.verdict],
    )


def _next(worst: Check, plan: str) -> RenderableType | None:
    if worst.outcome == "pass":
        return None
    if worst.outcome == "fail":
        return next_step("capplan recommend", plan)
    in_turns = worst.name == "capacity drop, paired"
    return next_step("capplan loadtest", plan, *(_AGAIN if in_turns else ()))


def left_out(result: Verdict) -> str:
    """Name what is not judged, to be put behind the outcome; empty when all is."""
    return f"; not judged: {', '.join(result.not_judged)}" if result.not_judged else ""


def shown(check: Check) -> str:
    """Write the outcome of a check in words."""
    return check.outcome.replace("_", " ")
