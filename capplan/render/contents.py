"""What a report is made of, whatever it will look like."""

from __future__ import annotations

from dataclasses import dataclass

from capplan.plan.schema import Plan
from capplan.results.breaking import BreakingPoints
from capplan.results.capacity import Capacity
from capplan.results.demand import Demand
from capplan.results.recommendation import Recommendation
from capplan.results.seconds import ActSeconds
from capplan.results.simulation import Simulation
from capplan.results.sweep import Sweep
from capplan.results.verdict import Verdict
from capplan.results.whatif import FleetTable, WhatIf


@dataclass(frozen=True)
class Contents:
    """Everything a report may show; ``missing`` says what does not exist yet, and how to get it."""

    plan: Plan
    demand: Demand
    capacity: Capacity | None
    advice: Recommendation | None
    simulation: Simulation | None
    seconds: tuple[ActSeconds, ...]
    breaking: BreakingPoints | None
    sweep: Sweep | None
    verdict: Verdict | None
    draws: WhatIf
    fleets: FleetTable | None
    missing: tuple[str, ...]
