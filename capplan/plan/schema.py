"""The plan: every key a user may write, with its type, its default and its meaning.

All values are in base units (seconds, requests per second, ratios, US dollars). Field descriptions
go into the JSON Schema, so that an editor shows them while the plan is written.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import (
    BeforeValidator,
    Field,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
    model_validator,
)

from capplan.plan.arrive import Arrive
from capplan.plan.contradictions import contradictions
from capplan.plan.instances import InstanceType
from capplan.plan.saleday import Saleday as Saleday
from capplan.plan.section import Section
from capplan.plan.sla import Sla
from capplan.plan.types import (
    Address,
    CountRange,
    Files,
    Integer,
    LossRange,
    Moment,
    MultipleRange,
    Name,
    PositiveShare,
    PositiveShareRange,
    Rps,
    RpsRange,
    Seconds,
    SecondsOrZero,
    SecondsRange,
    Share,
    ShareRange,
    Usd,
    UsdPerHour,
    Words,
)
from capplan.units import Range, format_share


class Sale(Section):
    """When the sale is."""

    name: Name = "sale"
    start: Moment
    duration: Seconds


class Channel(Section):
    """One way in which people hear of the sale."""

    channel: Name = Field(description="A name, such as email, push, social or ads.")
    reach: CountRange = Field(description="How many people see the message.")
    visits: ShareRange = Field(description="Which share of them comes.")
    arrive: Arrive = Field(description="How their visits spread over time.")
    early: ShareRange = Field(
        default=Range(0.0, 0.0),
        description="Which share of those who come looks in before the start as well.",
    )
    send_over: SecondsOrZero = Field(
        default=0.0, description="The message is sent evenly over this time, from the start."
    )

    @field_validator("send_over")
    @classmethod
    def _is_a_message(cls, send_over: float, info: ValidationInfo) -> float:
        arrive = info.data.get("arrive")
        if send_over and arrive and not arrive.sent:
            raise ValueError(
                f"nothing is sent where people arrive {arrive}: use it with a message, such as "
                "within 1 h or like an e-mail"
            )
        return send_over


class SeenPeak(Section):
    """What the servers carry today."""

    rate: Rps
    cpu: Share
    servers: Integer


class Usual(Section):
    """Ordinary business, from which the sale is estimated a second, independent time."""

    orders_per_day: CountRange
    multiple: MultipleRange = Field(description="Of the usual daily orders, within `within`.")
    within: Seconds = Field(description="The window in which those orders come.")
    conversion: PositiveShareRange = Field(description="Orders per visit.")
    weight: Share = Field(
        default=0.5, description="Of this estimate, against that from the audience."
    )


class Visit(Section):
    """What one visit asks of the servers."""

    requests: MultipleRange = Field(description="That reach the servers (not the CDN), per visit.")
    first_page: MultipleRange | None = Field(
        default=None, description="How many of them come within the first 2 s."
    )
    duration: SecondsRange = Field(
        default=Range(75.0, 360.0), description="From the first request to the last."
    )
    tasks: Integer = Field(
        default=5,
        description="How many tasks of the script make a visit, in service.unit: visit, where no "
        "flow says so.",
    )
    order_endpoint: Name | None = Field(
        default=None,
        description="The request of the script that places an order, such as POST /checkout.",
    )
    hot_share: PositiveShareRange | None = Field(
        default=None, description="Which share of the buyers wants one and the same product."
    )

    @field_validator("first_page")
    @classmethod
    def _is_part_of_the_visit(cls, first_page: Range | None, info: ValidationInfo) -> Range | None:
        requests = info.data.get("requests")
        if requests and first_page and first_page.high > requests.high:
            raise ValueError(
                f"a first page of up to {first_page.high:g} requests does not fit into a visit"
                f" of at most {requests.high:g}"
            )
        return first_page


class PastSale(Section):
    """An earlier forecast and what came."""

    name: Name
    forecast: Rps = Field(description="The median peak that was forecast.")
    actual: Rps = Field(description="The peak that came.")


class Metrics(Section):
    """Where the target's own measurements are."""

    prometheus: Address = Field(description="The server that has them; it receives no load.")
    queries: dict[Name, Name] = Field(
        default={},
        description="PromQL by name, one number each, read over each trial. Those named cpu and "
        "memory are the shares (0 to 1) that the target uses.",
    )


