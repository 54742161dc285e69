"""What stands before and behind the servers on the day of the sale, and how many there are."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from capplan.plan.section import Section
from capplan.plan.types import Integer, Multiple, Rps, Seconds, SecondsOrZero, Share, YesNo


class CacheSettings(Section):
    """What the edge keeps of the answers of cacheable classes."""

    places: Integer | None = Field(default=None, description="Objects; else a tenth of all.")
    catalogue: Integer = Field(default=10_000, description="Objects of each cacheable class.")
    zipf: Multiple = Field(
        default=0.8, description="The k-th object is asked for in proportion to 1/k^zipf."
    )
    ttl: Seconds = Field(default=60.0, description="How long an answer may be used.")
    collapsing: YesNo = Field(
        default=True, description="Whether requests wait for an answer that is being fetched."
    )
    warm: YesNo = Field(default=False, description="Whether it is filled before the sale.")


class Prescale(Section):
    """Servers that are started ahead of the sale."""

    servers: Integer | None = Field(
        default=None, description="Else those that sustain the surprise."
    )
    ready: SecondsOrZero = Field(default=0.0, description="After the start of the sale.")


class Autoscale(Section):
    """An autoscaler; it begins with the fleet as it is, and a server needs ``servers.boot``."""

    rule: Literal["hpa", "target tracking"] = "hpa"
    metric: Literal["cpu", "requests"] = "cpu"
    target: Share = Field(default=0.6, description="CPU of a server.")
    requests: Rps | None = Field(
        default=None, description="Of a server; else the target, of what it sustains."
    )
    most: Integer | None = Field(
        default=None, description="Else servers.limit, or ten times as many."
    )
