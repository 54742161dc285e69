"""What does not scale with servers: a database, a payment provider."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from capplan.plan.schema import Ceiling, Plan
from capplan.results.base import Note
from capplan.results.basis import Peaks
from capplan.results.demand import Demand
from capplan.results.recommendation import CeilingCheck


def ceilings(
    plan: Plan, demand: Demand, peaks: Peaks
) -> tuple[tuple[CeilingCheck, ...], tuple[Note, ...]]:
    """Check each ceiling against the peak of what it counts.

    One that the peak exceeds with more than ``policy.overload_risk`` binds: no number of servers
    helps. The note names one that cannot be checked.
    """
    checks, notes = [], []
    for ceiling in plan.servers.ceilings:
        counted = _per_s(ceiling, demand, peaks)
        if not len(counted):
            notes.append(_unchecked(ceiling, plan))
            continue
        of_these = replace(peaks, values_rps=np.sort(np.asarray(counted)))
        probability = of_these.exceed(np.array([ceiling.rate]))
        checks.append(
            CeilingCheck(
                name=ceiling.name,
                limit_per_s=ceiling.rate,
                per=ceiling.per,
                exceed_probability=probability,
                binds=probability > max(plan.policy.overload_risk, peaks.resolution),
            )
        )
    return tuple(checks), tuple(notes)


def _per_s(ceiling: Ceiling, demand: Demand, peaks: Peaks) -> Sequence[float]:
    """Return equally likely peaks of what a ceiling counts, per second; none where not known.

    Orders are taken from the estimate, not from the requests: there they go with the visits of the
    same draw, and many visits for the orders of ordinary days mean that few of them buy.
    """
    if ceiling.per == "request":
        return tuple(peaks.values_rps)
    if ceiling.per == "visit":
        return tuple(peaks.values_rps / peaks.per_visit)
    if ceiling.per == "order":
        return demand.peak_quantiles_orders_per_s
    return demand.peak_quantiles_hot_orders_per_s


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
