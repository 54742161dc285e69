"""How the visits of one channel spread over time, as the plan says it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, PlainSerializer, WithJsonSchema

from capplan.plan.types import Seconds
from capplan.units import format_duration


class Spread(BaseModel):
    """An arrival pattern.

    ``within``: a message goes out at the start of the sale and most visits come ``within_s``
    seconds. ``evenly``: over the whole sale. ``at the start``: they wait for the start.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["within", "evenly", "at the start"]
    within_s: Seconds | None = None

    def __str__(self) -> str:
        """Return the pattern as it is written in a plan."""
        if self.within_s is not None:
            return f"within {format_duration(self.within_s)}"
        return self.kind


def _read(value: Any) -> Any:
    if isinstance(value, Spread):
        return value
    text = " ".join(value.split()) if isinstance(value, str) else "a list or a mapping"
    word, _, duration = text.partition(" ")
    if text in ("evenly", "at the start"):
        return {"kind": text}
    if word == "within":
        return {"kind": word, "within_s": duration}
    raise ValueError(f"{text[:40]!r} is not one of: within 1 h, evenly, at the start")


def _write(spread: Spread) -> str:
    # to the digit, unlike str(): the plan's hash is made from it
    return spread.kind if spread.within_s is None else f"within {spread.within_s!r} s"


Arrive = Annotated[
    Spread,
    BeforeValidator(_read),
    PlainSerializer(_write, return_type=str),
    WithJsonSchema(
        {
            "type": "string",
            "pattern": "^(within .+|evenly|at the start)$",
            "examples": ["evenly", "at the start", "within 1 h"],
        }
    ),
]
