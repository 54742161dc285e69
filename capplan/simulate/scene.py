"""What all acts of a plan have in common: the shoppers, the server, the time."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from capplan.model.fitted import Fitted
from capplan.plan.saleday import BotGroup
from capplan.plan.schema import Plan
from capplan.results.base import Note
from capplan.results.basis import Basis, basis
from capplan.results.capacity import Capacity
from capplan.results.demand import Demand
from capplan.results.slots import fitted_server, service_time_measured
from capplan.simulate.behind import Service, services
from capplan.simulate.shoppers import (
    Step,
    paying_share,
    rates_at,
    requests_per_visit,
    steps,
    think_s,
    visits_per_s,
)

Floats = NDArray[np.float64]

MOST_SHARING = 10_000
"""Requests that share a server at most; further ones wait."""
_BOTS = "bots"


@dataclass(frozen=True)
class Scene:
    """The sale as it is simulated; ``begins_s`` is its first second, from the sale's start on.

    ``share`` is the part of demand and fleet that is simulated, see :mod:`capplan.simulate.scaled`.
    """

    plan: Plan
    basis: Basis
    steps: tuple[Step, ...]
    think_s: float
    server: Fitted
    begins_s: int
    visits_per_s: Floats
    notes: tuple[Note, ...]
    share: float = 1.0

    @property
    def seconds(self) -> int:
        """How long an act is."""
        return len(self.visits_per_s)

    @property
    def patience_s(self) -> float:
        """How long a client waits for an answer."""
        return self.plan.saleday.timeout or self.plan.service.timeout

    @property
    def per_visit(self) -> float:
        """Requests in a visit."""
        return requests_per_visit(self.steps)

    @property
    def paying(self) -> float:
        """The share of the visits that wants to pay."""
        return paying_share(self.steps)

    @property
    def stock(self) -> float:
        """How many visits can pay until all is sold; of the whole sale, like all counts."""
        return float(self.plan.saleday.stock or np.inf)

    @property
    def planned(self) -> int:
        """The fleet of the sale."""
        return self.plan.servers.planned or self.plan.servers.today

    @property
    def slots(self) -> int:
        """Requests that a server holds at once, at work or waiting for what is downstream."""
        saleday = self.plan.saleday
        return (saleday.workers or MOST_SHARING) if saleday.sharing else self.server.slots

    @cached_property
    def services(self) -> tuple[Service, ...]:
        """What the servers call."""
        return services(self.plan, self.steps, self.share)

    @property
    def behind_rps(self) -> float:
        """Requests per second that the services behind the servers finish; inf without any."""
        return min((one.capacity_rps for one in self.services), default=math.inf)

    @property
    def gateway_rps(self) -> float:
        """Requests per second that the gateway lets through when it refuses none."""
        limits = self.plan.saleday.limits
        return (limits.gateway_capacity or math.inf) * limits.gateway_nodes

    def sustained_rps(self, servers: int) -> float:
        """Return what a fleet sustains within the SLA, if all before and behind bears it."""
        whole = round(servers / self.share)
        fleet_rps = self.share * self.basis.middle_rps(whole)
        return min(fleet_rps, self.behind_rps, self.gateway_rps)

    def capacity_rps(self, servers: int) -> float:
        """Return what a fleet, and what is before and behind it, finishes when always busy."""
        fleet_rps = servers * self.server.capacity_rps * self.basis.efficiency(servers)
        return min(fleet_rps, self.behind_rps, self.gateway_rps)

    def held_s(self, servers: int) -> float:
        """Return how long a request holds its slot when nothing is queued.

        The measured service time has the calls downstream in it, unless they wait at no processor.
        """
        measured_s = self.server.service_s / self.basis.efficiency(servers)
        if not self.plan.saleday.sharing:
            return measured_s
        return measured_s + sum(one.mean_s for one in self.services)

    def bots(self) -> tuple[BotGroup, ...]:
        """Return the plan's bots; where it has none, as many requests as the fleet sustains."""
        if self.plan.saleday.bots:
            return self.plan.saleday.bots
        return (BotGroup(name=_BOTS, rate=self.sustained_rps(self.planned)),)

    def target(self, group: BotGroup) -> str:
        """Return the class that bots ask for: the first one, or the last one where they buy."""
        return group.target or self.steps[-1 if group.buys else 0].name


def scene(
    plan: Plan,
    demand: Demand,
    capacity: Capacity | None,
    visits: float | None = None,
    percentile: float = 50.0,
) -> Scene:
    """Join plan, demand and capacity; the demand is that of a ``percentile``.

    ``visits`` in all take the place of the estimate.

    Raises what :func:`capplan.results.basis.basis` raises.
    """
    known = basis(plan, demand, capacity)
    per_visit = demand.requests_per_visit.p50
    classes = steps(plan, capacity, per_visit)
    per_visit = requests_per_visit(classes)
    thinking_s = think_s(plan, per_visit)
    begun = visits_per_s(
        demand.profile, rates_at(demand.profile, percentile).tolist(), per_visit, thinking_s
    )
    if visits is not None:
        begun = begun * (visits / begun.sum())
    return Scene(
        plan=plan,
        basis=known,
        steps=classes,
        think_s=thinking_s,
        server=fitted_server(plan, known.fleet.server.mid, capacity),
        begins_s=int(np.floor(demand.profile.t_s[0])),
        visits_per_s=begun,
        notes=(*known.notes, *_service_time(capacity)),
    )


def _service_time(capacity: Capacity | None) -> tuple[Note, ...]:
    if service_time_measured(capacity):
        return ()
    return (
        Note(
            code="assumed_service_time",
            message="how long a request takes on an idle server was not measured: a tenth of "
            "the latency limit is assumed",
            advice="measure it with: capplan loadtest",
        ),
    )
