"""One key of the plan, varied: the result of ``capplan simulate --sweep``."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from capplan.results.base import Frozen, Result
from capplan.results.simulation import ActInShort


class SweepPoint(Frozen):
    """The acts at one value, in base units and as people write it."""

    value: float
    text: str
    acts: tuple[ActInShort, ...]


class Sweep(Result):
    """The same acts, with the same visits, at each value of ``key``."""

    schema_: Literal["capplan.sweep/1"] = Field(default="capplan.sweep/1", alias="schema")
    key: str
    scale: float
    points: tuple[SweepPoint, ...]
    interrupted: bool = False
