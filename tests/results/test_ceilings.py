"""A ceiling is judged by the very numbers that the estimate shows."""

from typing import Any

import pytest

from capplan.plan.schema import Plan
from capplan.results.basis import peaks
from capplan.results.ceilings import ceilings
from tests.estimate.builders import demand_of

# the two estimates differ: many visits for the orders of ordinary days, of which few buy
PLAN = {
    "sale": {"start": "2026-11-27T12:00:00+01:00", "duration": "1 h"},
    "audience": [
        {"channel": "email", "reach": "100k", "visits": "1% to 2%", "arrive": "within 1 h"},
        {"channel": "countdown", "reach": "5k", "visits": "60% to 90%", "arrive": "at the start"},
    ],
    "usual": {
        "orders_per_day": "200",
        "multiple": "3 to 6",
        "within": "1 h",
        "conversion": "1% to 5%",
    },
    "visit": {"requests": "15 to 30", "hot_share": "20% to 40%"},
}


def with_ceiling(rate_per_s: float, per: str) -> Plan:
    ceiling: dict[str, Any] = {"name": "lock", "rate": f"{rate_per_s:.9g}/s", "per": per}
    return Plan.model_validate(PLAN | {"servers": {"ceilings": [ceiling]}})


@pytest.mark.parametrize("per", ["request", "order", "hot order"])
def test_a_ceiling_at_a_percentile_that_is_shown_is_exceeded_as_often_as_it_says(per: str) -> None:
    found = demand_of(Plan.model_validate(PLAN), 20_000)
    orders, hot = found.peak_orders_per_min, found.peak_hot_orders_per_s
    assert orders is not None
    assert hot is not None
    shown, seconds = {"request": (found.peak_rps, 1), "order": (orders, 60), "hot order": (hot, 1)}[
        per
    ]
    for level, value in ((0.05, shown.p5), (0.5, shown.p50), (0.95, shown.p95), (0.99, shown.p99)):
        plan = with_ceiling(value / seconds, per)
        ((check,), notes) = ceilings(plan, found, peaks(found, None))
        assert notes == ()
        # two of the 4,000 quantiles that are kept
        assert check.exceed_probability == pytest.approx(1 - level, abs=2 / 4000)
