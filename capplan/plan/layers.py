"""What stands before and behind the servers on the day of the sale, and how many there are."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from capplan.plan.section import Section
from capplan.plan.types import Integer, Multiple, Name, Rps, Seconds, SecondsOrZero, Share, YesNo


class CacheSettings(Section):
    """What the edge keeps of the answers of cacheable classes."""

    places: Integer | None = Field(default=None, description="Objects; else a tenth of all.")
    catalogue: Integer = Field(default=10_000, description="Objects of each cacheable class.")
    zipf: Multiple = Field(
        default=0.8, description="The k-th object is asked for in proportion to 1/k^zipf."
    )
    ttl: Seconds = Field(default=60.0, description="How long an answer may be used.")
    collapsing: YesNo = Field(
        default=True, description="Whether requests wait for an answer that is being fetched."
    )
    warm: YesNo = Field(default=False, description="Whether it is filled before the sale.")


class Prescale(Section):
    """Servers that are started ahead of the sale."""

    servers: Integer | None = Field(
        default=None, description="Else those that sustain the surprise."
    )
    ready: SecondsOrZero = Field(default=0.0, description="After the start of the sale.")


class Autoscale(Section):
    """An autoscaler; it begins with the fleet as it is, and a server needs ``servers.boot``."""

    rule: Literal["hpa", "target tracking"] = "hpa"
    metric: Literal["cpu", "requests"] = "cpu"
    target: Share = Field(default=0.6, description="CPU of a server.")
    requests: Rps | None = Field(
        default=None, description="Of a server; else the target, of what it sustains."
    )
    most: Integer | None = Field(
        default=None, description="Else servers.limit, or ten times as many."
    )


class Outage(Section):
    """A time in which a service is slow, or answers with errors."""

    start: SecondsOrZero = Field(default=0.0, description="After the start of the sale.")
    duration: Seconds | None = Field(default=None, description="Else until the end.")
    slower: Multiple = Field(default=1.0, description="How many times as long a call takes.")
    failures: Share = Field(default=0.0, description="Of its answers.")


class Downstream(Section):
    """A service that the servers call: a database, a payment provider."""

    name: Name
    service_time: Seconds = Field(description="How long it works on a call, on average.")
    slots: Integer | None = Field(
        default=None,
        description="Calls at once; else those that make up the rate of the ceiling of that name.",
    )
    queue: Integer | None = Field(
        default=None, description="Places in its queue; else without bound."
    )
    timeout: Seconds | None = Field(
        default=None, description="Of a call, at the server; else the clients' own."
    )
    finishes: YesNo = Field(
        default=True, description="Whether it goes on with a call that the server has given up."
    )
    failures: Share = Field(default=0.0, description="Of its answers.")
    calls: dict[Name, Multiple] = Field(
        default={}, description="By a request of each class; else one by each."
    )
    outage: Outage | None = None


class Breaker(Section):
    """When a circuit breaker opens, and for how long; as in Hystrix where nothing is said."""

    failures: Share = Field(default=0.5, description="Of the calls, at which it opens.")
    slow: Seconds | None = Field(
        default=None, description="A call that takes longer counts as failed; else computed."
    )
    window: Seconds = Field(default=10.0, description="In which calls are counted.")
    least: Integer | None = Field(
        default=None,
        description="Calls in a window, before it decides; else 20, or a fifth of what it sees.",
    )
    pause: Seconds = Field(default=5.0, description="How long it stays open.")
    probes: Integer | None = Field(
        default=None,
        description="Calls that are let through after that; else one by each server, or five "
        "where all share a breaker.",
    )
    per: Literal["server", "fleet"] = Field(
        default="server",
        description="Whether each server has its own, as a library in its process does, or all "
        "share one.",
    )


class BackPressure(Section):
    """At which length of its queue a layer says that it is full."""

    high: Integer | None = Field(
        default=None, description="Places in the queue of the fleet; else computed."
    )
    low: Share = Field(default=0.5, description="Of that, at which it takes calls again.")


class Refreshers(Section):
    """Shoppers who do not wait for an answer, but reload the page."""

    share: Share = Field(description="Of the requests.")
    after: Seconds = Field(default=2.0, description="On average; exponential.")
    times: Integer = Field(default=5, description="At most, beside their attempts.")


class SlowRequests(Section):
    """A share of the requests that takes far longer than the others; the mean stays."""

    share: Share
    factor: Multiple = Field(description="How many times as long as the others they take.")
