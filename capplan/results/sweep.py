"""One key of the plan, varied: the result of ``capplan simulate --sweep``."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from capplan.results.base import Frozen, Result


class SweptAct(Frozen):
    """What became of one act; the fields are those of :class:`capplan.results.simulation.Act`."""

    name: str
    protections: tuple[str, ...]
    servers: int
    visits: int
    paid: int
    could_pay: float
    paid_ratio: float
    scalped: int = 0
    sold_out_at_s: float | None = None
    abandoned: int
    peak_queue: int
    outcome: Literal["held", "recovered", "never"]
    lost_at_s: float | None
    recovered_at_s: float | None
    metastable: bool
    lost_value: float | None


class SweepPoint(Frozen):
    """The acts at one value, in base units and as people write it."""

    value: float
    text: str
    acts: tuple[SweptAct, ...]


class Sweep(Result):
    """The same acts, with the same visits, at each value of ``key``."""

    schema_: Literal["capplan.sweep/1"] = Field(default="capplan.sweep/1", alias="schema")
    key: str
    scale: float
    points: tuple[SweepPoint, ...]
    interrupted: bool = False
