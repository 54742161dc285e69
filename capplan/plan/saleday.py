"""The day of the sale: how clients behave, who attacks, and what protects the servers."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, ValidationInfo, field_validator

from capplan.plan.layers import (
    Autoscale,
    BackPressure,
    Breaker,
    CacheSettings,
    Downstream,
    Prescale,
    Refreshers,
    SlowRequests,
)
from capplan.plan.section import Section
from capplan.plan.types import (
    Attempts,
    Integer,
    Level,
    Multiple,
    Name,
    Rps,
    Seconds,
    SecondsOrZero,
    Share,
    YesNo,
)

PROTECTIONS = (
    "waiting-room",
    "waf",
    "per-source-limit",
    "cache",
    "back-pressure",
    "concurrency-limit",
    "token-bucket",
    "leaky-bucket",
    "multiplex",
    "priorities",
    "queue-bound",
    "circuit-breaker",
    "prescale",
    "autoscale",
    "retry-budget",
)
"""In the order in which a request meets them; the last one is the client's own."""

USUAL = (
    "waiting-room",
    "waf",
    "per-source-limit",
    "concurrency-limit",
    "priorities",
    "queue-bound",
    "retry-budget",
)
"""Those of a plan that names none: a concurrency limit makes the two buckets superfluous, and what
needs more than settings, a cache or more servers, is not taken for granted."""


class RequestClass(Section):
    """A step of a visit."""

    name: Name
    per_visit: Multiple = Field(description="How many such requests a visit makes on average.")
    cost: Multiple = Field(default=1.0, description="Of one, against the mean of the load test.")
    priority: Level = Field(default=1, description="0 is served first, 9 last.")
    cacheable: Share = Field(default=0.0, description="Of its answers, those the edge may keep.")
    degraded: Share | None = Field(
        default=None,
        description="Cost of a cheap answer, without what is downstream, of a full one: given "
        "instead of a refusal by a circuit breaker or by back-pressure; else there is none.",
    )


class BotGroup(Section):
    """Requests of an attack: many, and from few sources."""

    name: Name
    rate: Rps
    target: Name | None = Field(
        default=None,
        description="A request class; else the first one, or the last one where they buy.",
    )
    sources: Integer = Field(default=200, description="Addresses they come from.")
    users_per_source: Multiple = Field(
        default=1.0, description="User ids of one address; below 1 addresses share an id."
    )
    buys: YesNo = Field(
        default=False, description="Whether each answer takes one from the stock, as a scalper's."
    )
    start: SecondsOrZero = Field(default=0.0, description="After the start of the sale.")
    ramp: SecondsOrZero = Field(default=0.0, description="Until the rate is reached.")
    duration: Seconds | None = Field(default=None, description="Else until the end.")


class Waf(Section):
    """A web application firewall in front."""

    lag: SecondsOrZero = Field(default=120.0, description="Until it recognises an attack.")
    catches: Share = Field(default=0.95, description="Of the bots' requests, from then on.")
    mistakes: Share = Field(default=0.002, description="Of people's requests, taken for a bot's.")
    capacity: Rps | None = Field(
        default=None,
        description="Requests that it lets through when it refuses none; else deciding is free.",
    )
    refusal_cost: Share = Field(
        default=0.0, description="Of a request that it refuses, of one that it lets through."
    )


class SourceLimit(Section):
    """So many requests from one source, and no more."""

    per: Literal["source", "user"] = Field(
        default="source", description="What counts as one: an address, or a user id."
    )
    requests: Integer | None = Field(default=None, description="In the window; else computed.")
    window: Seconds = 60.0
    mistakes: Share = Field(
        default=0.001, description="Of people's requests: those who share an address."
    )


class Limits(Section):
    """Settings of the protections; what is left out follows from the measured capacity."""

    waf: Waf = Waf()
    per_source: SourceLimit = SourceLimit()
    room_rate: Rps | None = Field(default=None, description="Visits let in per second.")
    room_patience: Seconds = Field(
        default=600.0, description="After which a visitor leaves the waiting room, on average."
    )
    gateway_nodes: Integer = Field(
        default=1, description="Each holds its part of the limits, unless they are shared."
    )
    shared: Seconds | None = Field(
        default=None,
        description="Round trip to a cache in which all nodes share their limits; else none do.",
    )
    gateway_capacity: Rps | None = Field(
        default=None,
        description="Requests that each node lets through when it refuses none; else what a node "
        "does is free.",
    )
    gateway_refusal_cost: Share = Field(
        default=0.0, description="Of a request that a node refuses, of one that it lets through."
    )
    in_flight: Integer | None = Field(default=None, description="Of the concurrency limit.")
    token_rate: Rps | None = None
    token_burst: Integer | None = None
    leak_rate: Rps | None = None
    leak_wait: Seconds | None = None
    queue: Integer | None = Field(default=None, description="Places in the queue of the fleet.")
    queue_timeout: Seconds | None = Field(
        default=None, description="A request that has waited longer is refused."
    )
    cache: CacheSettings = CacheSettings()
    breaker: Breaker = Breaker()
    back_pressure: BackPressure = BackPressure()
    prescale: Prescale = Prescale()
    autoscale: Autoscale = Autoscale()
    retry_budget: Share = Field(default=0.1, description="Retries, as a share of the requests.")


