"""What a decision stands on: the server's rate, the fleet, the window and the ceilings.

Every room that decides (recommend, gate) reads the plan, the demand and the capacity in this one
way, so that they cannot differ.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from capplan.errors import Inconclusive, NotMet, UsageError
from capplan.model.overload import (
    FleetModel,
    ServerRate,
    left_after_zone_loss,
    overload_probability,
)
from capplan.model.uncertainty import product
from capplan.plan.schema import Alternative, Plan, Servers
from capplan.results.base import Note
from capplan.results.capacity import Capacity, ScalingLaw
from capplan.results.demand import Demand
from capplan.results.remarks import remarks
from capplan.results.scaling import laws
from capplan.results.visits import visit_requests
from capplan.results.window import Window, window
from capplan.units import Range, format_rate, format_share

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Peaks:
    """The possible peaks: sorted, equally likely, requests/s of the mix that was measured.

    ``resolution`` is the smallest probability that the draws behind them can tell from none.
    ``per_visit`` is how many requests of this mix a visit makes, ``in_visits`` whether the load
    test measured that: then peak and fleet are compared in visits/s, and what the plan says of the
    requests of a visit does not matter.
    """

    values_rps: Floats
    resolution: float
    per_visit: float
    in_visits: bool = False

    def quantile(self, share: float) -> float:
        """Return the peak that is not exceeded with this probability."""
        return float(np.quantile(self.values_rps, share, method="hazen"))

    def exceed(self, limits_rps: Floats) -> float:
        """Return P(peak > limit), at least the resolution; the limits are equally likely."""
        return max(overload_probability(self.values_rps, limits_rps), self.resolution)

    def show(self, probability: float, accepted: float) -> str:
        """Write a probability: one at the resolution as an upper bound.

        One that is rounded to the ``accepted`` and yet above it is said to be so.
        """
        shown = format_share(probability)
        if probability <= self.resolution and not shown.startswith("<"):
            return f"<{shown}"
        too_high = probability > accepted and shown == format_share(accepted)
        return f"just above {shown}" if too_high else shown


@dataclass(frozen=True)
class Basis:
    """The fleet, the window for which it is paid, and the possible peaks.

    ``law`` is the scaling law where one was measured; then it stands in for the scaling loss.
    ``firm`` is false when the measurement knows less than an interval (``not_reached``,
    ``inconclusive``): a risk that is too high then speaks against the measurement, not the fleet.
    ``kind`` is what the servers are called, None where the plan does not say.
    """

    plan: Plan
    peaks: Peaks
    fleet: FleetModel
    window: Window
    source: Literal["measured", "assumed"]
    firm: bool
    notes: tuple[Note, ...]
    law: ScalingLaw | None = None
    kind: str | None = None
    _middles_rps: dict[int, float] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    @property
    def most(self) -> int | None:
        """The largest count that can be judged by what is known of scaling; None without a bound.

        A measured law is not extrapolated beyond what identifies it, unless the plan itself says
        what is lost from there on, nor past the peak.
        """
        known = self.fleet.laws
        if known is None or not np.isfinite(known.reach):
            return None
        if known.peak_servers is None and self.fleet.vouched:
            return None
        return int(known.reach)

    def beyond(self, servers: int) -> str:
        """Say why a count is beyond what is known of scaling; empty when it is not."""
        if self.most is None or servers <= self.most or self.law is None:
            return ""
        if self.law.identified:
            return f"past the peak of the scaling law at {self.most:,}: more servers carry less"
        return f"beyond the {self.most:,} servers measured, where the scaling law is not identified"

    def overload(self, servers: int) -> float:
        """Return P(peak > fleet) for a count of servers; certain for none."""
        return self.peaks.exceed(self.fleet.rates(servers)) if servers else 1.0

    def zone_loss(self, servers: int) -> float | None:
        """Return the overload probability with the fullest zone lost, None for a single zone."""
        zones = self.plan.servers.zones
        return None if zones == 1 else self.overload(left_after_zone_loss(servers, zones))

    def middle_rps(self, servers: int) -> float:
        """Return what a fleet sustains in the middle case."""
        if servers not in self._middles_rps:  # a simulation asks again and again
            self._middles_rps[servers] = float(np.median(self.fleet.rates(servers)))
        return self._middles_rps[servers]

    def efficiency(self, servers: int) -> float:
        """Return what a fleet sustains, as a share of what so many measured servers would alone."""
        return self.middle_rps(servers) / (servers * self.fleet.server.mid)

    def of(self, kind: str | None) -> Basis:
        """Return what a decision for the kind of that name stands on: the plan's, or another."""
        others = {other.label: other for other in self.plan.servers.alternatives}
        return self.on(others[kind]) if kind in others else self

    def on(self, other: Alternative) -> Basis:
        """Return what a decision for a fleet of another kind of server stands on."""
        servers = self.plan.servers
        speed = product(servers.relative_speed, relative_speed(servers, other))
        changed = servers.model_copy(
            update={"instance": other.instance, "price": other.price, "relative_speed": speed}
        )
        return replace(
            self,
            plan=self.plan.model_copy(update={"servers": changed}),
            fleet=replace(self.fleet, speed=speed),
            kind=other.label,
        )

    def cost_usd(self, servers: int) -> float:
        """Return what the whole fleet costs over the window."""
        return self.window.cost_usd(servers, self.plan.servers.usd_per_h)


