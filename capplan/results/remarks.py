"""What a decision takes for granted, as notes."""

from __future__ import annotations

from capplan.model.overload import ServerRate
from capplan.plan.schema import Plan
from capplan.results.base import Note
from capplan.results.capacity import Capacity, Scaling, ScalingLaw
from capplan.results.today import contradiction
from capplan.results.visits import visit_requests
from capplan.units import format_number, format_share

_SAME_VISIT = 1.25


def remarks(
    plan: Plan, server: ServerRate, resolution: float, capacity: Capacity | None
) -> list[Note]:
    """Say what was taken for granted, and what does not fit together.

    ``resolution`` is the smallest probability that can be told from none.
    """
    return [
        *_contradiction(plan, server, capacity),
        *_assumptions(plan),
        *_scaling(plan, capacity),
        *_too_fine(plan, resolution),
        *_other_visits(plan, capacity),
    ]


def _contradiction(plan: Plan, server: ServerRate, capacity: Capacity | None) -> list[Note]:
    seen = plan.usual.peak if plan.usual else None
    alone = capacity is not None and capacity.identity.servers == 1
    resources = capacity.resources if capacity and alone else None
    return contradiction(seen, server, resources.cpu_at_sustained if resources else None)


def _assumptions(plan: Plan) -> list[Note]:
    notes, servers = [], plan.servers
    if servers.zones == 1:
        notes.append(
            Note(
                code="one_zone",
                message="with a single zone its loss takes every server: that risk is not counted",
                advice="spread the servers and set servers.zones",
            )
        )
    if not servers.priced:
        notes.append(
            Note(
                code="no_price",
                message="no price is known, so every option seems to cost nothing",
                advice="add servers.price, such as $0.17/h, or servers.instance",
            )
        )
    return notes


def _scaling(plan: Plan, capacity: Capacity | None) -> list[Note]:
    """Say what stands in for a scaling law, or beyond it, and whether a measurement denies it."""
    loss, known = plan.servers.scaling_loss, capacity.scaling if capacity else None
    if known and known.law:
        return _beside_the_law(plan, known.law)
    if lost := _lost_share(known):
        servers, share = lost
        if share > loss.high:
            return [
                Note(
                    code="contradicts_scaling",
                    message=f"{servers} servers were measured to lose {format_share(share)} of "
                    f"what each alone sustains, servers.scaling_loss says at most "
                    f"{format_share(loss.high)}",
                    advice="raise it, or measure a third number of servers for a scaling law",
                )
            ]
    if loss.high == 0:
        return []
    return [
        Note(
            code="assumed_scaling",
            message="how a fleet scales was not measured: servers.scaling_loss stands in",
        )
    ]


def _beside_the_law(plan: Plan, law: ScalingLaw) -> list[Note]:
    """Say what the plan writes and a measured law leaves out, or takes up beyond its reach."""
    notes, written = [], plan.servers.model_fields_set
    if plan.servers.imbalance.high and "imbalance" in written:
        notes.append(
            Note(
                code="imbalance_measured",
                message="servers.imbalance does not count: the scaling law was measured behind a "
                "balancer, so what that loses is in it",
                advice="make sure that it was the balancer of the sale",
            )
        )
    if not law.identified and "scaling_loss" in written:
        notes.append(
            Note(
                code="assumed_scaling_beyond",
                message=f"the scaling law is not identified: beyond the {law.measured_to} servers "
                "measured, servers.scaling_loss comes on top",
                advice="measure more servers: capplan loadtest --servers N",
            )
        )
    return notes


def _lost_share(known: Scaling | None) -> tuple[int, float] | None:
    """Return the largest number of servers measured beside a single one, and what is lost there.

    By the middles: 1 - X(N)/(N·X(1)).
    """
    middles = {p.servers: p.sustained_rps.mid for p in known.points} if known else {}
    one, largest = middles.get(1), max(middles, default=1)
    together = middles.get(largest)
    if not one or not together or largest == 1:
        return None
    return largest, 1 - together / (largest * one)


def _too_fine(plan: Plan, resolution: float) -> list[Note]:
    if min(plan.policy.overload_risk, plan.policy.zone_loss_risk) >= resolution:
        return []
    return [
        Note(
            code="resolution",
            message=f"a risk below {format_share(resolution)} cannot be told from none, and the "
            "policy asks for less",
            advice="accept more than that in policy",
        )
    ]


def _other_visits(plan: Plan, capacity: Capacity | None) -> list[Note]:
    """Compare the visits of the plan with those of the load test, where it made visits."""
    made, planned = visit_requests(capacity), plan.visit.requests
    if made is None:
        return []
    if planned.low / _SAME_VISIT <= made <= planned.high * _SAME_VISIT:
        return []
    return [
        Note(
            code="other_visits",
            message=f"a visit of the load test made {format_number(made)} requests, in the plan it "
            f"makes {format_number(planned.low)} to {format_number(planned.high)}; peak and fleet "
            "are compared in visits/s, as the load test made them",
            advice="bring visit.requests and the locustfile together",
        )
    ]
