"""Put the page together: the answer first, then every result that exists.

The page asks nobody for anything: its content security policy forbids all but its own style and
script, which it names by their hashes.
"""

from __future__ import annotations

import base64
import hashlib
import json
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import jinja2
from markupsafe import Markup

from capplan.plan.schema import Plan
from capplan.render import breaking as breaking_text
from capplan.render import capacity as capacity_text
from capplan.render import demand as demand_text
from capplan.render import recommendation as advice_text
from capplan.render import schedule as schedule_text
from capplan.render import simulation as simulation_text
from capplan.render.contents import Contents
from capplan.render.html import figures, worth
from capplan.render.html.inside import inside
from capplan.render.html.svg import PHONE, WIDE, Size
from capplan.render.html.whatif import panel_data
from capplan.results.base import Note, Result
from capplan.results.breaking import BreakingPoints
from capplan.results.capacity import Capacity
from capplan.results.demand import Demand
from capplan.results.recommendation import Option, Recommendation
from capplan.results.simulation import AS_PLANNED, Act, Simulation
from capplan.results.sweep import Sweep
from capplan.units import (
    format_count,
    format_duration,
    format_money,
    format_number,
    format_rate,
    format_share,
)

_ENVIRONMENT = jinja2.Environment(
    loader=jinja2.PackageLoader("capplan.render", "html"), autoescape=True, trim_blocks=False
)
_STYLE = _ENVIRONMENT.loader.get_source(_ENVIRONMENT, "report.css")[0]  # type: ignore[union-attr] # set above
_SCRIPT = _ENVIRONMENT.loader.get_source(_ENVIRONMENT, "report.js")[0]  # type: ignore[union-attr] # set above
_MOST_BARS = 8


@dataclass(frozen=True)
class _Slider:
    name: str
    label: str
    detail: str
    low: float
    high: float
    step: float
    value: float
    kind: str


def page(found: Contents) -> str:
    """Return the report as one HTML document."""
    advice, demand, simulation = found.advice, found.demand, found.simulation
    accepted = found.plan.policy.overload_risk
    template = _ENVIRONMENT.get_template("report.html.j2")
    ranking = simulation and simulation.protection_worth
    ranked = worth.panel(ranking) if ranking else None
    data = panel_data(found.draws, found.fleets, found.plan, demand, advice)
    return template.render(
        policy=_policy(),
        style=Markup(_STYLE),
        script=Markup(_SCRIPT),
        data=_json(data),
        name=demand.plan.name if found.plan.sale.name is None else found.plan.sale.name,
        when=f"{demand.sale_start:%A, %d %B %Y, %H:%M (UTC%z)}",
        answer=advice_text.headline(advice) if advice else demand_text.headline(demand),
        demand_answer=demand_text.headline(demand),
        plainly=advice and advice_text.plainly(advice, _sla(found)),
        facts=list(_facts(found)),
        traffic=_drawn(lambda size: figures.traffic(demand, advice, size)),
        amounts=list(_amounts(demand)),
        estimates=_estimates(demand),
        history=demand_text.history(demand),
        history_rule=demand_text.history_rule(demand),
        levers=_levers(demand),
        counted=any(lever.servers is not None for lever in demand.levers),
        stress=[(case, format_rate(case.peak_rps)) for case in demand.stress],
        advice=advice,
        schedule_costs=schedule_text.costs(advice) if advice else "",
        alone=_alone(advice) if advice else [],
        worth_given=bool(advice and advice.options[0].marginal_value is not None),
        zones=bool(advice and advice.options[0].zone_loss_probability is not None),
        options=[_option(o, advice.resolution) for o in advice.options] if advice else [],
        cost_and_risk=advice and _drawn(lambda size: figures.cost_and_risk(advice, accepted, size)),
        draws=format_number(len(found.draws.gusts)),
        sliders=list(_sliders(found)),
        capacity=found.capacity,
        **_measured(found.capacity),
        sensitivity=[
            {"input": s.input, "share": s.share, "text": format_share(s.share), "advice": s.advice}
            for s in sorted(demand.sensitivity, key=lambda s: -s.share)[:_MOST_BARS]
        ],
        acts=_acts(simulation) if simulation else [],
        inside=inside(found.seconds, demand.sale_start),
        worth=ranked,
        worth_data=ranked and _json(ranked.data),
        breaking=found.breaking and _breaking(found.breaking),
        sweep=found.sweep and _sweep(found.sweep),
        simulation_answer=simulation and simulation_text.headline(simulation),
        checks=found.verdict.checks if found.verdict else (),
        verdict=found.verdict.verdict if found.verdict else "",
        missing=found.missing,
        all_notes=_notes(demand, advice, simulation, found.breaking, found.sweep),
        origins=[_origin(result) for result in _results(found)],
        version=demand.capplan_version,
        hashes=", ".join(f"{key} {value[:8]}" for key, value in demand.plan.sections.items()),
    )


