"""How much more or less the head carries than the base: ``capplan loadtest --paired``."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from capplan.plan.sla import Sla
from capplan.results.base import Frozen, Result
from capplan.results.capacity import Identity, SustainedRate, Trial

PairedVerdict = Literal["measured", "below_sla", "inconclusive"]


class RatioRange(Frozen):
    """A ratio of sustained rates, new over old, with its interval; a null bound is not known.

    ``confidence`` (0 to 1) is the probability that the interval is meant to contain the truth.
    """

    low: float | None
    mid: float | None
    high: float | None
    confidence: float


class Side(Frozen):
    """One of the two targets: what its own trials say, which the machine's noise is part of."""

    identity: Identity
    sustained_rps: SustainedRate
    trials: tuple[Trial, ...]
    requests_per_arrival: float
    mix: dict[str, float]


class Pair(Frozen):
    """Two trials close in time, by their place in ``trials`` of each side, and the ratio they say.

    ``first`` was held before the other.
    """

    base: int
    head: int
    first: Literal["base", "head"]
    ratio: float


class Paired(Result):
    """The ratio head/base of the sustained rates, in arrivals of the unit.

    ``unpaired_ratio`` is what the same trials say when they are not compared pair by pair.
    ``below_sla``: the head misses the SLA at any load, and the base does not.
    """

    schema_: Literal["capplan.paired/1"] = Field(default="capplan.paired/1", alias="schema")
    verdict: PairedVerdict
    reason: str
    sla: Sla
    ratio: RatioRange
    unpaired_ratio: RatioRange
    pairs: tuple[Pair, ...]
    base: Side
    head: Side
    load_time_s: float
    interrupted: bool = False
