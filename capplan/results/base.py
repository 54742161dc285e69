"""What every result carries: where it comes from, and what to mind when reading it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict

from capplan import __version__


class Frozen(BaseModel):
    """A part of a result."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


class Note(Frozen):
    """A typed warning: a stable ``code``, what was seen, and what to do about it."""

    code: str
    message: str
    advice: str = ""


class PlanRef(Frozen):
    """Which plan a result was made from.

    ``sections`` maps each section of the plan that was read to a hash of its content, so that a
    later command can tell whether the result still belongs to the plan.
    """

    name: str
    sections: dict[str, str]


class Provenance(Frozen):
    """Where a result comes from: handed into the pure rooms, which read no clock and no machine."""

    plan: PlanRef
    made_at: datetime
    seed: int
    environment: dict[str, Any]


class Result(Provenance):
    """The envelope of every result. ``schema`` is ``capplan.<name>/1`` in the JSON.

    A pure room builds one with ``Demand(**dict(provenance), …)``.
    """

    model_config = ConfigDict(
        frozen=True, extra="ignore", serialize_by_alias=True, defer_build=True
    )

    capplan_version: str = __version__
    notes: tuple[Note, ...] = ()
