"""What does not scale with servers: a database, a payment provider."""

from __future__ import annotations

import numpy as np

from capplan.model.quasirandom import sobol
from capplan.model.uncertainty import quantile
from capplan.plan.schema import Ceiling, Plan
from capplan.results.base import Note
from capplan.results.basis import Floats, Peaks
from capplan.results.recommendation import CeilingCheck

_POWER = 10  # 2^10 points of conversion and hot share together


def ceilings(plan: Plan, peaks: Peaks) -> tuple[tuple[CeilingCheck, ...], tuple[Note, ...]]:
    """Check each ceiling against the peak, in requests/s of the mix.

    One that the peak exceeds with more than ``policy.overload_risk`` binds: no number of servers
    helps. The note names one that cannot be checked.
    """
    checks, notes = [], []
    for ceiling in plan.servers.ceilings:
        limits_rps = _in_requests(ceiling, plan, peaks)
        if limits_rps is None:
            notes.append(_unchecked(ceiling, plan))
            continue
        probability = peaks.exceed(limits_rps)
        checks.append(
            CeilingCheck(
                name=ceiling.name,
                ceiling_rps=float(np.median(limits_rps)),
                exceed_probability=probability,
                binds=probability > max(plan.policy.overload_risk, peaks.resolution),
            )
        )
    return tuple(checks), tuple(notes)


def _unchecked(ceiling: Ceiling, plan: Plan) -> Note:
    if plan.usual is None:
        what, missing = "how many visits make one", "usual.conversion"
    else:
        what, missing = "which share of them wants the one product", "visit.hot_share"
    return Note(
        code="ceiling_unchecked",
        message=f"the {ceiling.name} is limited in orders, and the plan does not say {what}: it "
        "was not checked",
        advice=f"give {missing}",
    )


def _in_requests(ceiling: Ceiling, plan: Plan, peaks: Peaks) -> Floats | None:
    """Return equally likely values of the ceiling in requests/s; None where the plan lacks a share.

    Orders are visits times the conversion; hot ones are those of them that want one product.
    """
    per_visit = peaks.per_visit
    if ceiling.per == "request":
        return np.array([ceiling.rate])
    if ceiling.per == "visit":
        return np.array([ceiling.rate * per_visit])
    if plan.usual is None:
        return None
    u, v = sobol(2, _POWER)
    orders = quantile(plan.usual.conversion, "share", u)
    if ceiling.per == "hot order":
        if plan.visit.hot_share is None:
            return None
        orders = orders * quantile(plan.visit.hot_share, "share", v)
    return ceiling.rate * per_visit / orders
