"""Where the answer of a load test is kept, and what it knows before it has one.

An answer takes its place among those at other numbers of servers. What is no answer lies beside it,
from where ``--resume`` takes it.
"""

from __future__ import annotations

from pathlib import Path

from capplan.errors import SetupError
from capplan.results.capacity import Capacity
from capplan.results.scaling import accumulate
from capplan.results.store import write_result
from capplan.results.visits import in_visits
from capplan.workflow.shelf import Shelf

PARTIAL = "capacity.partial.json"


class NotKept(SetupError):
    """The disk did not take the result; ``result`` holds what was measured."""

    def __init__(self, error: SetupError, result: Capacity) -> None:
        super().__init__(error.message, error.hint)
        self.result = result


def store(shelf: Shelf, earlier: Capacity | None, result: Capacity) -> Capacity:
    """Keep an answer, or beside an ``earlier`` one what is none; ``NotKept`` when it cannot be."""
    unanswered = result.verdict == "inconclusive" and earlier is not None
    joined = _joined(None if unanswered else earlier, result)
    try:
        if unanswered:
            _write(shelf, joined)  # an answer is not replaced by none
        else:
            shelf.keep(joined)
            _partial(shelf, remove=True)
    except SetupError as error:
        raise NotKept(error, joined) from error
    return joined


def keep_partial(shelf: Shelf, result: Capacity) -> Path | None:
    """Keep what is known before the end; return where."""
    return _write(shelf, _joined(None, result))


def _write(shelf: Shelf, result: Capacity) -> Path | None:
    path = _partial(shelf)
    if path is not None:
        write_result(path, result)
    return path


def _partial(shelf: Shelf, *, remove: bool = False) -> Path | None:
    path = shelf.folder and shelf.folder / PARTIAL
    if path and remove:
        path.unlink(missing_ok=True)
    return path


def _joined(earlier: Capacity | None, run: Capacity) -> Capacity:
    return in_visits(accumulate(earlier, run))
