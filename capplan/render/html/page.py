"""Put the page together: the answer first, then every result that exists.

The page asks nobody for anything: its content security policy forbids all but its own style and
script, which it names by their hashes.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Iterator
from typing import Any

import jinja2
from markupsafe import Markup

from capplan.render import breaking as breaking_text
from capplan.render import capacity as capacity_text
from capplan.render import demand as demand_text
from capplan.render import recommendation as advice_text
from capplan.render import schedule as schedule_text
from capplan.render import simulation as simulation_text
from capplan.render.contents import Contents
from capplan.render.html import decision, figures, worth
from capplan.render.html.inside import inside
from capplan.render.html.svg import PHONE, WIDE, Size
from capplan.render.html.whatif import panel_data, sliders
from capplan.results.base import Note, Result
from capplan.results.breaking import BreakingPoints
from capplan.results.capacity import Capacity
from capplan.results.demand import Demand
from capplan.results.simulation import AS_PLANNED, Act, Simulation
from capplan.results.sweep import Sweep
from capplan.units import (
    format_count,
    format_duration,
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
        facts=list(decision.facts(found)),
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
        alone=decision.alone(advice) if advice else [],
        worth_given=bool(advice and advice.options[0].marginal_value is not None),
        zones=bool(advice and advice.options[0].zone_loss_probability is not None),
        options=decision.options(advice) if advice else [],
        cost_and_risk=advice and _drawn(lambda size: figures.cost_and_risk(advice, accepted, size)),
        draws=format_number(len(found.draws.gusts)),
        sliders=list(sliders(found)),
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


def _sla(found: Contents) -> str:
    return found.capacity.identity.sla if found.capacity else ""


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
