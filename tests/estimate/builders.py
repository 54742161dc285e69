"""Plans and their demand, in one line each."""

from datetime import UTC, datetime
from typing import Any

import numpy as np

from capplan.estimate import estimate
from capplan.plan.schema import Plan
from capplan.results.base import PlanRef, Provenance
from capplan.results.demand import Demand, Percentiles

SALE = {"start": "2026-11-27T12:00:00+01:00", "duration": "2 h"}
VISIT = {"requests": "40", "duration": "5 min"}
USUAL = {"orders_per_day": "300", "multiple": "10", "within": "2 h", "conversion": "2.5%"}
CERTAIN = {"channel": "ads", "reach": "720k", "visits": "1%", "arrive": "evenly"}

# design §5
WHOLE: dict[str, Any] = {
    "sale": SALE,
    "audience": [
        {"channel": "email", "reach": "400k", "visits": "1% to 3%", "arrive": "within 1 h"},
        {"channel": "push", "reach": "150k", "visits": "1% to 3.5%", "arrive": "within 10 min"},
        {"channel": "social", "reach": "1.2M", "visits": "0.05% to 0.4%", "arrive": "within 6 h"},
        {"channel": "ads", "reach": "5M", "visits": "0.4% to 1.2%", "arrive": "evenly"},
        {"channel": "waiting", "reach": "8k to 20k", "visits": "80% to 100%",
         "arrive": "at the start"},
    ],
    "usual": USUAL | {"multiple": "3 to 8", "conversion": "2% to 3%"},
    "overlap": "10% to 30%",
    "visit": {"requests": "20 to 60", "first_page": "5 to 15", "duration": "2 min to 6 min"},
}  # fmt: skip


def channel(**changes: str) -> dict[str, str]:
    return CERTAIN | changes


def plan(*channels: dict[str, str], **sections: Any) -> Plan:
    """A plan without gusts, unless it gives them: what is certain is then certain."""
    return Plan.model_validate(
        {"sale": SALE, "audience": list(channels), "visit": VISIT, "gusts": "0%"} | sections
    )


def demand_of(given_plan: Plan, draws: int = 500, seed: int = 1) -> Demand:
    made_at = datetime(2026, 11, 1, tzinfo=UTC)
    provenance = Provenance(
        plan=PlanRef(name="sale", sections={}), made_at=made_at, seed=seed, environment={}
    )
    return estimate(given_plan, provenance, draws)


def codes(demand: Demand) -> set[str]:
    return {note.code for note in demand.notes}


def six(p: Percentiles) -> list[float]:
    return [p.p5, p.p50, p.p90, p.p95, p.p99, p.mean]


def log_width(p: Percentiles) -> float:
    return float(np.log(p.p95 / p.p5))
