"""From the text of a value in the plan to what it means: numbers in base units, within bounds.

A reader raises ``ValueError`` that names the text. A number comes from Python, or from a result,
and is in base units already.
"""

from __future__ import annotations

import math
import re
import shlex
from collections.abc import Callable
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from capplan.units import Range, parse_count, parse_range

Check = Callable[[float], str | None]
"""A bound: the complaint about a value, or None when it is fine."""

_LONGEST_S = 366 * 86400.0
_LARGEST = 1e12  # far above any sale, and far enough below overflow for products of a few values
_MOST_THINGS = 1_000_000
_MOST_ATTEMPTS = 10
_SMALLEST = 1e-9  # what is divided by must not be so small that the ratio overflows


def positive(value: float) -> str | None:
    """Complain of what is not above zero, or absurd."""
    if value <= 0:
        return "must be more than zero"
    return None if _SMALLEST <= value <= _LARGEST else "is out of all proportion"


def not_negative(value: float) -> str | None:
    """Complain of what is below zero, or absurd."""
    if value < 0:
        return "must not be negative"
    return None if value <= _LARGEST else "is out of all proportion"


def below_one(value: float) -> str | None:
    """Complain of a share that leaves nothing."""
    return not_negative(value) or (None if value < 1 else "must be less than 100%")


def within_a_year(check: Check) -> Check:
    """Bound a duration, in seconds, by a year as well."""
    return lambda value: (
        check(value) or (None if value <= _LONGEST_S else "must not be more than a year")
    )


def scalar(parse: Callable[[str], float], check: Check) -> Callable[[Any], float]:
    """Return the reader of one number."""

    def read(value: Any) -> float:
        number = _base_units(value) if isinstance(value, int | float) else parse(_text(value))
        if complaint := check(number):
            raise ValueError(f"{value!r} {complaint}")
        return number

    return read


def interval(parse: Callable[[str], float], check: Check) -> Callable[[Any], Range]:
    """Return the reader of a range, or of one certain number."""

    def read(value: Any) -> Range:
        if isinstance(value, Range):
            return value
        found = parse_range(_text(value), parse)
        if complaint := check(found.low) or check(found.high):
            raise ValueError(f"{_text(value)!r} {complaint}")
        return found

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


def read_integer(value: Any) -> int:
    """Read a whole number of things.

    >>> read_integer("2500"), read_integer("1.001k")
    (2500, 1001)
    """
    text = str(value) if isinstance(value, int) else _text(value).strip()
    thousands = re.fullmatch(r"[0-9]+(\.[0-9]+)? ?[kKM]", text[:20])
    number = round(parse_count(text), 6) if thousands else None
    if number is None and re.fullmatch("[0-9]{1,9}", text):
        number = int(text)
    if number is None or number % 1:
        raise ValueError(f"{text[:40]!r} is not a whole number")
    if not 1 <= number <= _MOST_THINGS:
        raise ValueError(f"{text!r} must be from 1 to {_MOST_THINGS:,}")
    return int(number)


def read_level(value: Any) -> int:
    """Read a priority."""
    text = str(value) if isinstance(value, int) else _text(value).strip()
    if not re.fullmatch("[0-9]", text):
        raise ValueError(f"{text[:40]!r} is not a whole number from 0 to 9")
    return int(text)


def read_attempts(value: Any) -> int:
    """Read how often a client asks in all."""
    attempts = read_integer(value)
    if attempts > _MOST_ATTEMPTS:
        raise ValueError(f"{attempts} attempts are more than any client makes: use 1 to 10")
    return attempts


def read_moment(value: Any) -> datetime:
    """Read a time with its zone."""
    if isinstance(value, datetime):
        moment = value
    else:
        text = _text(value)
        try:
            moment = datetime.fromisoformat(text.strip())
        except ValueError:
            raise ValueError(
                f"{text[:40]!r} is not a time: write it like 2027-11-26T12:00:00+01:00"
            ) from None
    if moment.utcoffset() is None:
        raise ValueError(f"{str(value)[:40]!r} has no time zone: add one, such as +01:00 or Z")
    if not 2000 <= moment.year < 2100:
        raise ValueError(f"{str(value)[:40]!r} is not in this century")
    return moment


def read_name(value: Any) -> str:
    """Read a name."""
    name = _text(value).strip()
    if not 1 <= len(name) <= 80 or not name.isprintable():
        raise ValueError(f"{name[:40]!r} is not a name: write one line of 1 to 80 characters")
    return name


def read_files(value: Any) -> tuple[str, ...]:
    """Read one file or several."""
    files = (value,) if isinstance(value, str) else value
    if not isinstance(files, list | tuple) or not files:
        raise ValueError(f"{_brief(value)} is not a file or a list of files")
    return tuple(_read_file(file) for file in files)


def _read_file(value: Any) -> str:
    if not _text(value).strip():
        raise ValueError("an empty name is not a file")
    return _text(value)


def read_words(value: Any) -> tuple[str, ...]:
    """Read the options of a script: a line, or a list of words."""
    if isinstance(value, str):
        try:
            return tuple(shlex.split(value))
        except ValueError:
            raise ValueError(f"{value[:60]!r} has a quote that is not closed") from None
    if not isinstance(value, list | tuple):
        raise ValueError(f"{_brief(value)} is not a line of options or a list of them")
    return tuple(_text(word) for word in value)


def read_address(value: Any) -> str:
    """Read the address of an HTTP server."""
    text = _text(value).strip()
    try:
        parts = urlsplit(text)
        usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        usable = False
    if not usable or not text.isprintable() or " " in text:
        raise ValueError(f"{text[:60]!r} is not an address: write it like http://127.0.0.1:8899")
    return text


def read_yes_or_no(value: Any) -> bool:
    """Read a switch."""
    if isinstance(value, bool):
        return value
    if value not in ("yes", "no", "true", "false", "on", "off"):
        raise ValueError(f"{str(value)[:60]!r} is neither yes nor no")
    return value in ("yes", "true", "on")
