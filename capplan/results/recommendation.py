"""How many servers to start: the result of ``capplan recommend``."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import Field

from capplan.results.base import Frozen, Result


class Option(Frozen):
    """One server count, what it costs and what it risks.

    ``multiple`` is of today's servers; ``fleet_rps`` the median of what the fleet sustains;
    ``cost`` and ``expected_lost_value`` are in US dollars; ``zone_loss_probability`` is the
    overload probability with one zone lost, null when there is only one; ``excuse`` says why the
    option was not chosen, and of a chosen one in which point it misses the policy.
    """

    servers: int
    multiple: float
    cost: float
    fleet_rps: float
    overload_probability: float
    zone_loss_probability: float | None
    expected_lost_visits: float
    expected_lost_value: float | None
    chosen: bool
    excuse: str


class Step(Frozen):
    """One step of the schedule."""

    at: datetime
    servers: int
    why: str


class CeilingCheck(Frozen):
    """Whether something that does not scale with servers holds the peak."""

    name: str
    ceiling_rps: float
    exceed_probability: float
    binds: bool


class Recommendation(Result):
    """The chosen count among its alternatives. ``feasible`` is false when none meets the policy.

    A probability equal to ``resolution`` stands for that or less: it cannot be told from none.
    """

    schema_: Literal["capplan.recommendation/1"] = Field(
        default="capplan.recommendation/1", alias="schema"
    )
    servers: int
    feasible: bool
    asked: int | None = None
    options: tuple[Option, ...]
    schedule: tuple[Step, ...]
    ceilings: tuple[CeilingCheck, ...]
    capacity_source: Literal["measured", "assumed"]
    server_rps_low: float
    server_rps_high: float
    peak_rps_p50: float
    peak_rps_p95: float
    resolution: float = 0.0
    reasons: tuple[str, ...]
