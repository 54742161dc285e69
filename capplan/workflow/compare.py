"""``capplan loadtest --compare``: two stored capacities side by side."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from capplan.loadtest.compare import compare as compute
from capplan.results.base import Provenance
from capplan.results.capacity import Capacity
from capplan.results.comparison import Comparison
from capplan.results.store import read_result
from capplan.workflow.provenance import environment


def compare(old: Path | str, new: Path | str) -> Comparison:
    """Compare the capacity in ``new`` with that in ``old``.

    Raises ``UsageError`` for files that hold no capacity, and for two that answer different
    questions.
    """
    return compared(read_result(Path(old), Capacity), read_result(Path(new), Capacity))


def compared(before: Capacity, after: Capacity) -> Comparison:
    """Compare two capacities, ``after`` with ``before``; raises as ``compare`` does."""
    origin = Provenance(
        plan=after.plan,
        made_at=datetime.now(UTC).replace(microsecond=0),
        seed=after.seed,
        environment=environment(),
    )
    return compute(before, after, origin)
