"""How the visits of one channel spread over time, as the plan says it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, PlainSerializer, WithJsonSchema

from capplan.units import format_duration, parse_duration


class Spread(BaseModel):
    """An arrival pattern.

    ``within``: a message goes out at the start of the sale and most visits come ``within_s``
    seconds. ``evenly``: over the whole sale. ``at the start``: they wait for the start.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["within", "evenly", "at the start"]
    within_s: float | None = None

    def __str__(self) -> str:
        """Return the pattern as it is written in a plan."""
        if self.within_s is not None:
            return f"within {format_duration(self.within_s)}"
        return self.kind


def _read(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    text = " ".join(value.split())
    if text in ("evenly", "at the start"):
        return {"kind": text}
    word, _, duration = text.partition(" ")
    if word != "within":
        raise ValueError(f"{text[:40]!r} is not one of: within 1 h, evenly, at the start")
    within_s = parse_duration(duration)
    if within_s <= 0:
        raise ValueError(f"{text[:40]!r} must be more than zero")
    return Spread(kind="within", within_s=within_s)


Arrive = Annotated[
    Spread,
    BeforeValidator(_read),
    PlainSerializer(str, return_type=str),
    WithJsonSchema(
        {
            "type": "string",
            "pattern": "^(within .+|evenly|at the start)$",
            "examples": ["within 1 h", "evenly", "at the start"],
        }
    ),
]
