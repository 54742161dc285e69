"""Field types of the plan: text with units in, base units out.

Each type reads the text that stands in the YAML file, checks its bounds, and describes itself in
the JSON Schema. The alias names the unit of the value that the program sees.
"""

from __future__ import annotations

import math
import re
import shlex
from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any
from urllib.parse import urlsplit

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

_LONGEST_S = 366 * 86400.0
_LARGEST = 1e12  # far above any sale, and far enough below overflow for products of a few values
_MOST_THINGS = 1_000_000
_MOST_ATTEMPTS = 10
_ALWAYS_WRITTEN = ("seconds", "rps", "usd", "usd_per_h")
_TEXT_OR_NUMBER = ["string", "number"]
_SMALLEST = 1e-9  # what is divided by must not be so small that the ratio overflows


def _positive(value: float) -> str | None:
    if value <= 0:
        return "must be more than zero"
    return None if _SMALLEST <= value <= _LARGEST else "is out of all proportion"


def _not_negative(value: float) -> str | None:
    if value < 0:
        return "must not be negative"
    return None if value <= _LARGEST else "is out of all proportion"


def _below_one(value: float) -> str | None:
    return _not_negative(value) or (None if value < 1 else "must be less than 100%")


def _within_a_year(check: Check) -> Check:
    return lambda value: (
        check(value) or (None if value <= _LONGEST_S else "must not be more than a year")
    )


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


def _schema(description: str, *examples: str, unit: str) -> WithJsonSchema:
    # x-unit: what the value is counted in inside, so that a default can be shown as it is written
    about = {"description": description, "examples": list(examples), "x-unit": unit}
    return WithJsonSchema(
        {"type": "string" if unit in _ALWAYS_WRITTEN else _TEXT_OR_NUMBER} | about
    )


_as_pair = PlainSerializer(lambda r: [r.low, r.high], return_type=list[float])


def _read_integer(value: Any) -> int:
    text = str(value) if isinstance(value, int) else _text(value).strip()
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        raise ValueError(f"{text[:40]!r} is not a whole number")
    if not 1 <= int(text) <= _MOST_THINGS:
        raise ValueError(f"{text!r} must be from 1 to {_MOST_THINGS:,}")
    return int(text)


def _read_level(value: Any) -> int:
    text = str(value) if isinstance(value, int) else _text(value).strip()
    if not re.fullmatch("[0-9]", text):
        raise ValueError(f"{text[:40]!r} is not a whole number from 0 to 9")
    return int(text)


def _read_attempts(value: Any) -> int:
    attempts = _read_integer(value)
    if attempts > _MOST_ATTEMPTS:
        raise ValueError(f"{attempts} attempts are more than any client makes: use 1 to 10")
    return attempts


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
    if not 2000 <= moment.year < 2100:
        raise ValueError(f"{str(value)[:40]!r} is not in this century")
    return moment


def _read_name(value: Any) -> str:
    name = _text(value).strip()
    if not 1 <= len(name) <= 80 or not name.isprintable():
        raise ValueError(f"{name[:40]!r} is not a name: write one line of 1 to 80 characters")
    return name


def _read_files(value: Any) -> tuple[str, ...]:
    files = (value,) if isinstance(value, str) else value
    if not isinstance(files, list | tuple) or not files:
        raise ValueError(f"{_brief(value)} is not a file or a list of files")
    return tuple(_read_file(file) for file in files)


def _read_file(value: Any) -> str:
    if not _text(value).strip():
        raise ValueError("an empty name is not a file")
    return _text(value)


def _read_words(value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        try:
            return tuple(shlex.split(value))
        except ValueError:
            raise ValueError(f"{value[:60]!r} has a quote that is not closed") from None
    if not isinstance(value, list | tuple):
        raise ValueError(f"{_brief(value)} is not a line of options or a list of them")
    return tuple(_text(word) for word in value)


def _read_address(value: Any) -> str:
    text = _text(value).strip()
    try:
        parts = urlsplit(text)
        usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        usable = False
    if not usable or not text.isprintable() or " " in text:
        raise ValueError(f"{text[:60]!r} is not an address: write it like http://127.0.0.1:8899")
    return text


def _yes_or_no(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if value not in ("yes", "no", "true", "false", "on", "off"):
        raise ValueError(f"{str(value)[:60]!r} is neither yes nor no")
    return value in ("yes", "true", "on")


Name = Annotated[
    str,
    BeforeValidator(_read_name),
    WithJsonSchema({"type": _TEXT_OR_NUMBER, "description": "A name, on one line."}),
]
Files = Annotated[
    tuple[str, ...],
    BeforeValidator(_read_files),
    # one file is written, and hashed, as plain text
    PlainSerializer(lambda files: files[0] if len(files) == 1 else list(files)),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "minLength": 1},
                {"type": "array", "items": {"type": "string", "minLength": 1}, "minItems": 1},
            ]
        }
    ),
]
Words = Annotated[
    tuple[str, ...],
    BeforeValidator(_read_words),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string"},
                {"type": "array", "items": {"type": _TEXT_OR_NUMBER}},
            ],
            "examples": ["--tags buy --basket full"],
        }
    ),
]
Address = Annotated[
    str,
    BeforeValidator(_read_address),
    WithJsonSchema(
        {
            "type": "string",
            "pattern": "^https?://",
            "description": "An address that begins with http:// or https://.",
            "examples": ["http://127.0.0.1:8899"],
        }
    ),
]