class ResourceLimits(Section):
    """Limits of the target's resources that bind like the SLA."""

    cpu: PositiveShare | None = Field(
        default=None, description="Of the cores that the target may use."
    )
    memory: PositiveShare | None = Field(
        default=None, description="Of the memory that the target may have."
    )

    @property
    def given(self) -> dict[str, float]:
        """The limits that are set, by name.

        >>> ResourceLimits(cpu="85%").given
        {'cpu': 0.85}
        """
        limits = {"cpu": self.cpu, "memory": self.memory}
        return {name: limit for name, limit in limits.items() if limit is not None}

    @property
    def words(self) -> list[str]:
        """The limits as an SLA is written on the command line.

        >>> ResourceLimits(cpu="85%", memory="90%").words
        ['cpu<85%', 'memory<90%']
        """
        return [f"{name}<{format_share(limit)}" for name, limit in self.given.items()]


class Endpoint(Sla):
    """An SLA of one endpoint."""

    priority: Literal["critical", "normal", "low"] = "normal"


class Service(Section):
    """What is measured and what it has to keep."""

    target: Address | None = Field(default=None, description="The address that receives the load.")
    locustfile: Files | None = Field(
        default=None, description="One file or a list, relative to the plan."
    )
    arguments: Words = Field(
        default=(),
        description="Handed to the script: --tags, names of user classes, its own options.",
    )
    unit: Literal["task", "visit"] = Field(
        default="task",
        description="What arrives in the load test: single tasks without their waits, or whole "
        "visits by new users.",
    )
    timeout: Seconds = Field(default=10.0, description="No answer by then is a miss.")
    allowed_hosts: tuple[str, ...] = Field(
        default=(), description="Hosts other than this machine that may receive load."
    )
    sla: Sla = Sla(latency_p95=0.3, failures=0.01)
    max: ResourceLimits = ResourceLimits()
    metrics: Metrics | None = None
    endpoints: dict[str, Endpoint] = Field(default={})


class Ceiling(Section):
    """Something that does not scale with servers."""

    name: Name
    rate: Rps
    per: Literal["request", "visit", "order", "hot order"] = "request"


class Alternative(Section):
    """Another kind of server on which the sale could run."""

    instance: InstanceType | None = None
    name: Name | None = Field(default=None, description="Of a kind that is not in the price list.")
    price: UsdPerHour | None = Field(default=None, description="Of one server, else by the list.")
    relative_speed: MultipleRange | None = Field(
        default=None,
        description="Of one against a server of the sale as planned; else assumed from the vCPUs.",
    )

    @model_validator(mode="after")
    def _is_known(self) -> Alternative:
        if self.instance is None and None in (self.name, self.price, self.relative_speed):
            raise ValueError(
                "an alternative needs an instance of the price list, or a name, a price and a "
                "relative_speed"
            )
        return self

    @property
    def label(self) -> str:
        """What it is called."""
        return self.name or (self.instance.name if self.instance else "")


class Batch(Section):
    """How many servers are started at once."""

    servers: Integer
    every: Seconds = Field(description="From one batch to the next.")