def relative_speed(servers: Servers, other: Alternative) -> Range:
    """Return how fast another kind of server is against the plan's: given, or by their vCPUs."""
    if other.relative_speed is None and servers.instance and other.instance:
        return servers.instance.assumed_speed(other.instance)
    return other.relative_speed or Range(1.0, 1.0)


def peaks(demand: Demand, capacity: Capacity | None) -> Peaks:
    """Read the peaks of a demand, at the mix of the load test where that says what a visit is.

    Raises ``UsageError`` for a demand that was edited until nothing can be decided on it.
    """
    profile = demand.profile
    columns = {len(profile.t_s), len(profile.rps_p50), len(profile.rps_p95)}
    known = len(demand.peak_quantiles_rps) and demand.draws > 0
    complete = len(columns) == 1 and 0 not in columns and known
    if not complete or demand.requests_per_visit.p50 <= 0:
        raise UsageError(
            "the demand has no peaks, no profile or no requests per visit",
            "make it anew with: capplan estimate",
        )
    measured = visit_requests(capacity)
    in_visits = measured is not None and len(demand.peak_quantiles_visits_per_s) > 0
    per_visit = measured if in_visits and measured else demand.requests_per_visit.p50
    values = np.asarray(demand.peak_quantiles_rps)
    if in_visits:
        values = np.asarray(demand.peak_quantiles_visits_per_s) * per_visit
    return Peaks(np.sort(values), 0.5 / min(len(values), demand.draws), per_visit, in_visits)


def basis(plan: Plan, demand: Demand, capacity: Capacity | None) -> Basis:
    """Join plan, demand and capacity.

    Raises ``UsageError`` when no capacity is known at all or a result makes no sense, ``NotMet``
    when one server misses the SLA at any load, ``Inconclusive`` when the measurement knows no lower
    bound.
    """
    server, notes = _server(plan, capacity)
    servers, possible = plan.servers, peaks(demand, capacity)
    law = capacity.scaling.law if capacity and capacity.scaling else None
    fleet = FleetModel(
        server,
        servers.relative_speed,
        servers.imbalance,
        servers.scaling_loss,
        laws=laws(law) if law else None,
        vouched="scaling_loss" in servers.model_fields_set,
    )
    # the profile is in requests/s of the plan's visits
    of_the_plan = demand.requests_per_visit.p50 / possible.per_visit
    carried_rps = float(np.quantile(fleet.rates(servers.today), 0.05)) * of_the_plan
    return Basis(
        plan=plan,
        peaks=possible,
        fleet=fleet,
        window=window(plan, demand, carried_rps),
        source="assumed" if capacity is None else "measured",
        firm=capacity is None or capacity.verdict == "measured",
        notes=(*notes, *remarks(plan, server, possible.resolution, capacity)),
        law=law,
        kind=servers.instance.name if servers.instance else None,
    )


def _server(plan: Plan, capacity: Capacity | None) -> tuple[ServerRate, list[Note]]:
    if capacity is None:
        return _assumed(plan.servers.capacity)
    known = capacity.sustained_rps
    if capacity.verdict == "below_sla":
        raise NotMet(
            f"one server misses the SLA at any load: {capacity.reason}",
            "no number of servers helps; make the service faster, or loosen service.sla",
        )
    if known.low is None:
        raise Inconclusive(
            f"the load test found no rate that one server sustains: {capacity.reason}",
            "look at the notes of the load test and run it again",
        )
    rising = [rate for rate in (0.0, known.low, known.mid, known.high) if rate is not None]
    if rising != sorted(rising) or known.low == 0 or not 0 < known.confidence < 1:
        raise UsageError(
            f"the measured capacity makes no sense: {known!r}",
            "measure again with: capplan loadtest",
        )
    if capacity.verdict == "measured" and known.mid is not None and known.high is not None:
        return ServerRate(known.low, known.mid, known.high, known.confidence), []
    return ServerRate(known.low, known.low, known.low, 0.9), [_lower_bound(capacity, known.low)]


def _assumed(assumed: Range | None) -> tuple[ServerRate, list[Note]]:
    if assumed is None:
        raise UsageError(
            "it is not known what one server sustains",
            "measure it with capplan loadtest, or assume it with servers.capacity",
        )
    note = Note(
        code="assumed_capacity",
        message="what one server sustains is assumed, not measured",
        advice="measure it with: capplan loadtest",
    )
    mid = float(np.sqrt(assumed.low * assumed.high))
    return ServerRate(assumed.low, mid, assumed.high, 0.9), [note]


def _lower_bound(capacity: Capacity, low_rps: float) -> Note:
    if capacity.verdict == "inconclusive":
        code, why = "inconclusive_capacity", f"the load test was inconclusive: {capacity.reason}"
        advice = "run it again: capplan loadtest"
    else:
        code, why = "lower_bound_only", "the load test did not reach the limit of one server"
        advice = "load it higher: capplan loadtest --max-rate"
    return Note(
        code=code,
        message=f"{why}; {format_rate(low_rps)} per server are counted, which may be too few",
        advice=advice,
    )
