"""The gate: judges ``servers.planned`` from demand and capacity.

Not from the recommendation, which was made from the same plan and would only agree with itself.
"""

from __future__ import annotations

from collections.abc import Sequence

from capplan.errors import Inconclusive, NotMet, UsageError
from capplan.gate.criteria import Criteria, criteria, not_judged, stricter, untold
from capplan.gate.drop import Change, as_changed, drop_check, missed
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
_COMPARE = "measure both versions with capplan loadtest --paired, or give --baseline"


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
    A criterion that is off is told, and says nothing about the verdict. Raises ``UsageError`` when
    the plan names no ``servers.planned`` to be judged, or when nothing is left to judge.
    """
    asked = criteria(plan)
    now = plan
    for change in changes:
        now = as_changed(now, change) if change.measured == "paired" else now
    fleet, fleet_notes = _fleet(now, demand, capacity, asked, changes)
    ceiling, ceiling_notes = _ceilings(plan, demand, peaks(demand, capacity), asked)
    checks = [*fleet, *_drops(plan, asked, changes), *ceiling, *not_judged(asked)]
    return Verdict(
        **dict(provenance),
        verdict=_worst(checks),
        checks=tuple(checks),
        notes=(*fleet_notes, *ceiling_notes, *stricter(plan)),
    )


def _fleet(
    plan: Plan,
    demand: Demand,
    capacity: Capacity | None,
    asked: Criteria,
    changes: Sequence[Change],
) -> tuple[list[Check], tuple[Note, ...]]:
    """Judge all that depends on what one server sustains."""
    if not asked.fleet:
        return [], ()
    planned = plan.servers.planned
    if planned is None:
        raise UsageError(
            "the plan does not say how many servers are planned",
            "add servers.planned, which the gate judges",
        )
    if capacity is None and plan.servers.capacity is None:
        text = "it is neither measured nor assumed what one server sustains"
        return _nothing_sustained(plan, asked, "inconclusive", text), ()
    try:
        found = basis(plan, demand, capacity)
    except NotMet as error:
        return _nothing_sustained(plan, asked, "fail", error.message), ()
    except Inconclusive as error:
        return _nothing_sustained(plan, asked, "inconclusive", error.message), ()
    if lost := next((change.lost for change in changes if change.lost), ""):
        return _nothing_sustained(plan, asked, "fail", missed(lost)), ()
    checks = [*_risks(found, planned, asked), *_scaling(found, planned, asked)]
    if asked.sla:
        checks.append(_sla(capacity, found))
    return [*checks, *_budget(found, planned, asked)], found.notes


def _nothing_sustained(plan: Plan, asked: Criteria, outcome: Judgement, why: str) -> list[Check]:
    """Judge a fleet of which no server is known to sustain anything."""
    zones = plan.servers.zones > 1
    return [
        _check(name, judged, why)
        for name, judged, on in (
            ("overload", outcome, asked.overload_risk is not None),
            ("zone loss", outcome, asked.zone_loss_risk is not None and zones),
            ("sla", outcome, asked.sla),
            # when servers may be stopped follows from what they sustain, and so does the cost
            ("budget", "inconclusive", asked.budget_usd is not None),
        )
        if on
    ]


def _risks(found: Basis, planned: int, asked: Criteria) -> list[Check]:
    zones, checks = found.plan.servers.zones, []
    if asked.overload_risk is not None:
        risk, what = found.overload(planned), f"the peak exceeds {_sustained(planned)}"
        checks.append(
            _risk("overload", risk, asked.overload_risk, what, found.peaks, firm=found.firm)
        )
    lost = found.zone_loss(planned)
    if asked.zone_loss_risk is not None and lost is not None:
        left = left_after_zone_loss(planned, zones)
        what = f"the peak exceeds {_sustained(left)}, with one of {zones} zones lost,"
        checks.append(
            _risk("zone loss", lost, asked.zone_loss_risk, what, found.peaks, firm=found.firm)
        )
    return checks


def _sustained(servers: int) -> str:
    return f"what {servers:,} servers sustain" if servers != 1 else "what 1 server sustains"


def _scaling(found: Basis, planned: int, asked: Criteria) -> list[Check]:
    """Judge whether enough is known of how so many servers scale to tell a risk."""
    if found.law is None or (asked.overload_risk is None and asked.zone_loss_risk is None):
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


def _budget(found: Basis, planned: int, asked: Criteria) -> list[Check]:
    budget = asked.budget_usd
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


def _drops(plan: Plan, asked: Criteria, changes: Sequence[Change]) -> list[Check]:
    """Judge what was lost. Where the plan asks for that, it is told that nothing is compared."""
    accepted = asked.capacity_drop
    if accepted is None:
        return []
    if changes or "capacity_drop" not in plan.gate.model_fields_set:
        return [drop_check(change, accepted) for change in changes]
    return [untold("capacity drop", f"there is nothing to compare with: {_COMPARE}")]


def _ceilings(
    plan: Plan, demand: Demand, possible: Peaks, asked: Criteria
) -> tuple[list[Check], tuple[Note, ...]]:
    accepted = asked.ceiling_risk
    if accepted is None:
        return [], ()
    found, notes = ceilings(plan, demand, possible)
    checks = [
        _risk(
            f"ceiling: {check.name}",
            check.exceed_probability,
            accepted,
            f"the peak exceeds the ceiling {check.name} ({check.limit})",
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
    judged = [check.outcome for check in checks if check.outcome != "not_judged"]
    if not judged:
        why = "; ".join(f"{check.name}: {check.message}" for check in checks)
        raise UsageError(
            "the gate has nothing to judge" + (f" ({why})" if why else ""),
            "take away an `off` under gate, or give what is to be judged",
        )
    return min(judged, key=_SEVERITY.index)
