"""The sale day that goes wrong, and what saves it: the result of ``capplan simulate``."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Literal

from pydantic import Field

from capplan.results.base import Frozen, Result

AS_PLANNED = "as planned"
SURPRISE = "surprise"
ATTACK = "surprise + bots"
SECOND = "the second sale"


def act_label(name: str, protections: Collection[str]) -> str:
    """Name an act so that it differs from the one with the same demand.

    >>> act_label(SURPRISE, ("waf",)), act_label(SURPRISE, ())
    ('surprise, protected', 'surprise, unprotected')
    """
    return f"{name}, {'protected' if protections else 'unprotected'}"


class ClassOutcome(Frozen):
    """What became of the requests of one class.

    ``served_ratio`` is the share of the offered requests that was answered in time; latencies are
    of these, from the first attempt on, to within a ninth; null where there are none. ``degraded``
    attempts got the cheap answer.
    """

    offered: int
    attempts: int
    served: int
    served_ratio: float
    timed_out: int
    given_up: int
    rejected_by: dict[str, int]
    latency_s_p50: float | None
    latency_s_p95: float | None
    latency_s_p99: float | None
    degraded: int = 0


class ServiceOutcome(Frozen):
    """What became of a service behind the servers.

    ``busy`` is the share of its slots that worked in the ten seconds in which most did,
    ``breaker_opened`` how often its circuit breaker did.
    """

    slots: int
    service_s: float
    capacity_rps: float
    busy: float
    peak_queue: int
    breaker_opened: int


class ActSeries(Frozen):
    """What happened, in steps of ``step_s`` seconds; ``t_s`` counts from the start of the sale.

    ``offered``, ``attempts``, ``admitted``, ``good``, ``rejected`` and ``timed_out`` are per
    second; ``good`` and ``offered`` are of shoppers, the others of everybody. ``queue``,
    ``in_service``, ``in_flight`` and ``thinking`` are levels at the end of a step. ``rejected_by``
    names who refused anything at all, ``queue_downstream`` and ``in_service_downstream`` the levels
    of each service behind the servers.
    """

    step_s: float
    t_s: tuple[float, ...]
    offered: tuple[float, ...]
    bots: tuple[float, ...]
    attempts: tuple[float, ...]
    admitted: tuple[float, ...]
    good: tuple[float, ...]
    rejected: tuple[float, ...]
    rejected_by: dict[str, tuple[float, ...]]
    timed_out: tuple[float, ...]
    queue: tuple[float, ...]
    in_service: tuple[float, ...]
    in_flight: tuple[float, ...]
    thinking: tuple[float, ...]
    servers: tuple[float, ...]
    latency_s_p50: tuple[float | None, ...]
    latency_s_p95: tuple[float | None, ...]
    latency_s_p99: tuple[float | None, ...]
    queue_downstream: dict[str, tuple[float, ...]] = Field(default={})
    in_service_downstream: dict[str, tuple[float, ...]] = Field(default={})


class ActInShort(Frozen):
    """What became of one run: a scenario on a fleet, with some protections.

    ``could_pay`` is the most visits that could have paid: all who want to, or as many as the
    servers of each second carry, or the stock. ``scalped`` is what bots bought; all was sold at
    ``sold_out_at_s``, null where something is left. ``outcome`` is ``held`` when goodput never fell
    behind. Times count from the start of the sale. ``lost_value`` is in US dollars, and no more
    than the stock that is left is worth; null where a visit has no value.
    """

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

    @property
    def label(self) -> str:
        """The name, and whether there were protections."""
        return act_label(self.name, self.protections)


class Act(ActInShort):
    """One run in full; ``capacity_rps`` is that of the fleet it began with."""

    capacity_rps: float
    classes: dict[str, ClassOutcome]
    downstream: dict[str, ServiceOutcome] = Field(default={})
    series: ActSeries


class Law(Frozen):
    """Something known in advance, and what the simulation found.

    ``agrees`` is null where the simulation says nothing about it; otherwise a null ``value`` or
    ``simulated`` stands for never.
    """

    name: str
    formula: str
    source: str
    value: float | None
    unit: str
    simulated: float | None
    agrees: bool | None


class Setting(Frozen):
    """The setting of a protection in these acts; ``why`` is the formula with its numbers."""

    protection: str
    name: str
    value: float
    unit: str
    why: str


class Difference(Frozen):
    """So many more visits paid, give or take ``error`` (half an interval of the confidence)."""

    paid: float
    error: float


class Worth(Frozen):
    """What one protection changes: ``alone`` against none, ``missing`` against the whole set.

    ``missing`` is null for one that is not in the set.
    """

    protection: str
    alone: Difference
    missing: Difference | None


class RankingRun(Frozen):
    """One set of protections: the mean over ``replications``, and the curves of the first one.

    ``offered`` and ``good`` are shoppers' requests per second, in steps of ``step_s``.
    """

    protections: tuple[str, ...]
    replications: int = 1
    paid: float
    could_pay: float
    outcome: Literal["held", "recovered", "never"]
    step_s: float
    offered: tuple[float, ...]
    good: tuple[float, ...]


class Ranking(Frozen):
    """What each protection is worth in an act, from ``from_s`` to ``to_s`` around its peak.

    All runs of a replication have the same random numbers. ``scale`` is the share of demand and
    fleet that was simulated; counts are those of the whole.
    """

    act: str
    from_s: float
    to_s: float
    servers: int
    scale: float
    replications: int
    confidence: float
    protections: tuple[Worth, ...]
    runs: tuple[RankingRun, ...]


class SecondsFile(Frozen):
    """The file beside this result with its acts second by second and class by class.

    ``sha256`` is the hash of what :mod:`capplan.results.seconds` reads from it.
    """

    file: str
    sha256: str


class Model(Frozen):
    """The server and the shoppers that were simulated; ``scale`` is the share of all that was.

    The demand is that of a ``percentile`` of the estimate.
    """

    slots: int
    service_s: float
    server_capacity_rps: float
    fleet_efficiency: float
    think_s: float
    requests_per_visit: float
    per_visit: dict[str, float]
    patience_s: float
    attempts: int
    surprise: float
    scale: float = 1.0
    percentile: float = 50.0


class Simulation(Result):
    """The acts side by side."""

    schema_: Literal["capplan.simulation/1"] = Field(default="capplan.simulation/1", alias="schema")
    sale_start: datetime
    model: Model
    acts: tuple[Act, ...]
    settings: tuple[Setting, ...]
    laws: tuple[Law, ...]
    protection_worth: Ranking | None = None
    seconds: SecondsFile | None = None
    interrupted: bool = False
