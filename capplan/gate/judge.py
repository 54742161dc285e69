"""The gate: judges ``servers.planned`` from demand and capacity.

Not from the recommendation, which was made from the same plan and would only agree with itself.
"""

from __future__ import annotations

from collections.abc import Sequence

from capplan.errors import Inconclusive, NotMet, UsageError
from capplan.gate.drop import Change, as_changed, drop_check
from capplan.model.overload import left_after_zone_loss
from capplan.plan.schema import Plan
from capplan.results.base import Note, Provenance
from capplan.results.basis import Basis, Peaks, basis, peaks
from capplan.results.capacity import Capacity
from capplan.results.ceilings import ceilings
from capplan.results.demand import Demand
from capplan.results.scaling import described
from capplan.results.verdict import Check, Judgement, Verdict
from capplan.units import format_money, format_number, format_rate, format_share

_SEVERITY: tuple[Judgement, ...] = ("fail", "inconclusive", "pass")


def judge(
    plan: Plan,
    demand: Demand,
    capacity: Capacity | None,
    provenance: Provenance,
    changes: Sequence[Change] = (),
) -> Verdict:
    """Judge the planned fleet, and what changed since; the worst check is the verdict.

    A paired change also multiplies what the fleet sustains.

    A risk above the accepted one fails only when the capacity is known as an interval, or assumed.
    Where the load test knows just a lower bound, or nothing is known at all, it is inconclusive.
    Raises ``UsageError`` when the plan names no ``servers.planned``.
    """
    planned = plan.servers.planned
    if planned is None:
        raise UsageError(
            "the plan does not say how many servers are planned",
            "add servers.planned, which the gate judges",
        )
    now = plan
    for change in changes:
        now = as_changed(now, change) if change.measured == "paired" else now
    fleet_checks, fleet_notes = _fleet(now, demand, capacity, planned)
    ceiling_checks, ceiling_notes = _ceilings(plan, peaks(demand, capacity))
    drops = [drop_check(change, plan.gate.capacity_drop) for change in changes]
    checks = [*fleet_checks, *drops, *_limit(plan, planned), *ceiling_checks]
    return Verdict(
        **dict(provenance),
        verdict=_worst(checks),
        checks=tuple(checks),
        notes=(*fleet_notes, *ceiling_notes, *_unused(plan, changes)),
    )


def _fleet(
    plan: Plan, demand: Demand, capacity: Capacity | None, planned: int
) -> tuple[list[Check], tuple[Note, ...]]:
    """Judge all that depends on what one server sustains."""
    if capacity is None and plan.servers.capacity is None:
        text = "it is neither measured nor assumed what one server sustains"
        return [_check("sla", "inconclusive", text)], ()
    try:
        found = basis(plan, demand, capacity)
    except NotMet as error:
        return [_check("sla", "fail", error.message)], ()
    except Inconclusive as error:
        return [_check("sla", "inconclusive", error.message)], ()
    checks = [*_risks(found, planned), *_scaling(found, planned), _sla(capacity, found)]
    return [*checks, *_budget(found, planned)], found.notes


def _risks(found: Basis, planned: int) -> list[Check]:
    policy, zones = found.plan.policy, found.plan.servers.zones
    checks = [
        _risk(
            "overload",
            found.overload(planned),
            policy.overload_risk,
            f"the peak exceeds what {planned} servers sustain",
            found.peaks,
            firm=found.firm,
        )
    ]
    zone = found.zone_loss(planned)
    if zone is not None:
        left = left_after_zone_loss(planned, zones)
        text = f"the peak exceeds what {left} servers sustain, with one of {zones} zones lost,"
        checks.append(
            _risk("zone loss", zone, policy.zone_loss_risk, text, found.peaks, firm=found.firm)
        )
    return checks


def _scaling(found: Basis, planned: int) -> list[Check]:
    """Judge whether enough is known of how so many servers scale."""
    if found.law is None:
        return []
    beyond = found.beyond(planned)
    if not beyond:
        return [_check("scaling", "pass", f"the scaling law is {described(found.law)}")]
    outcome: Judgement = "fail" if found.law.identified else "inconclusive"
    return [_check("scaling", outcome, f"{planned} servers are {beyond}")]


def _sla(capacity: Capacity | None, found: Basis) -> Check:
    server = found.fleet.server
    span = f"{format_number(server.low)} to {format_rate(server.high)}"
    if capacity is None:
        return _check("sla", "pass", f"one server is assumed to sustain {span}")
    if capacity.verdict == "inconclusive":
        return _check("sla", "inconclusive", f"the load test was inconclusive: {capacity.reason}")
    if not found.firm:
        span = f"at least {format_rate(server.low)}"
    return _check("sla", "pass", f"one server sustains {span} within {capacity.identity.sla}")


def _budget(found: Basis, planned: int) -> list[Check]:
    budget = found.plan.policy.budget
    if budget is None:
        return []
    if not found.plan.servers.priced:
        return [_check("budget", "inconclusive", "a budget is given, but no servers.price")]
    cost = found.cost_usd(planned)
    return [
        Check(
            name="budget",
            outcome="pass" if cost <= budget else "fail",
            measured=cost,
            required=budget,
            message=f"{planned} servers cost {format_money(cost)} for {found.window.hours:.3g} h, "
            f"the budget is {format_money(budget)}",
        )
    ]


def _limit(plan: Plan, planned: int) -> list[Check]:
    limit = plan.servers.limit
    if limit is None:
        return []
    outcome: Judgement = "fail" if planned > limit else "pass"
    text = f"{planned} servers are planned, the limit is {limit}"
    return [Check(name="limit", outcome=outcome, measured=planned, required=limit, message=text)]


def _ceilings(plan: Plan, possible: Peaks) -> tuple[list[Check], tuple[Note, ...]]:
    accepted = plan.policy.overload_risk
    found, notes = ceilings(plan, possible)
    checks = [
        _risk(
            f"ceiling: {check.name}",
            check.exceed_probability,
            accepted,
            f"the peak exceeds the ceiling {check.name} ({format_rate(check.ceiling_rps)})",
            possible,
        )
        for check in found
    ]
    return checks, notes


def _risk(
    name: str, measured: float, required: float, what: str, peaks: Peaks, *, firm: bool = True
) -> Check:
    risk = peaks.show(measured, required)
    message = f"{what} with probability {risk}, accepted is {format_share(required)}"
    outcome: Judgement = "pass"
    if measured > required:
        if measured <= peaks.resolution:
            outcome, message = "inconclusive", f"{message}: finer than that cannot be told"
        elif not firm:
            outcome, message = "inconclusive", f"{message}, but a server may sustain more"
        else:
            outcome = "fail"
    return Check(name=name, outcome=outcome, measured=measured, required=required, message=message)


def _check(name: str, outcome: Judgement, message: str) -> Check:
    return Check(name=name, outcome=outcome, measured=None, required=None, message=message)


def _worst(checks: Sequence[Check]) -> Judgement:
    return min((check.outcome for check in checks), key=_SEVERITY.index)


def _unused(plan: Plan, changes: Sequence[Change]) -> tuple[Note, ...]:
    if changes or "capacity_drop" not in plan.gate.model_fields_set:
        return ()
    return (
        Note(
            code="no_baseline",
            message="gate.capacity_drop is not judged: there is nothing to compare with",
            advice="measure both versions with capplan loadtest --paired, or give --baseline",
        ),
    )
