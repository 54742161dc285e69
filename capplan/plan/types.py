"""Field types of the plan: text with units in, base units out.

Each type reads the text that stands in the YAML file, checks its bounds, and describes itself in
the JSON Schema. The alias names the unit of the value that the program sees.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

from capplan.units import (
    Range,
    parse_count,
    parse_duration,
    parse_money,
    parse_multiple,
    parse_price,
    parse_range,
    parse_rate,
    parse_share,
)

Check = Callable[[float], str | None]
"""A bound: the complaint about a value, or None when it is fine."""


def _positive(value: float) -> str | None:
    return None if value > 0 else "must be more than zero"


def _not_negative(value: float) -> str | None:
    return None if value >= 0 else "must not be negative"


def _below_one(value: float) -> str | None:
    return None if value < 1 else "must be less than 100%"


def _scalar(parse: Callable[[str], float], check: Check) -> Callable[[Any], float]:
    def read(value: Any) -> float:
        number = _base_units(value) if isinstance(value, int | float) else parse(_text(value))
        if complaint := check(number):
            raise ValueError(f"{value!r} {complaint}")
        return number

    return read


def _interval(parse: Callable[[str], float], check: Check) -> Callable[[Any], Range]:
    def read(value: Any) -> Range:
        if isinstance(value, Range):
            return value
        interval = parse_range(_text(value), parse)
        if complaint := check(interval.low) or check(interval.high):
            raise ValueError(f"{_text(value)!r} {complaint}")
        return interval

    return read


def _base_units(value: float) -> float:
    # YAML scalars arrive as text; a number comes from Python or from a result and has no unit
    if isinstance(value, bool) or not math.isfinite(value):
        raise ValueError(f"{value!r} is not a number")
    return float(value)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{_brief(value)} is not a single value")
    return value


def _brief(value: Any) -> str:
    return {dict: "a mapping", list: "a list", type(None): "nothing"}.get(type(value), repr(value))


def _schema(description: str, *examples: str) -> WithJsonSchema:
    return WithJsonSchema(
        {"type": ["string", "number"], "description": description, "examples": list(examples)}
    )


_as_pair = PlainSerializer(lambda r: [r.low, r.high], return_type=list[float])


def _read_integer(value: Any) -> int:
    text = str(value) if isinstance(value, int) else _text(value).strip()
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        raise ValueError(f"{text[:40]!r} is not a whole number")
    if int(text) < 1:
        raise ValueError(f"{text!r} must be at least 1")
    return int(text)


def _read_time(value: Any) -> datetime:
    if isinstance(value, datetime):
        moment = value
    else:
        text = _text(value)
        try:
            moment = datetime.fromisoformat(text.strip())
        except ValueError:
            raise ValueError(
                f"{text[:40]!r} is not a time: write it like 2026-11-27T12:00:00+01:00"
            ) from None
    if moment.utcoffset() is None:
        raise ValueError(f"{str(value)[:40]!r} has no time zone: add one, such as +01:00 or Z")
    return moment


Seconds = Annotated[
    float,
    BeforeValidator(_scalar(parse_duration, _positive)),
    _schema("A duration with its unit.", "250 ms", "10 min", "2 h"),
]
SecondsOrZero = Annotated[
    float,
    BeforeValidator(_scalar(parse_duration, _not_negative)),
    _schema("A duration with its unit, or 0.", "0", "2 min"),
]
Rps = Annotated[
    float,
    BeforeValidator(_scalar(parse_rate, _positive)),
    _schema("A rate with its unit.", "850 rps", "50/s"),
]
Share = Annotated[
    float,
    BeforeValidator(_scalar(parse_share, _not_negative)),
    _schema("A share from 0% to 100%.", "1%", "0.01"),
]
Usd = Annotated[
    float,
    BeforeValidator(_scalar(parse_money, _not_negative)),
    _schema("An amount in US dollars.", "$0.40", "$200"),
]
UsdPerHour = Annotated[
    float,
    BeforeValidator(_scalar(parse_price, _not_negative)),
    _schema("A price per hour in US dollars.", "$0.17/h"),
]
Integer = Annotated[int, BeforeValidator(_read_integer), _schema("A whole number.", "6")]
Moment = Annotated[
    datetime,
    BeforeValidator(_read_time),
    WithJsonSchema(
        {
            "type": "string",
            "format": "date-time",
            "description": "A time with its zone.",
            "examples": ["2026-11-27T12:00:00+01:00"],
        }
    ),
]

CountRange = Annotated[
    Range,
    BeforeValidator(_interval(parse_count, _positive)),
    _as_pair,
    _schema("A count, or a 90 % interval of one.", "400k", "8k to 20k"),
]
ShareRange = Annotated[
    Range,
    BeforeValidator(_interval(parse_share, _not_negative)),
    _as_pair,
    _schema("A share, or a 90 % interval of one.", "2%", "1% to 3%"),
]
PositiveShareRange = Annotated[
    Range,
    BeforeValidator(_interval(parse_share, _positive)),
    _as_pair,
    _schema("A share above 0%, or a 90 % interval of one.", "2%", "2% to 3%"),
]
LossRange = Annotated[
    Range,
    BeforeValidator(_interval(parse_share, lambda v: _not_negative(v) or _below_one(v))),
    _as_pair,
    _schema("A share below 100%, or a 90 % interval of one.", "0% to 15%"),
]
SecondsRange = Annotated[
    Range,
    BeforeValidator(_interval(parse_duration, _positive)),
    _as_pair,
    _schema("A duration, or a 90 % interval of one.", "3 min", "2 min to 6 min"),
]
RpsRange = Annotated[
    Range,
    BeforeValidator(_interval(parse_rate, _positive)),
    _as_pair,
    _schema("A rate, or a 90 % interval of one.", "400 rps", "350 to 420 rps"),
]
MultipleRange = Annotated[
    Range,
    BeforeValidator(_interval(parse_multiple, _positive)),
    _as_pair,
    _schema("A factor, or a 90 % interval of one.", "10x", "3 to 8"),
]
