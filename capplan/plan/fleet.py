"""Sections of the plan about the fleet: its servers, their limits and the risk that is accepted."""

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

from capplan.plan.instances import InstanceType
from capplan.plan.section import Section
from capplan.plan.types import (
    Integer,
    LossRange,
    MultipleRange,
    Name,
    Rps,
    RpsRange,
    Seconds,
    SecondsOrZero,
    Share,
    Usd,
    UsdPerHour,
)
from capplan.units import Range

CeilingUnit = Literal["request", "visit", "order", "hot order"]


class Ceiling(Section):
    """Something that does not scale with servers."""

    name: Name
    rate: Rps
    per: CeilingUnit = "request"


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
