"""Which sections of the plan each result depends on; a result is stale when one of them changed."""

from __future__ import annotations

from typing import Literal

DEMAND = (
    "sale",
    "audience",
    "usual",
    "audience_correlation",
    "overlap",
    "visit",
    "gusts",
    "history",
    "policy.window",
)
CAPACITY = (
    "service.target",
    "service.locustfile",
    "service.arguments",
    "service.sla",
    "service.unit",
    "service.timeout",
    "service.endpoints",
    "service.max.cpu",
    "service.max.memory",
)
RECOMMENDATION = (*DEMAND, *CAPACITY, "servers", "policy")
SIMULATION = (*RECOMMENDATION, "saleday")
VERDICT = (*RECOMMENDATION, "gate")


def of_capacity(unit: Literal["task", "visit"]) -> tuple[str, ...]:
    """Return what a capacity depends on that is measured in a unit."""
    return (*CAPACITY, "visit.tasks") if unit == "visit" else CAPACITY
