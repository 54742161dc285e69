"""A verdict as Markdown, for the summary of a CI job."""

from __future__ import annotations

from capplan.results.verdict import Verdict

_SIGN = {"pass": "✅", "fail": "❌", "inconclusive": "❔"}


def summary(verdict: Verdict) -> str:
    """Return a heading with the verdict, a table of the checks and the notes."""
    lines = [
        f"### {_SIGN[verdict.verdict]} capplan gate: {verdict.verdict}, plan "
        f"{_cell(verdict.plan.name)}",
        "",
        "| check | outcome | what was seen |",
        "|---|---|---|",
        *(
            f"| {_cell(check.name)} | {_SIGN[check.outcome]} {check.outcome} "
            f"| {_cell(check.message)} |"
            for check in verdict.checks
        ),
    ]
    if verdict.notes:
        lines += ["", *(f"- {_cell(note.message)}" for note in verdict.notes)]
    return "\n".join(lines) + "\n\n"


def _cell(text: str) -> str:
    """Escape what would end a table cell or start markup."""
    flat = " ".join(text.split())
    for character in "\\|`*_<>[]":
        flat = flat.replace(character, f"\\{character}")
    return flat
