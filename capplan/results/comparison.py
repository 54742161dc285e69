"""Two measured capacities side by side: ``capplan loadtest --compare``."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import Field

from capplan.results.base import Frozen, Result
from capplan.results.capacity import CapacityVerdict, Identity, SustainedRate
from capplan.results.paired import RatioRange

Difference = Literal["different", "no_difference", "cannot_tell"]


class Compared(Frozen):
    """One of the two results."""

    identity: Identity
    verdict: CapacityVerdict
    sustained_rps: SustainedRate
    made_at: datetime


class EndpointComparison(Frozen):
    """New over old for one endpoint.

    ``measure`` is ``sustained_rps`` of the endpoint's own SLA, or, where it has none, its
    ``latency_s_p95`` at rates that both runs held well below saturation, in ``trials`` pairs.
    """

    endpoint: str
    measure: Literal["sustained_rps", "latency_s_p95"]
    ratio: RatioRange
    verdict: Difference
    trials: int


class Comparison(Result):
    """New over old. ``cannot_tell`` also where the two were not measured alike, as notes say."""

    schema_: Literal["capplan.comparison/1"] = Field(default="capplan.comparison/1", alias="schema")
    verdict: Difference
    ratio: RatioRange
    old: Compared
    new: Compared
    endpoints: tuple[EndpointComparison, ...]
