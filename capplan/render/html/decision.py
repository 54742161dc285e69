"""What the page says of the decision: the numbers below the answer, and the rows of its tables."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from capplan.plan.schema import Plan
from capplan.render import recommendation as advice_text
from capplan.render.contents import Contents
from capplan.results.recommendation import Option, Recommendation
from capplan.units import (
    format_count,
    format_duration,
    format_money,
    format_number,
    format_rate,
    format_share,
)


def facts(found: Contents) -> Iterator[dict[str, str]]:
    """Give the numbers below the answer: what to decide first, then what it rests on."""
    if found.advice:
        yield from _decision(found.advice, found.plan)
    peak, visits = found.demand.peak_rps, found.demand.visits_total
    orders = found.demand.peak_orders_per_min
    yield _fact(
        "peak, median",
        format_rate(peak.p50),
        f"{format_number(peak.p5)} to {format_rate(peak.p95)}",
    )
    if orders:
        yield _fact(
            "orders/min",
            format_number(orders.p50),
            f"{format_number(orders.p5)} to {format_number(orders.p95)}",
        )
    yield _fact(
        "visits in all", format_count(visits.p50),
        f"{format_count(visits.p5)} to {format_count(visits.p95)}",
    )  # fmt: skip
    if found.advice:
        low, high = found.advice.server_rps_low, found.advice.server_rps_high
        span = f"{format_number(low)} to {format_number(high)}"
        yield _fact("a server sustains", span, f"rps, {found.advice.capacity_source}")


def options(advice: Recommendation) -> list[dict[str, Any]]:
    """Return the rows of the fleets that were compared."""
    return [_option(option, advice.resolution) for option in advice.options]


def alone(advice: Recommendation) -> list[tuple[str, ...]]:
    """Return the rows of what autoscalers alone would lose; none where they keep up."""
    found = advice.autoscaling
    if found is None or not any(one.short_s for one in found.alone):
        return []
    return [
        (
            one.name,
            _lost(one.lost_visits, one.lost_value),
            format_duration(one.short_s) if one.short_s else "-",
            f"{one.most_servers:,}",
        )
        for one in found.alone
    ]


def _decision(advice: Recommendation, plan: Plan) -> Iterator[dict[str, str]]:
    chosen = advice.chosen
    same = advice.instance == advice.planned_instance
    of_today = f"{format_number(chosen.multiple)}x of today's" if same else "of another kind"
    yield _fact("servers", advice_text.fleet(chosen), of_today)
    risk = advice_text.shown_risk(chosen.overload_probability, advice.resolution)
    yield _fact("overload risk", risk, _accepted(plan))
    along = advice.schedule_cost
    by_schedule = f"{format_money(along)} by schedule" if along else "of the whole fleet"
    yield _fact("cost", format_money(chosen.cost), by_schedule)


def _accepted(plan: Plan) -> str:
    return f"accepted is {format_share(plan.policy.overload_risk)}"


def _fact(name: str, value: str, detail: str) -> dict[str, str]:
    return {"name": name, "value": value, "detail": detail}


def _option(option: Option, floor: float) -> dict[str, Any]:
    zone = option.zone_loss_probability
    return {
        "servers": advice_text.fleet(option),
        "cost": format_money(option.cost),
        "risk": advice_text.shown_risk(option.overload_probability, floor),
        "zone": "" if zone is None else advice_text.shown_risk(zone, floor),
        "over": format_duration(option.expected_overload_s),
        "lost": _lost(option.expected_lost_visits, option.expected_lost_value),
        "unshed": _lost(option.expected_lost_visits_unshed, option.expected_lost_value_unshed),
        "more": advice_text.marginal(option),
        "excuse": "chosen" if option.chosen and not option.excuse else option.excuse,
        "chosen": option.chosen,
    }


def _lost(visits: float, value: float | None) -> str:
    lost = format_count(round(visits))
    return lost if value is None else f"{lost} ({format_money(value)})"
