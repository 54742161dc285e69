"""Where a result comes from: the clock, the versions and the machine, read in one place.

The facts are those that can change a number. They name neither the host nor a path, so that a
result can be committed and shared.
"""

from __future__ import annotations

import os
import platform
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

from capplan.plan.load import PlanFile
from capplan.results.base import PlanRef, Provenance

_LIBRARIES = ("numpy", "scipy", "locust")


def provenance(plan_file: PlanFile, sections: tuple[str, ...], seed: int) -> Provenance:
    """Say where a result made now comes from, given the sections of the plan that it reads."""
    return Provenance(
        plan=PlanRef(name=plan_file.name, sections=plan_file.sections(*sections)),
        made_at=datetime.now(UTC).replace(microsecond=0),
        seed=seed,
        environment=environment(),
    )


def environment() -> dict[str, Any]:
    """Return the versions and the machine's facts that can change a number."""
    return {
        "python": platform.python_version(),
        **{library: version(library) for library in _LIBRARIES},
        "platform": f"{platform.system()} {platform.machine()}",
        "cpus": os.cpu_count(),
    }
