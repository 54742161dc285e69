"""Rates in visits and orders, against numbers worked out by hand."""

import pytest

from capplan.plan.schema import Visit
from capplan.results.capacity import Capacity, SustainedRate, VisitMix
from capplan.results.visits import in_visits, orders_not_seen, visit_mix
from tests.results.test_scaling import run

MIX = {"GET /": 0.48, "GET /cart": 0.24, "POST /checkout": 0.08, "(not started)": 0.2}


def visit(**keys: str) -> Visit:
    return Visit.model_validate({"requests": "10 to 40", **keys})


def capacity(each: VisitMix | None, low: float | None, high: float | None) -> Capacity:
    mid = None if low is None or high is None else (low + high) / 2
    known = SustainedRate(low=low, mid=mid, high=high, confidence=0.95)
    return run(1, 100.0).model_copy(update={"sustained_rps": known, "visit_mix": each})


def test_in_unit_task_the_plan_says_what_a_visit_is():
    each = visit_mix("task", 1.7, MIX, visit())
    assert each.requests_from == "plan"
    # the median of a lognormal range is the geometric mean of its ends
    assert (each.requests_low, each.requests_mid, each.requests_high) == (10.0, 20.0, 40.0)
    stated = in_visits(capacity(each, 180.0, 220.0))
    assert stated.sustained_visits_per_s == SustainedRate(
        low=180 / 40, mid=200 / 20, high=220 / 10, confidence=0.95
    )
    assert stated.sustained_orders_per_min is None


def test_in_unit_visit_the_load_test_says_what_a_visit_is():
    each = visit_mix("visit", 8.0, MIX, visit())
    assert (each.requests_from, each.requests_mid) == ("measured", 8.0)
    stated = in_visits(capacity(each, 160.0, 240.0))
    assert stated.sustained_visits_per_s == SustainedRate(
        low=20.0, mid=25.0, high=30.0, confidence=0.95
    )


def test_orders_are_a_share_of_the_requests_that_were_made():
    each = visit_mix("visit", 8.0, MIX, visit(order_endpoint="POST /checkout"))
    assert each.orders_per_request == pytest.approx(0.1)  # 8 of 80, without those never made
    orders = in_visits(capacity(each, 160.0, 240.0)).sustained_orders_per_min
    assert orders is not None
    assert orders.low == pytest.approx(60 * 16.0)
    assert orders.high == pytest.approx(60 * 24.0)
    assert orders_not_seen(each) == ()


def test_a_bound_that_is_not_known_stays_unknown():
    each = visit_mix("visit", 8.0, MIX, visit(order_endpoint="POST /checkout"))
    stated = in_visits(capacity(each, 160.0, None))
    for rate in (stated.sustained_visits_per_s, stated.sustained_orders_per_min):
        assert rate is not None
        assert rate.low is not None
        assert (rate.mid, rate.high) == (None, None)


def test_an_order_that_the_script_never_places_is_noted():
    each = visit_mix("visit", 8.0, MIX, visit(order_endpoint="POST /order"))
    assert each.orders_per_request is None
    (note,) = orders_not_seen(each)
    assert note.code == "no_orders"
    assert "'POST /order'" in note.message
    assert in_visits(capacity(each, 1.0, 2.0)).sustained_orders_per_min is None


def test_a_capacity_from_before_stays_as_it_is():
    old = capacity(None, 100.0, 120.0)
    assert in_visits(old) is old
