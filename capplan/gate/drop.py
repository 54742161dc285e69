"""Whether a commit made the service slower: the ratio new/old of what one server sustains.

The middle of the ratio decides, where it can. With the limit at a loss of d, a run without any
change fails when noise alone moves the middle below 1 - d. That happens at most once in fifty when

    q(0.98)/q(0.5 + confidence/2) · ln(high/low)/2 ≤ -ln(1 - d)

with low to high the interval of the ratio and q the quantiles of its error: the normal's, times
1.03, which covers Student's with four degrees of freedom (five pairs) at 95 %. A wider interval
decides only when all of it lies on one side of the limit.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from scipy.special import ndtri

from capplan.model.uncertainty import product
from capplan.plan.schema import Plan
from capplan.results.paired import RatioRange
from capplan.results.verdict import Check, Judgement
from capplan.units import Range, format_share

_ONCE_IN_FIFTY = 0.98
_STUDENT = 1.03


@dataclass(frozen=True)
class Change:
    """What is known of new/old. ``unlike`` says why the two cannot be compared; empty if they can.

    ``paired`` trials were held in turns; a ``baseline`` is an earlier load test. ``lost`` says that
    the new one misses the SLA at any load, and why; empty if it does not.
    """

    ratio: RatioRange
    measured: Literal["paired", "baseline"]
    unlike: str = ""
    lost: str = ""


def drop_check(change: Change, accepted: float) -> Check:
    """Judge a loss of capacity against the accepted one, 0 to 1."""
    ratio, limit = change.ratio, 1 - accepted
    outcome: Judgement
    if change.unlike:
        outcome, text = "inconclusive", f"not compared: {change.unlike}"
    elif change.lost:
        outcome, text = "fail", missed(change.lost)
    else:
        outcome = _judged(ratio, limit)
        text = f"{_shown(ratio)}, accepted is a loss of {format_share(accepted)}"
        if outcome == "inconclusive":
            text += "; the interval is too wide to tell"
    return Check(
        name=f"capacity drop, {change.measured}",
        outcome=outcome,
        measured=ratio.mid,
        required=limit,
        message=text,
    )


def missed(why: str) -> str:
    """Say that a version holds the SLA at no load."""
    return f"the new version misses the SLA at any load: {why}"


def as_changed(plan: Plan, change: Change) -> Plan:
    """Return the plan for servers that are faster or slower by the ratio of a paired measurement.

    A machine of CI is not a production server, but what both share, the commit, changes both by the
    same factor. The doubts add up as independent factors. Unchanged where the ratio is not known,
    or says nothing about this plan.
    """
    ratio, speed = change.ratio, plan.servers.relative_speed
    if change.unlike or ratio.mid is None or not ratio.low or not ratio.high:
        return plan
    faster = product(speed, Range(ratio.low, ratio.high))
    servers = plan.servers.model_copy(update={"relative_speed": faster})
    return plan.model_copy(update={"servers": servers})


def _judged(ratio: RatioRange, limit: float) -> Judgement:
    low, high = ratio.low or 0.0, ratio.high or math.inf
    if low >= limit:
        return "pass"
    if high < limit:
        return "fail"
    if ratio.mid is None or not low or not math.isfinite(high):
        return "inconclusive"
    beyond = float(ndtri(_ONCE_IN_FIFTY) / ndtri(0.5 + ratio.confidence / 2)) * _STUDENT
    if beyond * math.log(high / low) / 2 > -math.log(limit):
        return "inconclusive"
    return "pass" if ratio.mid >= limit else "fail"


def _shown(ratio: RatioRange) -> str:
    if ratio.mid is None:
        return "the change of what one server sustains is not known"
    ends = [
        f"{end - 1:+.1%}" if end is not None else "not known" for end in (ratio.low, ratio.high)
    ]
    return f"what one server sustains changed by {ratio.mid - 1:+.1%} ({ends[0]} to {ends[1]})"
