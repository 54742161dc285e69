"""How much traffic will come: the result of ``capplan estimate``."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import Field

from capplan.results.base import Frozen, Result


class Percentiles(Frozen):
    """A distribution in six numbers."""

    p5: float
    p50: float
    p90: float
    p95: float
    p99: float
    mean: float


class Estimate(Frozen):
    """One way to arrive at the number of visits.

    ``method`` is ``funnel`` (bottom-up, from the channels), ``multiple`` (top-down, from usual
    orders) or ``combined`` (a mixture of both). ``weight`` is its share in the mixture.
    """

    method: Literal["funnel", "multiple", "combined"]
    weight: float = 1.0
    visits_total: Percentiles
    peak_rps: Percentiles


class Profile(Frozen):
    """λ(t) of the servers' requests; ``t_s`` counts from the start of the sale, may be negative."""

    t_s: tuple[float, ...]
    rps_p50: tuple[float, ...]
    rps_p95: tuple[float, ...]
    rps_p5: tuple[float, ...]


class Sensitivity(Frozen):
    """How much of the doubt about the peak is one input's: Sobol' indices of ln(peak), 0 to 1.

    ``share`` is what it explains alone (first order), ``total`` what it explains together with
    others as well. ``advice`` says how to learn more of it; empty for what nobody can know before.
    """

    input: str
    share: float
    total: float | None = None
    advice: str = ""


class Agreement(Frozen):
    """At which value of one input the two estimates would agree, all others as they are.

    ``value`` is what its median would have to be, ``low`` to ``high`` what the plan says, and
    ``distance`` how far that is, in standard deviations of the plan's range; None for an input that
    the plan says is certain.
    """

    input: str
    value: float
    low: float
    high: float
    kind: Literal["amount", "share"]
    distance: float | None


class Confidence(Frozen):
    """The median of a distribution, and the 90 % of the cases around it."""

    p5: float
    p50: float
    p95: float


class PastRatio(Frozen):
    """An earlier sale, and how many times its forecast came."""

    name: str
    ratio: float


class History(Frozen):
    """How wrong one's own forecasts are, learned from earlier sales and applied to this one.

    ``error`` is the distribution of actual/forecast that the ``outcomes`` give, together with a
    prior that counts as much as ``prior_sales`` sales that lay within ``prior_factor`` either way.
    90 % of the cases lay within ``factor_before`` times the median by the ranges of the plan alone;
    they lie within ``factor`` now.
    """

    outcomes: tuple[PastRatio, ...]
    error: Confidence
    prior_sales: int
    prior_factor: float
    factor_before: float
    factor: float


class Lever(Frozen):
    """Something to do besides more servers, and the peak that it would leave.

    ``how`` says how to do it. ``servers`` is the smallest count that meets the policy then: filled
    in where a capacity is known, and never stored, for a capacity is measured anew and a demand is
    not.
    """

    name: str
    peak_rps: Percentiles
    how: str
    servers: int | None = None


class StressCase(Frozen):
    """A named what-if that stands beside the interval and is not folded in.

    ``in_range`` says whether the interval is so wide that it contains it all the same.
    """

    name: str
    peak_rps: float
    why: str
    in_range: bool = False

    @property
    def explained(self) -> str:
        """What it is, and whether the range contains it."""
        return f"{self.why}; the range contains it" if self.in_range else self.why


class Demand(Result):
    """The traffic of the sale as distributions.

    ``sale_start`` is the plan's, so that every time in the profile can be shown by the clock;
    ``peak_rps`` is the maximum over time of λ(t) averaged over ``policy.window``;
    ``peak_at_s`` is when its median is highest, ``peak_visitors_at_s`` when most visitors are there
    at once. Orders, and those of them that want the one product of ``visit.hot_share``, are None
    where the plan does not say how many visits make one. ``visits_total`` does not count those who
    only look in before the start; ``requests_total`` does.
    ``history`` is what earlier sales did to all of it, None where the plan has none.
    ``agreements`` are the ways to reconcile two estimates, the most plausible first.
    ``levers`` begin with what happens without any.
    ``peak_quantiles_rps`` holds equally likely values of it, sorted, at probabilities (i+0.5)/n;
    ``peak_quantiles_visits_per_s`` those of the peak over the requests of a visit in the same draw,
    ``peak_quantiles_orders_per_s`` and ``peak_quantiles_hot_orders_per_s`` those of the orders of
    the busiest minute, and of those that want one product.
    """

    schema_: Literal["capplan.demand/1"] = Field(default="capplan.demand/1", alias="schema")
    draws: int
    sale_start: datetime
    window_s: float
    peak_rps: Percentiles
    peak_at_s: float
    peak_visitors: Percentiles
    peak_visitors_at_s: float | None = None
    peak_orders_per_min: Percentiles | None = None
    peak_hot_orders_per_s: Percentiles | None = None
    visits_total: Percentiles
    requests_total: Percentiles
    requests_per_visit: Percentiles
    estimates: tuple[Estimate, ...]
    profile: Profile
    peak_quantiles_rps: tuple[float, ...]
    peak_quantiles_visits_per_s: tuple[float, ...] = ()
    peak_quantiles_orders_per_s: tuple[float, ...] = ()
    peak_quantiles_hot_orders_per_s: tuple[float, ...] = ()
    history: History | None = None
    sensitivity: tuple[Sensitivity, ...] = ()
    agreements: tuple[Agreement, ...] = ()
    levers: tuple[Lever, ...] = ()
    stress: tuple[StressCase, ...] = ()
