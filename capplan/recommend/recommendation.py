"""The recommendation: the smallest fleet that meets the policy, among its alternatives."""

from __future__ import annotations

from capplan.plan.schema import Plan
from capplan.recommend.options import Decider, counts
from capplan.recommend.schedule import LEAD_S, schedule, window
from capplan.results.base import Note, Provenance
from capplan.results.basis import Basis, basis, ceilings
from capplan.results.capacity import Capacity
from capplan.results.demand import Demand
from capplan.results.recommendation import CeilingCheck, Recommendation
from capplan.units import format_duration, format_money, format_rate, format_share


def recommend(
    plan: Plan,
    demand: Demand,
    capacity: Capacity | None,
    provenance: Provenance,
    asked: int | None = None,
) -> Recommendation:
    """Recommend how many servers to start.

    The smallest count N with P(peak > fleet of N) within ``policy.overload_risk`` and, with the
    fullest zone lost, within ``policy.zone_loss_risk``. When quota, budget or a ceiling forbid it,
    the best reachable count is returned with ``feasible`` false. ``asked`` is a count whose meaning
    is explained too. Raises what ``capplan.results.basis.basis`` raises.
    """
    found = basis(plan, demand, capacity)
    times = window(plan, demand, found)
    decider = Decider(plan, demand, found, times.hours)
    checks, ceiling_notes = ceilings(plan, demand, found.peaks_rps)
    wanted = decider.smallest()
    chosen = decider.reachable(wanted)
    feasible = not decider.complaint(chosen) and not any(check.binds for check in checks)
    server = found.fleet.server
    return Recommendation(
        **dict(provenance),
        servers=chosen,
        feasible=feasible,
        asked=asked,
        options=tuple(decider.option(count, chosen) for count in counts(plan, chosen, asked)),
        schedule=schedule(plan, chosen, times),
        ceilings=checks,
        capacity_source=found.source,
        server_rps_low=server.low,
        server_rps_high=server.high,
        peak_rps_p50=demand.peak_rps.p50,
        peak_rps_p95=demand.peak_rps.p95,
        reasons=_reasons(decider, chosen, wanted, asked, checks),
        notes=(*found.notes, *ceiling_notes, *_notes(plan, provenance, found)),
    )


def _reasons(
    decider: Decider,
    chosen: int,
    wanted: int,
    asked: int | None,
    checks: tuple[CeilingCheck, ...],
) -> tuple[str, ...]:
    plan, found = decider.plan, decider.basis
    server = found.fleet.server
    reasons = [
        f"one server {'was measured' if found.source == 'measured' else 'is assumed'} to sustain "
        f"{format_rate(server.low)} to {format_rate(server.high)}; the error is shared by all "
        f"servers and does not average out",
        f"the risk counts every peak of {format_duration(plan.policy.window)} or longer that "
        f"exceeds what the fleet sustains within the SLA",
    ]
    if wanted != chosen:
        reasons.append(
            f"the policy needs {wanted} servers, which is {decider.beyond_reach(wanted)}"
        )
    reasons += [
        f"the {check.name} holds {format_rate(check.ceiling_rps)}, which the peak exceeds with "
        f"{format_share(check.exceed_probability)}: no number of servers helps"
        for check in checks
        if check.binds
    ]
    if chosen <= plan.servers.today:
        reasons.append(f"today's {plan.servers.today} servers are enough")
    reasons.append(
        f"the cost is that of the whole fleet for {decider.hours:.3g} h: the sale with boot, "
        f"warm-up and {format_duration(LEAD_S)} to spare"
    )
    if asked is not None:
        reasons.append(_about(decider, asked))
    return tuple(reasons)


def _about(decider: Decider, asked: int) -> str:
    option = decider.option(asked, asked)
    complaint = decider.complaint(asked)
    judged = f"does not meet the policy: {complaint}" if complaint else "meets the policy"
    zone = option.zone_loss_probability
    zone_text = "" if zone is None else f", {format_share(zone)} with a zone lost"
    return (
        f"{asked} servers carry {format_rate(option.fleet_rps)} (median) for "
        f"{format_money(option.cost)}: overload {format_share(option.overload_probability)}"
        f"{zone_text}; this {judged}"
    )


def _notes(plan: Plan, provenance: Provenance, found: Basis) -> list[Note]:
    notes = []
    if plan.servers.price == 0:
        notes.append(
            Note(
                code="no_price",
                message="no price is known, so every option seems to cost nothing",
                advice="add servers.price, such as $0.17/h",
            )
        )
    if plan.sale.start < provenance.made_at:
        notes.append(
            Note(code="past", message=f"the sale started in the past, on {plan.sale.start:%F}")
        )
    if plan.servers.zones == 1:
        notes.append(
            Note(
                code="one_zone",
                message="with a single zone its loss takes every server: that risk is not counted",
                advice="spread the servers and set servers.zones",
            )
        )
    return notes
