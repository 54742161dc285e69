"""What ``capplan loadtest --check`` makes of the visits that it saw."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict

from capplan.loadtest.generators.engine import CheckedVisit


def all_well(visits: Sequence[CheckedVisit]) -> bool:
    """Return whether every user got through its tasks and every request succeeded."""
    return all(
        visit.tasks and not visit.error and all(call["error"] is None for call in visit.calls)
        for visit in visits
    )


def checked_json(visits: Sequence[CheckedVisit]) -> str:
    """Return what a check saw as JSON; the length of a visit that did not end is null."""
    found = [asdict(visit) for visit in visits]
    for visit in found:
        visit["lengths_s"] = [s if math.isfinite(s) else None for s in visit["lengths_s"]]
    return json.dumps(found, indent=2, allow_nan=False) + "\n"
