"""Sections of the plan about people: who hears of the sale, who comes, what a visit asks for."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, ValidationInfo, WithJsonSchema, field_validator

from capplan.plan.arrive import Arrive
from capplan.plan.section import Section
from capplan.plan.types import (
    CountRange,
    Integer,
    MultipleRange,
    Name,
    PositiveShareRange,
    Rps,
    Seconds,
    SecondsOrZero,
    SecondsRange,
    Share,
    ShareRange,
)
from capplan.units import Range


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


def _read_seen_peak(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    match = re.fullmatch(r"(.+) at (.+) CPU on (\S+) servers?", " ".join(value[:200].split()))
    if match is None:
        raise ValueError(f"{value[:60]!r} is not of the form '850 rps at 35% CPU on 6 servers'")
    return dict(zip(("rate", "cpu", "servers"), match.groups(), strict=True))


class Usual(Section):
    """Ordinary business, from which the sale is estimated a second, independent time."""

    orders_per_day: CountRange
    multiple: MultipleRange = Field(description="Of the usual daily orders, within `within`.")
    within: Seconds = Field(description="The window in which those orders come.")
    conversion: PositiveShareRange = Field(description="Orders per visit.")
    weight: Share = Field(
        default=0.5, description="Of this estimate, against that from the audience."
    )
    peak: (
        Annotated[
            SeenPeak,
            BeforeValidator(_read_seen_peak),
            WithJsonSchema({"type": "string", "examples": ["850 rps at 35% CPU on 6 servers"]}),
        ]
        | None
    ) = None


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
