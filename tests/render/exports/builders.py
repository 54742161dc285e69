"""Orders whose steps, zone and trigger are chosen by hand."""

from datetime import datetime, timedelta
from typing import Any

from capplan.render.exports import Order
from capplan.results.recommendation import Autoscaling, Metric, Step

START = datetime.fromisoformat("2026-11-27T12:00:00+01:00")
MINUTES_AND_COUNTS = ((-25, 16), (-22, 27), (30, 14), (120, 6))


def step(minute: float, servers: int, start: datetime = START) -> Step:
    at = start + timedelta(minutes=minute)
    return Step(at=at, ready_at=at, servers=servers, fleet_rps=servers * 386.0, why="for a reason")


def trigger(metric: Metric = "requests", value: float = 270.2) -> Autoscaling:
    assert metric != "none"
    return Autoscaling(
        metric=metric,
        value=value,
        at_sustained=value / 0.7,
        headroom=0.3,
        requests_per_server_rps=270.2,
        least_servers=6,
        most_servers=80,
        alone=(),
    )


def order(start: datetime = START, **changes: Any) -> Order:
    fields: dict[str, Any] = {
        "group": "shop",
        "named": True,
        "sale": "Black Friday: 50% off!",
        "steps": tuple(step(minute, count, start) for minute, count in MINUTES_AND_COUNTS),
        "trigger": trigger(),
        "ready_s": 360.0,
        "made_at": start - timedelta(days=3),
        "prometheus": None,
    }
    return Order(**fields | changes)
