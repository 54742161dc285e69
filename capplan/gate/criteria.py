"""By what is judged: what the plan says under ``gate:``, else the policy, or not at all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from capplan.plan.schema import Plan
from capplan.results.base import Note
from capplan.results.verdict import Check
from capplan.units import format_money, format_share

_CHECKS = {
    "overload_risk": "overload",
    "zone_loss_risk": "zone loss",
    "sla": "sla",
    "budget": "budget",
    "capacity_drop": "capacity drop",
    "ceilings": "ceilings",
}


@dataclass(frozen=True)
class Criteria:
    """The limits, in ratios from 0 to 1 and US dollars; None for what is not judged.

    ``off`` are the keys of ``gate`` that the plan switches off.
    """

    overload_risk: float | None
    zone_loss_risk: float | None
    budget_usd: float | None
    sla: bool
    ceiling_risk: float | None
    capacity_drop: float | None
    off: tuple[str, ...]

    @property
    def fleet(self) -> bool:
        """Whether anything is judged that depends on the planned fleet and its servers."""
        limits = (self.overload_risk, self.zone_loss_risk, self.budget_usd)
        return self.sla or any(limit is not None for limit in limits)


def criteria(plan: Plan) -> Criteria:
    """Read the criteria of a plan.

    Ceilings are judged by the risk that is accepted of the fleet; by the policy's where that of
    the fleet is not judged.
    """
    gate, policy = plan.gate, plan.policy
    overload = _limit(gate.overload_risk, policy.overload_risk)
    ceiling = policy.overload_risk if overload is None else overload
    return Criteria(
        overload_risk=overload,
        zone_loss_risk=_limit(gate.zone_loss_risk, policy.zone_loss_risk),
        budget_usd=_limit(gate.budget, policy.budget),
        sla=gate.sla,
        ceiling_risk=ceiling if gate.ceilings else None,
        capacity_drop=_limit(gate.capacity_drop, None),
        off=tuple(key for key in _CHECKS if getattr(gate, key) in ("off", False)),
    )


def not_judged(found: Criteria) -> list[Check]:
    """Return a check for each criterion that is switched off, so that nobody takes it for met."""
    return [untold(_CHECKS[key], f"gate.{key} is off") for key in found.off]


def untold(name: str, why: str) -> Check:
    """Return the check of a criterion that is not judged."""
    return Check(name=name, outcome="not_judged", measured=None, required=None, message=why)


def stricter(plan: Plan) -> tuple[Note, ...]:
    """Note where the gate is stricter than the policy: what is recommended may then fail."""
    gate, policy = plan.gate, plan.policy
    kinds = {
        "overload_risk": format_share,
        "zone_loss_risk": format_share,
        "budget": format_money,
    }
    found = []
    for key, show in kinds.items():
        own, general = getattr(gate, key), getattr(policy, key)
        if own in (None, "off") or (general is not None and own >= general):
            continue
        accepted = "none" if general is None else show(general)
        found.append(
            Note(
                code="stricter_gate",
                message=f"gate.{key} is {show(own)}, but capplan recommend goes by policy.{key}, "
                f"which is {accepted}: what it recommends may fail here",
                advice=f"set policy.{key} alike, if both are to agree",
            )
        )
    return tuple(found)


def _limit(own: float | Literal["off"] | None, general: float | None) -> float | None:
    if own == "off":
        return None
    return general if own is None else own