def _drawn(draw: Callable[[Size], Markup]) -> Markup:
    """Return a picture twice: for a wide page, and for a phone. The style shows one of them."""
    wide, phone = draw(WIDE), draw(PHONE)
    if not wide:
        return Markup()
    return Markup('<div class="wide">{}</div><div class="phone">{}</div>').format(wide, phone)


def _measured(capacity: Capacity | None) -> dict[str, Any]:
    """Return what the page says of the measurement, and how it was made."""
    if capacity is None:
        return {"measured": None}
    made, found = capacity.identity, capacity.sustained_rps
    held = sum(trial.outcome != "invalid" for trial in capacity.trials)
    servers = "one server" if made.servers == 1 else f"{made.servers} servers"
    how = (
        f"Measured on {capacity.made_at:%Y-%m-%d} at {made.target} ({servers}) with "
        f"{made.locustfile}: {held} valid trials of {len(capacity.trials)}, "
        f"{format_duration(capacity.load_time_s)} of load in all, one arrival being a {made.unit}; "
        f"the interval should contain the truth {format_share(found.confidence)} of the time"
    )
    return {
        "measured": _drawn(lambda size: figures.measured(capacity, size)),
        "used": _drawn(lambda size: figures.used(capacity, size)),
        "limits": capacity_text.limits(capacity),
        "capacity_answer": capacity_text.headline(capacity, made.sla),
        "how_measured": how,
        "knee": figures.knee_of(capacity) is not None,
    }


def _amounts(demand: Demand) -> Iterator[tuple[str, ...]]:
    """Give the rows of how much comes: a name, then p5, p50 and p95."""
    for name, p, show in demand_text.amounts(demand):
        yield (name, show(p.p5), show(p.p50), show(p.p95))


def _estimates(demand: Demand) -> list[tuple[str, ...]]:
    if len(demand.estimates) < 2:
        return []
    return [
        (
            demand_text.named(estimate, demand.estimates),
            *(format_number(v) for v in (p.p5, p.p50, p.p95)),
            format_count(estimate.visits_total.p50),
        )
        for estimate in demand.estimates
        for p in [estimate.peak_rps]
    ]


def _levers(demand: Demand) -> list[dict[str, str]]:
    if len(demand.levers) < 2:
        return []
    return [
        {
            "name": lever.name,
            "p50": format_number(lever.peak_rps.p50),
            "p95": format_number(lever.peak_rps.p95),
            "servers": "-" if lever.servers is None else f"{lever.servers:,}",
            "how": lever.how,
        }
        for lever in demand.levers
    ]


def _policy() -> str:
    def of(text: str) -> str:
        digest = hashlib.sha256(text.encode()).digest()
        return f"'sha256-{base64.b64encode(digest).decode('ascii')}'"

    return (
        f"default-src 'none'; style-src {of(_STYLE)}; script-src {of(_SCRIPT)}; "
        "base-uri 'none'; form-action 'none'"
    )


