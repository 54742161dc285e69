"""Rates in visits and in orders: what people plan in, where a server answers requests."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal

from capplan.plan.schema import Visit
from capplan.results.base import Note
from capplan.results.capacity import Capacity, SustainedRate, VisitMix

NOT_REQUESTS = ("(not started)", "(task failed)")
"""Arrivals that stand in the mix of a load test without having made a request."""


def visit_mix(
    unit: Literal["task", "visit"],
    requests_per_arrival: float,
    mix: Mapping[str, float],
    planned: Visit,
) -> VisitMix:
    """Return what a visit is: measured where the load was made of visits, else as planned.

    A planned range counts with its median, the geometric mean of its ends, and with its ends.
    """
    low, high = planned.requests.low, planned.requests.high
    mid = math.sqrt(low * high)
    if unit == "visit":
        low = mid = high = requests_per_arrival
    made = sum(share for name, share in mix.items() if name not in NOT_REQUESTS)
    endpoint = planned.order_endpoint
    share = mix.get(endpoint, 0.0) / made if endpoint and made else None
    return VisitMix(
        requests_low=low,
        requests_mid=mid,
        requests_high=high,
        requests_from="measured" if unit == "visit" else "plan",
        order_endpoint=endpoint,
        orders_per_request=share or None,
    )


def visit_requests(capacity: Capacity | None) -> float | None:
    """Return how many requests a visit made in the load test; None where it made no visits."""
    if capacity is None or capacity.identity.unit != "visit":
        return None
    return capacity.requests_per_arrival or None


def in_visits(capacity: Capacity) -> Capacity:
    """State what is sustained in visits per second, and in orders per minute where they are known.

    The lower bound is divided by the most requests that a visit may make, the upper by the fewest.
    """
    each, known = capacity.visit_mix, capacity.sustained_rps
    if each is None:
        return capacity
    visits = _scaled(known, 1 / each.requests_high, 1 / each.requests_mid, 1 / each.requests_low)
    share = each.orders_per_request
    orders = None if share is None else _scaled(known, 60 * share, 60 * share, 60 * share)
    return capacity.model_copy(
        update={"sustained_visits_per_s": visits, "sustained_orders_per_min": orders}
    )


def orders_not_seen(each: VisitMix) -> tuple[Note, ...]:
    """Note that the script never placed an order, although the plan says which request does."""
    if each.order_endpoint is None or each.orders_per_request is not None:
        return ()
    return (
        Note(
            code="no_orders",
            message=f"the load test never made the request {each.order_endpoint!r}, which "
            "visit.order_endpoint calls an order",
            advice="see all names with: capplan loadtest --check",
        ),
    )


def _scaled(known: SustainedRate, low: float, mid: float, high: float) -> SustainedRate:
    return SustainedRate(
        low=None if known.low is None else known.low * low,
        mid=None if known.mid is None else known.mid * mid,
        high=None if known.high is None else known.high * high,
        confidence=known.confidence,
    )
