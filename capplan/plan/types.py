"""Field types of the plan: text with units in, base units out.

Each type reads the text that stands in the YAML file, checks its bounds, and describes itself in
the JSON Schema. The alias names the unit of the value that the program sees.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

from capplan.plan.reading import (
    below_one,
    interval,
    not_negative,
    positive,
    read_address,
    read_attempts,
    read_files,
    read_integer,
    read_level,
    read_moment,
    read_name,
    read_words,
    read_yes_or_no,
    scalar,
    within_a_year,
)
from capplan.units import (
    Range,
    parse_count,
    parse_duration,
    parse_money,
    parse_multiple,
    parse_price,
    parse_rate,
    parse_share,
)

_ALWAYS_WRITTEN = ("seconds", "rps", "usd", "usd_per_h")
_TEXT_OR_NUMBER = ["string", "number"]


def _schema(description: str, *examples: str, unit: str) -> WithJsonSchema:
    # x-unit: what the value is counted in inside, so that a default can be shown as it is written
    about = {"description": description, "examples": list(examples), "x-unit": unit}
    return WithJsonSchema(
        {"type": "string" if unit in _ALWAYS_WRITTEN else _TEXT_OR_NUMBER} | about
    )


_as_pair = PlainSerializer(lambda r: [r.low, r.high], return_type=list[float])

Name = Annotated[
    str,
    BeforeValidator(read_name),
    WithJsonSchema({"type": _TEXT_OR_NUMBER, "description": "A name, on one line."}),
]
Files = Annotated[
    tuple[str, ...],
    BeforeValidator(read_files),
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
    BeforeValidator(read_words),
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
    BeforeValidator(read_address),
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
    BeforeValidator(scalar(parse_duration, within_a_year(positive))),
    _schema("A duration with its unit.", "250 ms", "10 min", "2 h", unit="seconds"),
]
SecondsOrZero = Annotated[
    float,
    BeforeValidator(scalar(parse_duration, within_a_year(not_negative))),
    _schema("A duration with its unit, or 0.", "0", "2 min", unit="seconds_or_zero"),
]
Rps = Annotated[
    float,
    BeforeValidator(scalar(parse_rate, positive)),
    _schema("A rate with its unit.", "850 rps", "50/s", unit="rps"),
]
Share = Annotated[
    float,
    BeforeValidator(scalar(parse_share, not_negative)),
    _schema("A share from 0% to 100%.", "1%", "0.01", unit="share"),
]
PositiveShare = Annotated[
    float,
    BeforeValidator(scalar(parse_share, positive)),
    _schema("A share above 0%, up to 100%.", "85%", "0.85", unit="share"),
]
Usd = Annotated[
    float,
    BeforeValidator(scalar(parse_money, not_negative)),
    _schema("An amount in US dollars.", "$0.40", "$200", unit="usd"),
]
UsdPerHour = Annotated[
    float,
    BeforeValidator(scalar(parse_price, not_negative)),
    _schema("A price per hour in US dollars.", "$0.17/h", unit="usd_per_h"),
]
Integer = Annotated[
    int, BeforeValidator(read_integer), _schema("A whole number.", "6", "2k", unit="whole")
]
Attempts = Annotated[
    int,
    BeforeValidator(read_attempts),
    _schema("A whole number from 1 to 10; 1 is a client that gives up at once.", "2", unit="whole"),
]
YesNo = Annotated[
    bool,
    BeforeValidator(read_yes_or_no),
    WithJsonSchema({"description": "yes or no.", "enum": ["yes", "no", "on", "off", True, False]}),
]
Level = Annotated[
    int, BeforeValidator(read_level), _schema("A whole number from 0 to 9.", "0", unit="whole")
]
Multiple = Annotated[
    float,
    BeforeValidator(scalar(parse_multiple, positive)),
    _schema("A factor.", "10x", "0.03", unit="multiple"),
]
Moment = Annotated[
    datetime,
    BeforeValidator(read_moment),
    WithJsonSchema(
        {
            "type": "string",
            "format": "date-time",
            "description": "A time with its zone.",
            "examples": ["2027-11-26T12:00:00+01:00"],
        }
    ),
]

CountRange = Annotated[
    Range,
    BeforeValidator(interval(parse_count, positive)),
    _as_pair,
    _schema("A count, or a 90 % interval of one.", "400k", "8k to 20k", unit="count"),
]
ShareRange = Annotated[
    Range,
    BeforeValidator(interval(parse_share, not_negative)),
    _as_pair,
    _schema("A share, or a 90 % interval of one.", "2%", "1% to 3%", unit="share"),
]
PositiveShareRange = Annotated[
    Range,
    BeforeValidator(interval(parse_share, positive)),
    _as_pair,
    _schema("A share above 0%, or a 90 % interval of one.", "2%", "2% to 3%", unit="share"),
]
LossRange = Annotated[
    Range,
    BeforeValidator(interval(parse_share, below_one)),
    _as_pair,
    _schema("A share below 100%, or a 90 % interval of one.", "0% to 15%", unit="share"),
]
SecondsRange = Annotated[
    Range,
    BeforeValidator(interval(parse_duration, within_a_year(positive))),
    _as_pair,
    _schema("A duration, or a 90 % interval of one.", "3 min", "2 min to 6 min", unit="seconds"),
]
RpsRange = Annotated[
    Range,
    BeforeValidator(interval(parse_rate, positive)),
    _as_pair,
    _schema("A rate, or a 90 % interval of one.", "400 rps", "350 to 420 rps", unit="rps"),
]
MultipleRange = Annotated[
    Range,
    BeforeValidator(interval(parse_multiple, positive)),
    _as_pair,
    _schema("A factor, or a 90 % interval of one.", "10x", "3 to 8", unit="multiple"),
]