def _json(data: dict[str, Any]) -> Markup:
    # inside a script element only the end of it, or of a comment, could end the text
    text = json.dumps(data, separators=(",", ":")).replace("<", "\\u003c")
    return Markup(text)


def _facts(found: Contents) -> Iterator[dict[str, str]]:
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


def _alone(advice: Recommendation) -> list[tuple[str, ...]]:
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


def _sla(found: Contents) -> str:
    return found.capacity.identity.sla if found.capacity else ""


def _lost(visits: float, value: float | None) -> str:
    lost = format_count(round(visits))
    return lost if value is None else f"{lost} ({format_money(value)})"


def _sliders(found: Contents) -> Iterator[_Slider]:
    reach = {c.channel: c for c in found.plan.audience}
    for index, channel in enumerate(found.draws.channels):
        known = reach.get(channel)
        said = ""
        if known:
            said = f"{format_count(known.reach.low)} to {format_count(known.reach.high)} reached"
            if known.reach.certain:
                said = f"{format_count(known.reach.low)} reached"
        yield _factor(f"channel{index}", f"visits from {channel}", said)
    if found.draws.multiple is not None:
        yield _factor("usual", "usual orders × multiple", "the second estimate")
    yield _factor("requests", "requests per visit", "the first page included")
    if found.advice is None or found.fleets is None:
        return
    servers, price = found.advice.servers, found.fleets.price_usd_per_h
    yield _Slider("servers", "servers", "", 1, len(found.fleets.rates_rps), 1, servers, "count")
    if price:
        yield _Slider("price", "price", "per server and hour", 0, 4 * price, price / 100, price,
                      "money")  # fmt: skip
    risk = round(math.log10(max(found.plan.policy.overload_risk, 1e-4)), 4)
    yield _Slider("risk", "accepted risk", "of an overload", -4, -0.3, 0.0001, risk, "risk")


def _factor(name: str, label: str, detail: str) -> _Slider:
    return _Slider(name, label, detail, -0.6, 0.6, 0.01, 0, "factor")


def _acts(simulation: Simulation) -> list[dict[str, Any]]:
    acts = simulation.acts
    top = max(max(act.series.good, default=0.0) for act in acts)
    top = max(top, *(act.capacity_rps for act in acts[:2]))
    times = [t for act in acts for t in (act.series.t_s[0], act.series.t_s[-1])]
    first, last = min(times), max(times)
    return [
        {
            "name": act.label,
            "picture": figures.act(act, simulation.sale_start, top, first, last),
            "line": simulation_text.caption(act),
            "protections": ", ".join(act.protections),
            "shown": _told(act),
        }
        for act in acts
    ]


def _breaking(result: BreakingPoints) -> dict[str, Any]:
    return {
        "answer": breaking_text.breaking_headline(result),
        "rows": breaking_text.rows(result),
        "interrupted": result.interrupted,
    }


def _sweep(result: Sweep) -> dict[str, Any]:
    return {
        "key": result.key,
        "answer": breaking_text.sweep_headline(result),
        "acts": breaking_text.swept_acts(result),
        "rows": breaking_text.swept_rows(result),
        "interrupted": result.interrupted,
    }


def _told(act: Act) -> bool:
    return act.name != AS_PLANNED


def _notes(*results: Result | None) -> list[Note]:
    found = [note for result in results if result for note in result.notes]
    return list({note.message: note for note in found}.values())


def _results(found: Contents) -> list[Result]:
    every = (
        found.demand, found.capacity, found.advice, found.simulation, found.breaking, found.sweep,
        found.verdict,
    )  # fmt: skip
    return [result for result in every if result is not None]


def _origin(result: Result) -> dict[str, Any]:
    facts = ", ".join(f"{name} {value}" for name, value in result.environment.items())
    return {
        "name": type(result).__name__.lower(),
        "made": f"{result.made_at:%Y-%m-%d %H:%M %Z}",
        "seed": result.seed,
        "by": f"capplan {result.capplan_version}; {facts}",
    }
