"""How the visits of one channel spread over time, as the plan says it."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, PlainSerializer, WithJsonSchema

from capplan.plan.types import Seconds
from capplan.units import format_duration

Kind = Literal[
    "within", "evenly", "at the start", "like an e-mail", "like a push", "like an opening", "file"
]

_LIKE: dict[str, Kind] = {
    "e-mail": "like an e-mail",
    "email": "like an e-mail",
    "push": "like a push",
    "opening": "like an opening",
}
_FILE = re.compile(r".+\.(csv|json)", re.IGNORECASE)
_KNOWN = "within 1 h, like an e-mail, like a push, like an opening, evenly, at the start, curve.csv"


class Spread(BaseModel):
    """An arrival pattern.

    ``within``: a message goes out at the start of the sale and most visits come ``within_s``
    seconds. ``like an e-mail``, ``like a push``: a message, with the published timing of clicks.
    ``like an opening``: a rush at the start, then evenly. ``evenly``: over the whole sale.
    ``at the start``: they wait for it. ``file``: the user's own curve, relative to the plan.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Kind
    within_s: Seconds | None = None
    file: str | None = None

    @property
    def sent(self) -> bool:
        """Whether the visits answer a message, which may be sent more slowly."""
        return self.kind in ("within", "like an e-mail", "like a push")

    def __str__(self) -> str:
        """Return the pattern as it is written in a plan."""
        if self.within_s is not None:
            return f"within {format_duration(self.within_s)}"
        return self.file or self.kind


def _read(value: Any) -> Any:
    if isinstance(value, Spread):
        return value
    text = " ".join(value.split()) if isinstance(value, str) else "a list or a mapping"
    word, _, rest = text.partition(" ")
    if text in ("evenly", "at the start"):
        return {"kind": text}
    if word == "within":
        return {"kind": word, "within_s": rest}
    if word == "like" and (kind := _LIKE.get(re.sub(r"^an? ", "", rest))):
        return {"kind": kind}
    if isinstance(value, str) and _FILE.fullmatch(value.strip()):
        return {"kind": "file", "file": value.strip()}
    raise ValueError(f"{text[:40]!r} is not one of: {_KNOWN}")


def _write(spread: Spread) -> str:
    # to the digit, unlike str(): the plan's hash is made from it
    return str(spread) if spread.within_s is None else f"within {spread.within_s!r} s"


Arrive = Annotated[
    Spread,
    BeforeValidator(_read),
    PlainSerializer(_write, return_type=str),
    WithJsonSchema(
        {
            "type": "string",
            "pattern": r"^(within .+|like (an? )?(e-?mail|push|opening)|evenly|at the start"
            r"|.+\.(csv|CSV|json|JSON))$",
            "examples": [
                "curves/launch.csv",
                "like an opening",
                "like a push",
                "like an e-mail",
                "evenly",
                "at the start",
                "within 1 h",
            ],
        }
    ),
]