Seconds = Annotated[
    float,
    BeforeValidator(_scalar(parse_duration, _within_a_year(_positive))),
    _schema("A duration with its unit.", "250 ms", "10 min", "2 h", unit="seconds"),
]
SecondsOrZero = Annotated[
    float,
    BeforeValidator(_scalar(parse_duration, _within_a_year(_not_negative))),
    _schema("A duration with its unit, or 0.", "0", "2 min", unit="seconds_or_zero"),
]
Rps = Annotated[
    float,
    BeforeValidator(_scalar(parse_rate, _positive)),
    _schema("A rate with its unit.", "850 rps", "50/s", unit="rps"),
]
Share = Annotated[
    float,
    BeforeValidator(_scalar(parse_share, _not_negative)),
    _schema("A share from 0% to 100%.", "1%", "0.01", unit="share"),
]
PositiveShare = Annotated[
    float,
    BeforeValidator(_scalar(parse_share, _positive)),
    _schema("A share above 0%, up to 100%.", "85%", "0.85", unit="share"),
]
Usd = Annotated[
    float,
    BeforeValidator(_scalar(parse_money, _not_negative)),
    _schema("An amount in US dollars.", "$0.40", "$200", unit="usd"),
]
UsdPerHour = Annotated[
    float,
    BeforeValidator(_scalar(parse_price, _not_negative)),
    _schema("A price per hour in US dollars.", "$0.17/h", unit="usd_per_h"),
]
Integer = Annotated[
    int, BeforeValidator(_read_integer), _schema("A whole number.", "6", unit="whole")
]
Attempts = Annotated[
    int,
    BeforeValidator(_read_attempts),
    _schema("A whole number from 1 to 10; 1 is a client that gives up at once.", "2", unit="whole"),
]
YesNo = Annotated[
    bool,
    BeforeValidator(_yes_or_no),
    WithJsonSchema({"description": "yes or no.", "enum": ["yes", "no", "on", "off", True, False]}),
]
Level = Annotated[
    int, BeforeValidator(_read_level), _schema("A whole number from 0 to 9.", "0", unit="whole")
]
Multiple = Annotated[
    float,
    BeforeValidator(_scalar(parse_multiple, _positive)),
    _schema("A factor.", "10x", "0.03", unit="multiple"),
]
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
    _schema("A count, or a 90 % interval of one.", "400k", "8k to 20k", unit="count"),
]
ShareRange = Annotated[
    Range,
    BeforeValidator(_interval(parse_share, _not_negative)),
    _as_pair,
    _schema("A share, or a 90 % interval of one.", "2%", "1% to 3%", unit="share"),
]
PositiveShareRange = Annotated[
    Range,
    BeforeValidator(_interval(parse_share, _positive)),
    _as_pair,
    _schema("A share above 0%, or a 90 % interval of one.", "2%", "2% to 3%", unit="share"),
]
LossRange = Annotated[
    Range,
    BeforeValidator(_interval(parse_share, _below_one)),
    _as_pair,
    _schema("A share below 100%, or a 90 % interval of one.", "0% to 15%", unit="share"),
]
SecondsRange = Annotated[
    Range,
    BeforeValidator(_interval(parse_duration, _within_a_year(_positive))),
    _as_pair,
    _schema("A duration, or a 90 % interval of one.", "3 min", "2 min to 6 min", unit="seconds"),
]
RpsRange = Annotated[
    Range,
    BeforeValidator(_interval(parse_rate, _positive)),
    _as_pair,
    _schema("A rate, or a 90 % interval of one.", "400 rps", "350 to 420 rps", unit="rps"),
]
MultipleRange = Annotated[
    Range,
    BeforeValidator(_interval(parse_multiple, _positive)),
    _as_pair,
    _schema("A factor, or a 90 % interval of one.", "10x", "3 to 8", unit="multiple"),
]
