"""How many servers to start: the result of ``capplan recommend``."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import Field

from capplan.plan.fleet import CeilingUnit
from capplan.results.base import Frozen, Result
from capplan.units import format_number, format_rate

Metric = Literal["cpu", "requests", "none"]


class Option(Frozen):
    """One count of one kind of server, what it costs and what it risks.

    ``instance`` is the kind, null where the plan does not name it. ``multiple`` is of today's
    servers; ``fleet_rps`` the median of what the fleet sustains, between its 5th and 95th
    percentile; money is in US dollars; ``zone_loss_probability`` is the overload probability with
    one zone lost, null when there is only one; ``expected_overload_s`` is how long the demand is
    above what the fleet sustains.

    Losses are stated twice: with the excess shed at once, so that only the excess is lost, and
    ``unshed``, where all are lost who come before the queue has drained. ``marginal_value`` is what
    one more server would save of them; null, as the values, without ``policy.value_per_visit``.

    ``slots`` is how many requests the fleet works on at once, ``wait_probability_p50`` and ``_p95``
    the share of requests that would wait for one at these peaks (Erlang C); null where no load test
    tells.

    ``pareto``: no other option within reach, of a kind whose speed is known, has both at most this
    cost and at most these risks. ``excuse`` says
    why the option was not chosen, and of a chosen one in which point it misses the policy.
    """

    servers: int
    instance: str | None = None
    multiple: float
    cost: float
    fleet_rps: float
    fleet_rps_p5: float
    fleet_rps_p95: float
    overload_probability: float
    zone_loss_probability: float | None
    expected_overload_s: float
    expected_lost_visits: float
    expected_lost_value: float | None
    expected_lost_visits_unshed: float
    expected_lost_value_unshed: float | None
    marginal_value: float | None
    marginal_value_unshed: float | None
    slots: int | None
    wait_probability_p50: float | None
    wait_probability_p95: float | None
    pareto: bool = True
    chosen: bool = False
    excuse: str = ""


class Newsvendor(Frozen):
    """What value alone would buy: as many servers as save more than they cost.

    Of these ``servers`` the last saves more than its cost ``overage_usd``, and one more would not.
    ``underage_usd`` is what a server that is missing in an overload loses, its own cost deducted;
    ``quantile`` is underage/(underage + overage), the share of the cases that the fleet is to
    carry. Both are null where no overload is left whose length could be known.
    """

    servers: int
    overage_usd: float
    underage_usd: float | None
    quantile: float | None


class Fact(Frozen):
    """A line of an explanation."""

    name: str
    text: str


class Step(Frozen):
    """One step of the schedule: ``at`` this time, order or stop as many as leaves ``servers``.

    They serve from ``ready_at`` on, and sustain ``fleet_rps`` in the middle case.
    """

    at: datetime
    ready_at: datetime
    servers: int
    fleet_rps: float
    why: str


class Alone(Frozen):
    """What is lost along the upper band (p95) of the demand.

    ``rule`` is the autoscaler that begins with today's servers and adds of their kind, by nothing
    but its metric, or ``schedule``. Its fleet was too small for ``short_s`` seconds in all, the
    last of them at ``short_until`` (null: never); it had ``most_servers`` ready at most. Value in
    US dollars.
    """

    rule: str
    metric: Metric
    lost_visits: float
    lost_value: float | None
    short_s: float
    short_until: datetime | None
    most_servers: int

    @property
    def name(self) -> str:
        """What it is called: the rule and what it looks at."""
        on = {"cpu": " on CPU", "requests": " on requests/s", "none": ""}
        return f"{self.rule}{on[self.metric]}"


class Autoscaling(Frozen):
    """A trigger derived from what one server sustains, and what it would lose alone.

    ``metric`` is kept at ``value`` by adding servers: the share of a server's CPU, or requests/s
    per server. ``at_sustained`` is the metric at the sustained rate in the recommended fleet, of
    which ``headroom`` is left free. Between ``least_servers`` and ``most_servers``.
    """

    metric: Literal["cpu", "requests"]
    value: float
    at_sustained: float
    headroom: float
    requests_per_server_rps: float
    least_servers: int
    most_servers: int
    alone: tuple[Alone, ...]


class CeilingCheck(Frozen):
    """Whether something that does not scale with servers holds the peak.

    ``limit_per_s`` counts what the ceiling is ``per``; orders are those of the busiest minute.
    """

    name: str
    limit_per_s: float
    per: CeilingUnit
    exceed_probability: float
    binds: bool

    @property
    def limit(self) -> str:
        """What it holds, in its own unit."""
        if self.per == "request":
            return format_rate(self.limit_per_s)
        unit = {"visit": "visits/s", "order": "orders/s", "hot order": "orders/s of one product"}
        return f"{format_number(self.limit_per_s)} {unit[self.per]}"


class Recommendation(Result):
    """The chosen count among its alternatives. ``feasible`` is false when none meets the policy.

    A probability equal to ``resolution`` stands for that or less: it cannot be told from none.
    ``instance`` is the kind of the ``servers``, ``planned_instance`` that of the plan; null where
    it does not name one. ``why`` explains the count that was ``asked`` for, of ``asked_instance``.
    ``newsvendor`` is null without a value of a visit or a price.
    ``schedule_cost`` is that of all servers along the schedule, ``hold_cost`` that of the whole
    fleet over the same time, in US dollars; null without a schedule.
    """

    schema_: Literal["capplan.recommendation/1"] = Field(
        default="capplan.recommendation/1", alias="schema"
    )
    servers: int
    instance: str | None = None
    planned_instance: str | None = None
    feasible: bool
    asked: int | None = None
    asked_instance: str | None = None
    options: tuple[Option, ...]
    schedule: tuple[Step, ...]
    schedule_cost: float | None = None
    hold_cost: float | None = None
    autoscaling: Autoscaling | None = None
    ceilings: tuple[CeilingCheck, ...]
    capacity_source: Literal["measured", "assumed"]
    server_rps_low: float
    server_rps_high: float
    peak_rps_p50: float
    peak_rps_p95: float
    resolution: float = 0.0
    newsvendor: Newsvendor | None = None
    why: tuple[Fact, ...] = ()
    reasons: tuple[str, ...]

    @property
    def chosen(self) -> Option:
        """The option that is recommended."""
        return next(option for option in self.options if option.chosen)

    def option(self, servers: int, instance: str | None) -> Option | None:
        """Return the option of that count and kind, if it is shown."""
        same = (o for o in self.options if (o.servers, o.instance) == (servers, instance))
        return next(same, None)
