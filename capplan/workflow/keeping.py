"""Where the answer of a load test is kept, and what it knows before it has one.

An answer takes its place among those at other numbers of servers. What is no answer lies beside it,
from where ``--resume`` takes it.
"""

from __future__ import annotations

from pathlib import Path

from capplan.errors import SetupError
from capplan.results.capacity import Capacity
from capplan.results.scaling import accumulate
from capplan.results.visits import in_visits
from capplan.workflow.shelf import Shelf


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
            shelf.keep_partial(joined)  # an answer is not replaced by none
        else:
            shelf.keep(joined)
            shelf.drop_partial(Capacity)
    except SetupError as error:
        raise NotKept(error, joined) from error
    return joined


def keep_partial(shelf: Shelf, result: Capacity) -> Path | None:
    """Keep what is known before the end; return where."""
    return shelf.keep_partial(_joined(None, result))


def _joined(earlier: Capacity | None, run: Capacity) -> Capacity:
    return in_visits(accumulate(earlier, run))
