"""The plan: every key a user may write, with its type, its default and its meaning.

All values are in base units (seconds, requests per second, ratios, US dollars). Field descriptions
go into the JSON Schema, so that an editor shows them while the plan is written. The sections stand
in ``audience``, ``service``, ``fleet``, ``saleday`` and ``gate``.
"""

from __future__ import annotations

from pydantic import Field, ValidationInfo, field_validator, model_validator

from capplan.plan.audience import Channel, PastSale, SeenPeak, Usual, Visit
from capplan.plan.contradictions import contradictions
from capplan.plan.fleet import Alternative, Batch, Ceiling, Policy, Servers
from capplan.plan.gate import Gate
from capplan.plan.saleday import Saleday
from capplan.plan.section import Section
from capplan.plan.service import Endpoint, Metrics, ResourceLimits, Service
from capplan.plan.types import LossRange, Moment, Name, Seconds, Share
from capplan.units import Range

__all__ = [
    "Alternative",
    "Batch",
    "Ceiling",
    "Channel",
    "Endpoint",
    "Gate",
    "Metrics",
    "PastSale",
    "Plan",
    "Policy",
    "ResourceLimits",
    "Sale",
    "Saleday",
    "SeenPeak",
    "Servers",
    "Service",
    "Usual",
    "Visit",
]


class Sale(Section):
    """When the sale is."""

    name: Name = "sale"
    start: Moment
    duration: Seconds


class Plan(Section):
    """A whole plan."""

    sale: Sale
    audience: tuple[Channel, ...] = ()
    usual: Usual | None = None
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
