"""What a decision stands on: the server's rate, the fleet and the ceilings.

Every room that decides (recommend, gate) reads the plan, the demand and the capacity in this one
way, so that they cannot differ.
"""

from __future__ import annotations

from dataclasses import dataclass
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
from capplan.plan.schema import Ceiling, Plan
from capplan.results.base import Note
from capplan.results.capacity import Capacity
from capplan.results.demand import Demand
from capplan.results.recommendation import CeilingCheck
from capplan.units import format_rate

_CONTRADICTION = 1.5


@dataclass(frozen=True)
class Basis:
    """The fleet model and the possible peaks (sorted, equally likely, requests/s)."""

    plan: Plan
    fleet: FleetModel
    peaks_rps: NDArray[np.float64]
    source: Literal["measured", "assumed"]
    notes: tuple[Note, ...]

    def overload(self, servers: int) -> float:
        """Return P(peak > fleet) for a count of servers; certain for none."""
        if servers < 1:
            return 1.0
        return overload_probability(self.peaks_rps, self.fleet.rates(servers))

    def zone_loss(self, servers: int) -> float | None:
        """Return the overload probability with the fullest zone lost, None for a single zone."""
        zones = self.plan.servers.zones
        return None if zones == 1 else self.overload(left_after_zone_loss(servers, zones))


def basis(plan: Plan, demand: Demand, capacity: Capacity | None) -> Basis:
    """Join plan, demand and capacity.

    Raises ``UsageError`` when no capacity is known at all, ``NotMet`` when one server misses the
    SLA at any load, ``Inconclusive`` when the measurement knows no lower bound.
    """
    server, notes = _server(plan, capacity)
    fleet = FleetModel(
        server, plan.servers.relative_speed, plan.servers.imbalance, plan.servers.scaling_loss
    )
    if plan.servers.scaling_loss.high > 0:
        notes.append(
            Note(
                code="assumed_scaling",
                message="how a fleet scales was not measured: servers.scaling_loss stands in",
            )
        )
    notes += _contradiction(plan, server)
    source: Literal["measured", "assumed"] = "assumed" if capacity is None else "measured"
    return Basis(plan, fleet, np.asarray(demand.peak_quantiles_rps), source, tuple(notes))


def ceilings(
    plan: Plan, demand: Demand, peaks_rps: NDArray[np.float64]
) -> tuple[tuple[CeilingCheck, ...], tuple[Note, ...]]:
    """Check what does not scale with servers, in requests/s of the mix."""
    checks, notes = [], []
    for ceiling in plan.servers.ceilings:
        limit_rps = _in_requests(ceiling, plan, demand)
        if limit_rps is None:
            notes.append(
                Note(
                    code="ceiling_unchecked",
                    message=f"the ceiling {ceiling.name} counts orders, and no conversion is known",
                    advice="give usual.conversion",
                )
            )
            continue
        probability = overload_probability(peaks_rps, np.array([limit_rps]))
        checks.append(
            CeilingCheck(
                name=ceiling.name,
                ceiling_rps=limit_rps,
                exceed_probability=probability,
                binds=probability > plan.policy.overload_risk,
            )
        )
    return tuple(checks), tuple(notes)


def _in_requests(ceiling: Ceiling, plan: Plan, demand: Demand) -> float | None:
    if ceiling.per == "request":
        return ceiling.rate
    per_visit = demand.requests_per_visit.p50
    if ceiling.per == "visit":
        return ceiling.rate * per_visit
    if plan.usual is None:
        return None
    return ceiling.rate * per_visit / plan.usual.conversion.mid


def _server(plan: Plan, capacity: Capacity | None) -> tuple[ServerRate, list[Note]]:
    if capacity is None:
        assumed = plan.servers.capacity
        if assumed is None:
            raise UsageError(
                "it is not known what one server sustains",
                "measure it with capplan loadtest, or assume it with servers.capacity",
            )
        mid = float(np.sqrt(assumed.low * assumed.high))
        note = Note(
            code="assumed_capacity",
            message="what one server sustains is assumed, not measured",
            advice="measure it with: capplan loadtest",
        )
        return ServerRate(assumed.low, mid, assumed.high, 0.9), [note]
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
    if known.mid is None or known.high is None:
        note = Note(
            code="lower_bound_only",
            message=f"one server sustains at least {format_rate(known.low)}; how much more is not "
            f"known, so more servers are counted than may be needed",
            advice="load it higher: capplan loadtest --max-rate",
        )
        return ServerRate(known.low, known.low, known.low, 0.9), [note]
    return ServerRate(known.low, known.mid, known.high, known.confidence), []


def _contradiction(plan: Plan, server: ServerRate) -> list[Note]:
    """Compare with what is seen today: a CPU share at a rate bounds what a server can carry."""
    seen = plan.usual.peak if plan.usual else None
    if seen is None or seen.cpu == 0:
        return []
    implied = seen.rate / seen.servers / seen.cpu
    if server.low > implied * _CONTRADICTION or server.high < implied / _CONTRADICTION:
        return [
            Note(
                code="contradicts_today",
                message=f"today's peak implies at most about {format_rate(implied)} per server, "
                f"the capacity says {format_rate(server.mid)}",
                advice="check usual.peak, and whether the load test calls what real visitors call",
            )
        ]
    return []
