"""How much one server carries: the result of ``capplan loadtest``."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import Field

from capplan.plan.sla import Sla
from capplan.results.base import Frozen, Note, Result
from capplan.results.latency import LatencySummary as LatencySummary
from capplan.results.phases import Phases
from capplan.results.resources import Bottleneck, Resources, ResourceUse

CapacityVerdict = Literal["measured", "not_reached", "below_sla", "inconclusive"]
Outcome = Literal["pass", "fail", "invalid"]


class EndpointStats(Frozen):
    """What one endpoint did during a trial."""

    name: str
    requests: int
    failures: int
    timeouts: int
    latency_s: LatencySummary


class Criterion(Frozen):
    """One limit of the SLA and what a trial measured against it.

    ``endpoint`` is null for the whole mix. ``measured`` is null when it has no upper bound.
    ``exceedance`` is the share of requests that missed the limit, ``variance`` its squared
    standard error (batch means), ``allowed`` the share that may miss it. For ``cpu`` and ``memory``
    of the target, ``exceedance`` is the share in use and ``allowed`` how much may be; ``measured``
    is null when it was not seen.
    """

    endpoint: str | None
    name: str
    limit: float
    measured: float | None
    allowed: float
    exceedance: float
    variance: float
    held: bool

    @property
    def of_target(self) -> bool:
        """Whether it limits what the target uses, not how it answers."""
        return self.name in ("cpu", "memory")


class Health(Frozen):
    """Whether the generator did its part.

    ``tickets_due`` were drawn by the schedule, ``tickets_issued`` left it in time;
    ``lateness_s_p99`` counts arrivals for which a free user existed; ``starved`` found none because
    all users waited for the target. ``held_up`` is the share of the time in which no user could go
    on, because one of them, or the machine, gave no control back. ``generator_cpu`` is the share of
    a core that the busiest of the ``processes`` used, ``generator_cpus`` that of each;
    ``idle_cores`` is how many of the machine's cores had nothing to do on average (null: not
    known), ``cores`` how many the generator may use. ``most_users`` is the largest pool there could
    be. ``failed_starts`` counts users that ended in ``on_start``, the last of them for
    ``start_error``. ``unasked`` arrivals failed because the script raised before it sent anything.
    """

    tickets_due: int
    tickets_issued: int
    starved: int
    lateness_s_p99: float
    generator_cpu: float
    steal: float
    users: int
    held_up: float = 0.0
    processes: int = 1
    generator_cpus: tuple[float, ...] = ()
    cores: int = 1
    idle_cores: float | None = None
    most_users: int = 5000
    failed_starts: int = 0
    start_error: str | None = None
    unasked: int = 0


class VisitStats(Frozen):
    """Visits of a trial in unit ``visit``.

    ``issued`` began in it. ``counted`` of them began so early that their end could be seen, and
    ``ended`` did end; the requests and lengths (null: not ended) are of those that counted.
    ``offered_per_s`` is how many visits/s chance drew whose requests came in the time that counts.
    """

    issued: int
    counted: int
    ended: int
    offered_per_s: float | None
    requests_mean: float
    requests_sd: float
    length_s_mean: float | None
    length_s_p50: float | None
    length_s_p95: float | None
    length_s_p99: float | None


class Trial(Frozen):
    """One load held for one duration.

    ``rate_rps`` is what was asked, in requests/s of the mix; ``arrivals_per_s`` the same in
    arrivals of the unit (tasks or visits). ``achieved_rps`` and ``served_rps`` are what was sent
    and what was answered with success. ``duration_s`` was held, of which the first ``warmup_s`` do
    not count; ``planned_s`` is what would have counted had the trial not ended early.
    ``errors`` are the five most frequent failures. ``visits`` is null in unit ``task``.
    ``resources`` are what the target used in the time that counts, null where that was not seen.
    """

    purpose: Literal["probe", "bisect", "refine", "confirm"]
    rate_rps: float
    arrivals_per_s: float
    planned_s: float
    duration_s: float
    warmup_s: float
    achieved_rps: float
    served_rps: float
    requests: int
    successes: int
    failures: int
    timeouts: int
    latency_s: LatencySummary
    latency_actual_s: LatencySummary
    endpoints: tuple[EndpointStats, ...]
    criteria: tuple[Criterion, ...]
    requests_per_arrival: float
    requests_per_arrival_sd: float = 0.0
    ended_early: bool
    errors: dict[str, int]
    health: Health
    outcome: Outcome
    visits: VisitStats | None = None
    resources: ResourceUse | None = None
    notes: tuple[Note, ...] = ()


class Binding(Frozen):
    """The criterion that limits the sustained rate: the one that was missed most around it.

    ``endpoint`` is null for the whole mix. Of its requests the share ``exceedance`` missed the
    limit ``name`` in the trials from ``from_rps`` to ``to_rps`` (of the mix), ``allowed`` may. For
    ``cpu`` and ``memory`` of the target it is the share in use.
    """

    endpoint: str | None
    name: str
    limit: float
    allowed: float
    exceedance: float
    from_rps: float
    to_rps: float


class SustainedRate(Frozen):
    """An interval of the sustained rate; a bound that is not known is null.

    ``confidence`` (0 to 1) is the probability that the interval is meant to contain the truth.
    """

    low: float | None
    mid: float | None
    high: float | None
    confidence: float


class VisitMix(Frozen):
    """What a visit is: how many requests it makes, and which of them is an order.

    ``requests_from`` says whether visits were ``measured`` (unit ``visit``: all three are the
    mean) or are those of the ``plan`` (a 90 % range with its median). ``order_endpoint`` is the
    plan's, ``orders_per_request`` its share of the requests; null when it is not known.
    """

    requests_low: float
    requests_mid: float
    requests_high: float
    requests_from: Literal["measured", "plan"]
    order_endpoint: str | None = None
    orders_per_request: float | None = None


class Generator(Frozen):
    """What the load generator was at the end of the run.

    ``limit_rps`` is the lowest rate that it could not hold, null when there was none.
    """

    processes: int
    cores: int
    same_machine: bool
    limit_rps: float | None = None


class Identity(Frozen):
    """What makes two measurements comparable; a new run replaces the one with the same identity.

    ``locustfile_hash`` is that of the locustfiles and of the modules beside them that they import.
    """

    target: str
    locustfile: str
    locustfile_hash: str
    arguments: tuple[str, ...] = ()
    sla: str
    unit: Literal["task", "visit"]
    servers: int = 1


class ScalePoint(Frozen):
    """What ``servers`` servers behind one address sustained together, in requests/s.

    ``trials`` and ``phases`` are empty for the run that the capacity itself shows.
    """

    servers: int
    target: str
    verdict: CapacityVerdict
    reason: str
    sustained_rps: SustainedRate
    load_time_s: float
    made_at: datetime
    binding: Binding | None = None
    resources: Resources | None = None
    bottleneck: Bottleneck | None = None
    trials: tuple[Trial, ...] = ()
    phases: Phases = Phases()


class Span(Frozen):
    """An interval; a null end is unbounded: some of the fits have no such value, as no peak."""

    low: float | None
    high: float | None


class LawDraws(Frozen):
    """Equally likely laws: their parameters as columns of equal length."""

    alpha: tuple[float, ...]
    beta: tuple[float, ...]
    gamma: tuple[float, ...]


class ScalingLaw(Frozen):
    """The Universal Scalability Law through the points: X(N) = γN/(1 + α(N-1) + βN(N-1)).

    ``alpha``, ``beta`` and ``gamma`` (requests/s) are the fit through the middles, ``intervals``
    their doubt and the peak's, by resampling the points' intervals. The peak is null where the fit
    has none. ``identified``: the law may be used beyond ``measured_to`` servers;
    ``identified_share`` is the share of the resampled fits for which it is. ``draws`` are these
    fits, rising in what ``measured_to`` servers sustain.
    """

    alpha: float
    beta: float
    gamma: float
    peak_servers: float | None
    peak_throughput: float | None
    identified: bool
    identified_share: float
    measured_to: int
    confidence: float
    intervals: dict[Literal["alpha", "beta", "gamma", "peak_servers", "peak_throughput"], Span]
    draws: LawDraws


class Scaling(Frozen):
    """What several servers sustained, by their number; the law from three measured points on."""

    points: tuple[ScalePoint, ...]
    law: ScalingLaw | None


class Capacity(Result):
    """The sustained rate of one server, and every trial behind it.

    ``identity.servers`` says how many servers the trials loaded. When it is not 1, one server alone
    was never measured, and ``sustained_rps`` is derived, as a note says.

    ``predicted_s`` is the load time that was expected before the load began. ``load_time_s`` and
    ``requests_made`` are those of all trials, over all runs that a search took.
    ``requests_per_arrival`` is that of the unit; ``sustained_visits_per_s`` and
    ``sustained_orders_per_min`` restate ``sustained_rps`` by ``visit_mix``.
    ``resources`` are what the target used, null where nothing of it was seen, and ``bottleneck``
    what stopped it.
    """

    schema_: Literal["capplan.capacity/1"] = Field(default="capplan.capacity/1", alias="schema")
    verdict: CapacityVerdict
    reason: str
    identity: Identity
    sla: Sla
    sustained_rps: SustainedRate
    sustained_visits_per_s: SustainedRate | None = None
    sustained_orders_per_min: SustainedRate | None = None
    visit_mix: VisitMix | None = None
    max_rate_rps: float | None
    trials: tuple[Trial, ...]
    load_time_s: float
    requests_made: int = 0
    requests_per_arrival: float | None
    mix: dict[str, float]
    binding: Binding | None = None
    resources: Resources | None = None
    bottleneck: Bottleneck | None = None
    interrupted: bool = False
    generator: Generator | None = None
    scaling: Scaling | None = None
    phases: Phases = Phases()
    predicted_s: float | None = None