def _read_batch(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    match = re.fullmatch(r"(\S+) every (.+)", " ".join(value[:200].split()))
    if match is None:
        raise ValueError(f"{value[:60]!r} is not of the form '4 every 2 min'")
    return dict(zip(("servers", "every"), match.groups(), strict=True))


class Servers(Section):
    """The fleet: what one server costs and how long it needs."""

    today: Integer = Field(default=1, description="Servers that run on an ordinary day.")
    planned: Integer | None = Field(default=None, description="The count that the gate judges.")
    capacity: RpsRange | None = Field(
        default=None, description="Of one server; stands in until it is measured."
    )
    instance: InstanceType | None = Field(default=None, description="Gives a list price.")
    price: UsdPerHour | None = Field(default=None, description="Of one server, else by the list.")
    alternatives: tuple[Alternative, ...] = ()
    boot: SecondsOrZero = Field(default=300.0, description="From request to serving.")
    warmup: SecondsOrZero = Field(default=0.0, description="From serving to full speed.")
    batch: (
        Annotated[
            Batch,
            BeforeValidator(_read_batch),
            WithJsonSchema(
                {
                    "type": "string",
                    "description": "How many are started at once; else all of them.",
                    "examples": ["4 every 2 min"],
                }
            ),
        ]
        | None
    ) = None
    hold: SecondsOrZero = Field(
        default=1800.0,
        description="After the peak, and after each step down, until the next step down.",
    )
    group: Name | None = Field(
        default=None,
        description="The Deployment or the Auto Scaling group that exports name.",
    )
    headroom: Share = Field(
        default=0.3,
        description="Of what a server sustains, left free under an autoscaler.",
    )
    zones: Integer = Field(default=1, description="The fleet survives the loss of one.")
    limit: Integer | None = Field(default=None, description="The quota of the account.")
    ceilings: tuple[Ceiling, ...] = ()
    scaling_loss: LossRange = Field(
        default=Range(0.0, 0.15), description="Lost by running many servers instead of one."
    )
    imbalance: LossRange = Field(
        default=Range(0.0, 0.1), description="Lost by uneven balancing of the load."
    )
    relative_speed: MultipleRange = Field(
        default=Range(1.0, 1.0), description="Of a server in the sale against the one measured."
    )

    @property
    def usd_per_h(self) -> float:
        """What one server costs: by its own price, else by the list; 0 where nothing is known."""
        if self.price is not None:
            return self.price
        return self.instance.usd_per_h if self.instance else 0.0

    @property
    def priced(self) -> bool:
        """Whether the plan says what a server costs; $0/h is a price, too."""
        return self.price is not None or self.instance is not None

    @field_validator("alternatives")
    @classmethod
    def _can_be_compared(
        cls, alternatives: tuple[Alternative, ...], info: ValidationInfo
    ) -> tuple[Alternative, ...]:
        instance = info.data.get("instance")
        seen = {instance.name} if instance else set()
        for other in alternatives:
            if other.label in seen:
                raise ValueError(f"{other.label} stands twice")
            seen.add(other.label)
            if other.relative_speed is None and instance is None and "instance" in info.data:
                raise ValueError(
                    f"nothing says how fast {other.label} is against the servers of the plan: give "
                    "its relative_speed, or servers.instance"
                )
        return alternatives

    @field_validator("limit")
    @classmethod
    def _leaves_room_for_the_planned(cls, limit: int | None, info: ValidationInfo) -> int | None:
        planned = info.data.get("planned")
        if limit is not None and planned is not None and planned > limit:
            raise ValueError(f"the {planned} planned servers are more than the limit of {limit}")
        return limit


class Policy(Section):
    """What risk and what cost are accepted."""

    overload_risk: Share = 0.01
    zone_loss_risk: Share = 0.1
    window: Seconds = Field(default=10.0, description="A shorter peak is a queue.")
    value_per_visit: Usd | None = None
    budget: Usd | None = None


class Gate(Section):
    """Criteria for CI."""

    capacity_drop: Share = Field(
        default=0.1,
        description="Accepted loss of what one server sustains, of a commit against its base.",
    )


def _read_seen_peak(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    match = re.fullmatch(r"(.+) at (.+) CPU on (\S+) servers?", " ".join(value[:200].split()))
    if match is None:
        raise ValueError(f"{value[:60]!r} is not of the form '850 rps at 35% CPU on 6 servers'")
    return dict(zip(("rate", "cpu", "servers"), match.groups(), strict=True))


class UsualWithPeak(Usual):
    """Ordinary business, and optionally its peak."""

    peak: (
        Annotated[
            SeenPeak,
            BeforeValidator(_read_seen_peak),
            WithJsonSchema({"type": "string", "examples": ["850 rps at 35% CPU on 6 servers"]}),
        ]
        | None
    ) = None


class Plan(Section):
    """A whole plan."""

    sale: Sale
    audience: tuple[Channel, ...] = ()
    usual: UsualWithPeak | None = None
    audience_correlation: Share = Field(
        default=0.5, description="How much the channels move together."
    )
    overlap: LossRange = Field(
        default=Range(0.0, 0.0), description="Reached by several channels, comes once."
    )
    visit: Visit
    gusts: LossRange = Field(
        default=Range(0.0, 0.1),
        description="How much the arrivals of one policy.window spread round their mean, beyond "
        "Poisson, as a share of it.",
    )
    history: tuple[PastSale, ...] = ()
    service: Service = Service()
    servers: Servers = Servers()
    policy: Policy = Policy()
    saleday: Saleday = Saleday()
    gate: Gate = Gate()

    @field_validator("audience")
    @classmethod
    def _no_channel_twice(cls, audience: tuple[Channel, ...]) -> tuple[Channel, ...]:
        first: dict[str, int] = {}
        for i, channel in enumerate(audience):
            if (before := first.setdefault(channel.channel, i)) != i:
                raise ValueError(
                    f"the channel {channel.channel!r} stands twice, as [{before}] and [{i}]"
                )
        return audience

    @field_validator("saleday")
    @classmethod
    def _contradicts_nothing(cls, saleday: Saleday, info: ValidationInfo) -> Saleday:
        sale, service = info.data.get("sale"), info.data.get("service")
        if sale is not None and service is not None:
            found = contradictions(saleday, sale.duration, service.timeout)
            if first := next(found, None):
                raise ValueError(first)
        return saleday

    @model_validator(mode="after")
    def _someone_comes(self) -> Plan:
        if not self.audience and self.usual is None:
            raise ValueError("nobody comes: give at least one channel under audience, or usual")
        return self