class Saleday(Section):
    """The day of the sale."""

    attempts: Attempts = Field(
        default=2, description="How often a client asks in all, when it gets no answer."
    )
    timeout: Seconds | None = Field(
        default=None, description="How long a client waits for an answer; else service.timeout."
    )
    impatience: Seconds | None = Field(
        default=None,
        description="Mean of an exponential time after which people hang up earlier; else they "
        "all wait for the timeout.",
    )
    backoff: SecondsOrZero = Field(
        default=0.2, description="Before the second attempt; doubled before each further one."
    )
    jitter: Share = Field(
        default=0.5, description="The part of the back-off that is left out at random, at most."
    )
    surprise: Multiple = Field(
        default=10.0, description="How many times the expected demand the surprise is."
    )
    classes: tuple[RequestClass, ...] = Field(
        default=(), description="The steps of a visit, in order; the last one is to pay."
    )
    bots: tuple[BotGroup, ...] = ()
    stock: Integer | None = Field(
        default=None, description="Visits that can pay until all is sold; else there is no end."
    )
    balancing: Literal["one queue", "random", "round robin", "least connections"] = Field(
        default="one queue",
        description="Whether all servers take from one queue, or how requests are dealt out to "
        "servers with a queue each.",
    )
    discipline: Literal["fifo", "processor sharing"] | None = Field(
        default=None,
        description="Whether a server works on as many requests as it can at full speed, and the "
        "others wait (fifo), or all that are in share its processors; else fifo, or processor "
        "sharing where workers are given.",
    )
    refusal_cost: Share = Field(
        default=0.0, description="Of a request that finds the queue full, of one that is served."
    )
    refreshers: Refreshers | None = None
    throttle: Multiple | None = Field(
        default=None,
        description="Clients hold back what exceeds so many times the answers they get; "
        "else they do not.",
    )
    slow: SlowRequests | None = None
    connections: Integer | None = Field(
        default=None,
        description="From the gateway to the servers, which answer in order; else in any order.",
    )
    workers: Integer | None = Field(
        default=None,
        description="Requests that a server with processor sharing holds at once, at work or "
        "waiting for what is downstream; further ones wait in the queue; else there is no end.",
    )
    downstream: tuple[Downstream, ...] = Field(
        default=(), description="What the servers call, one after the other."
    )
    protections: tuple[Name, ...] = Field(default=USUAL, description="Those that the plan has.")
    limits: Limits = Limits()

    @property
    def sharing(self) -> bool:
        """Whether the requests of a server share its processors."""
        discipline = self.discipline or ("fifo" if self.workers is None else "processor sharing")
        return discipline == "processor sharing"

    @field_validator("protections")
    @classmethod
    def _are_known(cls, protections: tuple[str, ...]) -> tuple[str, ...]:
        for name in protections:
            if name not in PROTECTIONS:
                raise ValueError(f"{name!r} is not one of {', '.join(PROTECTIONS)}")
        return protections

    @field_validator("classes")
    @classmethod
    def _no_class_twice(cls, classes: tuple[RequestClass, ...]) -> tuple[RequestClass, ...]:
        names = [one.name for one in classes]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise ValueError(f"the class {twice!r} stands twice")
        return classes

    @field_validator("downstream")
    @classmethod
    def _are_called_by_known_classes(
        cls, downstream: tuple[Downstream, ...], info: ValidationInfo
    ) -> tuple[Downstream, ...]:
        known = [one.name for one in info.data.get("classes", ())]
        names = [one.name for one in downstream]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise ValueError(f"the service {twice!r} stands twice")
        for one in downstream:
            if unknown := next((name for name in one.calls if known and name not in known), None):
                raise ValueError(
                    f"{one.name!r} is called by {unknown!r}, which is not one of the classes "
                    f"{', '.join(known)}"
                )
        return downstream

    @field_validator("bots")
    @classmethod
    def _aim_at_known_classes(
        cls, bots: tuple[BotGroup, ...], info: ValidationInfo
    ) -> tuple[BotGroup, ...]:
        known = [one.name for one in info.data.get("classes", ())]
        for group in bots:
            if known and group.target is not None and group.target not in known:
                raise ValueError(
                    f"the bots {group.name!r} aim at {group.target!r}, which is not one of the "
                    f"classes {', '.join(known)}"
                )
        return bots
