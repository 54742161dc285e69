"""The section of the plan that says what CI judges: each criterion by a limit, or not at all."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Discriminator, Field, Tag, WithJsonSchema

from capplan.plan.section import Section
from capplan.plan.types import Share, Usd, YesNo

_OFF = ("off", "no", "false", False)
_Off = Annotated[Literal["off"], BeforeValidator(lambda _: "off"), Tag("off")]


def _kind(value: Any) -> str:
    return "off" if isinstance(value, str | bool) and value in _OFF else "limit"


def _or_off(description: str, *examples: str, unit: str) -> WithJsonSchema:
    about = {"description": description, "examples": [*examples, "off"], "x-unit": unit}
    return WithJsonSchema(about | {"anyOf": [{"type": ["string", "number"]}, {"const": False}]})


ShareOrOff = Annotated[
    Annotated[Share, Tag("limit")] | _Off,
    Discriminator(_kind),
    _or_off("A share from 0% to 100%, or off.", "1%", unit="share"),
]
UsdOrOff = Annotated[
    Annotated[Usd, Tag("limit")] | _Off,
    Discriminator(_kind),
    _or_off("An amount in US dollars, or off.", "$200", unit="usd"),
]


class Gate(Section):
    """Criteria for CI, each of them a limit or off; what is not said is judged by the policy."""

    overload_risk: ShareOrOff | None = Field(
        default=None,
        description="Accepted P(overload) of servers.planned, else policy.overload_risk; or off.",
    )
    zone_loss_risk: ShareOrOff | None = Field(
        default=None,
        description="The same with one zone lost, else policy.zone_loss_risk; or off.",
    )
    budget: UsdOrOff | None = Field(
        default=None, description="For servers.planned, else policy.budget; or off."
    )
    sla: YesNo = Field(
        default=True, description="Judge whether one server holds the SLA at any load; yes."
    )
    ceilings: YesNo = Field(
        default=True, description="Judge servers.ceilings by the accepted overload risk; yes."
    )
    capacity_drop: ShareOrOff = Field(
        default=0.1,
        description="Accepted loss of what one server sustains, of a commit against its base; "
        "or off.",
    )
