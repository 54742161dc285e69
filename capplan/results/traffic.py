"""What came at an earlier sale, as its access logs tell it."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from capplan.results.base import Frozen, Result


class Observed(Frozen):
    """λ(t) as it was: ``rps[i]`` holds from ``t_s[i]``, seconds from that start, to the next."""

    t_s: tuple[float, ...]
    rps: tuple[float, ...]


class Traffic(Result):
    """The traffic of an earlier sale; a plan may take its shape with ``arrive: traffic.json``."""

    schema_: Literal["capplan.traffic/1"] = Field(default="capplan.traffic/1", alias="schema")
    profile: Observed
