"""Complaints about a plan: where they stand, in which order they are shown, how they read."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from capplan.errors import UsageError

KeyPath = tuple[str | int, ...]
"""The way to a value: keys of mappings and positions in lists."""

SHOWN = 20


@dataclass(frozen=True, slots=True, order=True)
class Complaint:
    """What is wrong at one place. ``line`` counts from 1; 0 means the file as a whole."""

    line: int
    column: int
    where: str
    message: str


def dotted(path: KeyPath) -> str:
    """Write the way to a value as people do.

    >>> dotted(("audience", 1, "visits")), dotted(("endpoints", "GET /", "failures"))
    ('audience[1].visits', "endpoints['GET /'].failures")
    """
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        elif re.fullmatch(r"[A-Za-z_]\w{0,39}", part):
            text += f".{part}" if text else part
        else:
            text += f"[{brief(part)}]"
    return text


def brief(text: str) -> str:
    """Quote what the user wrote, cut to a length that fits into a message.

    >>> brief("soon"), len(brief("x" * 1000))
    ("'soon'", 43)
    """
    return repr(text if len(text) <= 40 else text[:40] + "…")


def report(origin: str, complaints: Iterable[Complaint]) -> UsageError:
    """Return the error that shows all complaints about the file ``origin``, in its order."""
    ordered = sorted(complaints)
    lines = [
        f"{origin}{f':{c.line}' if c.line else ''}: {f'{c.where}: ' if c.where else ''}{c.message}"
        for c in ordered[:SHOWN]
    ]
    if len(ordered) == 1:
        return UsageError(lines[0])
    if len(ordered) > SHOWN:
        lines.append(f"… and {len(ordered) - SHOWN} more")
    listing = "\n".join(f"  {line}" for line in lines)
    return UsageError(f"{len(ordered)} mistakes in {origin}\n{listing}")
