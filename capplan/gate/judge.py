"""The gate: judges ``servers.planned`` from demand and capacity.

Not from the recommendation, which was made from the same plan and would only agree with itself.
"""

from __future__ import annotations

from collections.abc import Sequence

from capplan.errors import Inconclusive, NotMet, UsageError
from capplan.model.overload import left_after_zone_loss
from capplan.plan.schema import Plan
from capplan.results.base import Note, Provenance
from capplan.results.basis import Basis, basis, ceilings
from capplan.results.capacity import Capacity
from capplan.results.demand import Demand
from capplan.results.verdict import Check, Judgement, Verdict
from capplan.units import format_rate, format_share

_SEVERITY: tuple[Judgement, ...] = ("fail", "inconclusive", "pass")


def judge(plan: Plan, demand: Demand, capacity: Capacity | None, provenance: Provenance) -> Verdict:
    """Judge the planned fleet; the worst check is the verdict.

    Raises ``UsageError`` when the plan names no ``servers.planned``, or no capacity is known.
    """
    planned = plan.servers.planned
    if planned is None:
        raise UsageError(
            "the plan does not say how many servers are planned",
            "add servers.planned, which the gate judges",
        )
    notes: tuple[Note, ...] = ()
    try:
        found = basis(plan, demand, capacity)
    except NotMet as error:
        checks = [_check("sla", "fail", error.message)]
    except Inconclusive as error:
        checks = [_check("capacity", "inconclusive", error.message)]
    else:
        limits, ceiling_notes = ceilings(plan, demand, found.peaks_rps)
        checks = [*_risks(found, planned), _sla(capacity, found), *_quota(plan, planned)]
        checks += [
            _compared(
                f"ceiling: {limit.name}",
                limit.exceed_probability,
                plan.policy.overload_risk,
                f"the peak exceeds {format_rate(limit.ceiling_rps)}",
            )
            for limit in limits
        ]
        notes = (*found.notes, *ceiling_notes)
    return Verdict(
        **dict(provenance),
        verdict=_worst(checks),
        checks=tuple(checks),
        notes=(*notes, *_unused(plan)),
    )


def _sla(capacity: Capacity | None, found: Basis) -> Check:
    server = found.fleet.server
    span = f"{format_rate(server.low)} to {format_rate(server.high)}"
    if capacity is None:
        return _check("sla", "pass", f"one server is assumed to sustain {span}")
    if capacity.verdict == "inconclusive":
        return _check("sla", "inconclusive", f"the load test was inconclusive: {capacity.reason}")
    if capacity.verdict == "not_reached":
        return _check("sla", "pass", f"one server sustains at least {format_rate(server.low)}")
    return _check("sla", "pass", f"one server sustains {span} within {capacity.identity.sla}")


def _risks(found: Basis, planned: int) -> list[Check]:
    policy, zones = found.plan.policy, found.plan.servers.zones
    checks = [
        _compared(
            "overload",
            found.overload(planned),
            policy.overload_risk,
            f"the peak exceeds what {planned} servers sustain",
        )
    ]
    zone = found.zone_loss(planned)
    if zone is not None:
        left = left_after_zone_loss(planned, zones)
        text = f"the peak exceeds what {left} servers sustain, with one of {zones} zones lost,"
        checks.append(_compared("zone loss", zone, policy.zone_loss_risk, text))
    return checks


def _quota(plan: Plan, planned: int) -> list[Check]:
    limit = plan.servers.limit
    if limit is None:
        return []
    outcome: Judgement = "fail" if planned > limit else "pass"
    text = f"{planned} servers are planned, the limit is {limit}"
    return [Check(name="limit", outcome=outcome, measured=planned, required=limit, message=text)]


def _compared(name: str, measured: float, required: float, what: str) -> Check:
    held = measured <= required
    return Check(
        name=name,
        outcome="pass" if held else "fail",
        measured=measured,
        required=required,
        message=f"{what} with probability {format_share(measured)}, accepted is "
        f"{format_share(required)}",
    )


def _check(name: str, outcome: Judgement, message: str) -> Check:
    return Check(name=name, outcome=outcome, measured=None, required=None, message=message)


def _worst(checks: Sequence[Check]) -> Judgement:
    return min((check.outcome for check in checks), key=_SEVERITY.index)


def _unused(plan: Plan) -> tuple[Note, ...]:
    if "capacity_drop" not in plan.gate.model_fields_set:
        return ()
    return (
        Note(
            code="not_used",
            message="gate.capacity_drop is not judged by this version, which knows no baseline",
        ),
    )
