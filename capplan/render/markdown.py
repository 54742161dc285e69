"""A verdict as Markdown, for the summary of a CI job."""

from __future__ import annotations

import re

from capplan.results.base import Note
from capplan.results.verdict import Verdict

_SIGN = {"pass": "✅", "fail": "❌", "inconclusive": "❔"}
_MARKUP = re.compile(r"([\\|`*_<>\[\]$~&#])")


def summary(verdict: Verdict) -> str:
    """Return a heading with the verdict, a table of the checks and the notes."""
    lines = [
        f"### {_SIGN[verdict.verdict]} capplan gate: {verdict.verdict}, plan "
        f"{_plain(verdict.plan.name)}",
        "",
        "| check | outcome | what was seen |",
        "|---|---|---|",
        *(
            f"| {_plain(check.name)} | {_SIGN[check.outcome]} {check.outcome} "
            f"| {_plain(check.message)} |"
            for check in verdict.checks
        ),
    ]
    if verdict.notes:
        lines += ["", *(f"- {_note(note)}" for note in verdict.notes)]
    return "\n".join(lines) + "\n\n"


def _note(note: Note) -> str:
    return _plain(f"{note.message}; {note.advice}" if note.advice else note.message)


def _plain(text: str) -> str:
    """Put a text on one line and escape what would end a table cell or start markup."""
    return _MARKUP.sub(r"\\\1", " ".join(text.split()))
