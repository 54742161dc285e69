"""``capplan recommend --export``: the schedule as files for the tools that carry it out."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from capplan.errors import UsageError
from capplan.results.recommendation import Recommendation
from capplan.results.store import check_writable, write_text
from capplan.workflow.recommend import decided
from capplan.workflow.shelf import Shelf, open_plan

_STDOUT = Path("-")


@dataclass(frozen=True, slots=True)
class Exported:
    """One format of the schedule: its text, where it was written if it was, and what to do then."""

    text: str
    path: Path | None
    apply: str


def export(
    plan: Path | str,
    formats: Sequence[str],
    *,
    to: Path | None = None,
    why: int | None = None,
    kind: str | None = None,
    seed: int = 1,
) -> tuple[Recommendation, tuple[Exported, ...]]:
    """Recommend, and write the schedule in each format for review.

    The files go into the folder ``to``, else into ``exports`` among the plan's results; with ``-``
    nothing is written. Raises ``UsageError`` as ``recommend`` does, when there is nothing to
    schedule, when a time of it is past, and for a plan from standard input without ``to``.
    """
    from capplan.render.exports import FORMATS, order

    plan_file, shelf = open_plan(plan)
    folder = _folder(shelf, to)
    for name in formats:
        if name not in FORMATS:
            raise UsageError(f"{name!r} is not a format of exports", f"use {', '.join(FORMATS)}")
    chosen = [FORMATS[name] for name in dict.fromkeys(formats)]
    paths = [folder / one.file if folder else None for one in chosen]
    for path in paths:
        if path:
            check_writable(path)
    advice = decided(plan_file, shelf, why, kind, seed)
    ordered = order(plan_file.plan, advice)
    texts = [one.write(ordered) for one in chosen]
    for path, text in zip(paths, texts, strict=True):
        if path:
            write_text(path, text)
    shown = [_short(path) for path in paths]
    return advice, tuple(
        Exported(text, path, one.apply.format(shlex.quote(str(path or "-"))))
        for one, path, text in zip(chosen, shown, texts, strict=True)
    )


def _short(path: Path | None) -> Path | None:
    """Return a path as seen from here, where it is below."""
    here = Path.cwd()
    return path.relative_to(here) if path and path.is_relative_to(here) else path


def _folder(shelf: Shelf, to: Path | None) -> Path | None:
    if to == _STDOUT:
        return None
    if to is not None:
        return to
    if shelf.folder is None:
        raise UsageError(
            "a plan from standard input has no folder for its exports",
            "name one with --export-to, or - for stdout",
        )
    return shelf.folder / "exports"
