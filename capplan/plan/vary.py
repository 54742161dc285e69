"""Vary one key of a plan: from ``KEY=LOW..HIGH`` to plans that differ in nothing else."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from capplan.errors import UsageError
from capplan.plan.explain import explain
from capplan.plan.schema import Plan
from capplan.units import (
    Range,
    format_duration,
    format_money,
    format_number,
    format_rate,
    format_share,
)

M = TypeVar("M", bound=BaseModel)

_SECTIONS = ("saleday", "servers", "service")
"""What the estimate of the demand does not depend on."""


@dataclass(frozen=True)
class Variation:
    """The values of one key, in base units, and as people write them."""

    key: str
    values: tuple[float, ...]
    texts: tuple[str, ...]


def variation(plan: Plan, asked: str, steps: int) -> Variation:
    """Read ``KEY=LOW..HIGH`` or ``KEY=A,B,C``; a key without a section is one of ``saleday``.

    A span becomes ``steps`` values at equal distances, whole numbers where the key takes no others.
    Raises ``UsageError`` that names what is wrong.
    """
    key, equals, span = asked.partition("=")
    ends = [part.strip() for part in (span.split("..") if ".." in span else span.split(","))]
    if not equals or not all(ends) or (".." in span and len(ends) != 2):
        raise UsageError(
            f"--sweep: {asked!r} does not say what to vary",
            "write it like --sweep surprise=1..20 or --sweep saleday.attempts=1,2,5",
        )
    path = _path(plan, key.strip())
    read = [_value(plan, path, key, text) for text in ends]
    unit = _unit(plan, path)
    values = _between(read[0], read[1], steps, unit == "whole") if ".." in span else read
    dotted = ".".join(path)
    return Variation(dotted, tuple(values), tuple(_shown(value, unit) for value in values))


def varied(plan: Plan, key: str, value: float) -> Plan:
    """Return the plan with one value, in base units, at a key.

    Raises ``UsageError`` where the plan contradicts it.
    """
    return _changed(plan, key.split("."), value, key)


def _path(plan: Plan, key: str) -> list[str]:
    path = key.split(".")
    if path[0] not in type(plan).model_fields:
        path = ["saleday", *path]
    if path[0] not in _SECTIONS or len(path) < 2:
        raise UsageError(
            f"--sweep: {key} cannot be varied: the demand was estimated with it",
            f"name a key of {', '.join(_SECTIONS)}; --visitors changes the demand",
        )
    return path


def _value(plan: Plan, path: Sequence[str], key: str, text: str) -> float:
    """Read a text as the plan would at this key."""
    found: Any = _changed(plan, path, text, key)
    for part in path:
        found = found[int(part)] if part.isdecimal() else getattr(found, part)
    if isinstance(found, Range) and found.certain:
        return found.low
    if isinstance(found, bool) or not isinstance(found, int | float):
        raise UsageError(f"--sweep: {key} is not a single number")
    return float(found)


def _changed(section: M, path: Sequence[str], value: Any, key: str) -> M:
    name, *rest = path
    known = type(section).model_fields
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        raise UsageError(
            f"--sweep: the plan has no {key}",
            f"did you mean {near[0]}?" if near else f"the keys here are {', '.join(known)}",
        )
    old = getattr(section, name)
    if rest and isinstance(old, tuple):
        if not rest[0].isdecimal() or int(rest[0]) >= len(old) or len(rest) < 2:
            raise UsageError(
                f"--sweep: {key}: {name} is a list of {len(old)}", f"write {name}.0 for the first"
            )
        place = int(rest[0])
        value = (*old[:place], _changed(old[place], rest[1:], value, key), *old[place + 1 :])
    elif rest:
        if not isinstance(old, BaseModel):
            raise UsageError(f"--sweep: {key}: nothing stands below {name}")
        value = _changed(old, rest, value, key)
    elif isinstance(old, Range) and isinstance(value, float):
        value = Range(value, value)
    elif isinstance(value, float) and value.is_integer() and _unit(section, [name]) == "whole":
        value = int(value)
    try:
        return type(section).model_validate(dict(section) | {name: value})
    except ValidationError as error:
        first = error.errors()[0]
        raise UsageError(f"--sweep: {key}: {explain(first, type(section))}") from None


def _unit(section: BaseModel, path: Sequence[str]) -> str:
    for part in path[:-1]:
        section = section[int(part)] if isinstance(section, tuple) else getattr(section, part)
    schema = type(section).model_json_schema()["properties"][path[-1]]
    choices = [schema, *schema.get("anyOf", ())]
    return next((str(one["x-unit"]) for one in choices if "x-unit" in one), "")


def _between(low: float, high: float, steps: int, whole: bool) -> list[float]:
    """Return values at equal distances; each whole number once.

    >>> _between(1, 5, 9, True), _between(1, 4, 4, False)
    ([1.0, 2.0, 3.0, 4.0, 5.0], [1.0, 2.0, 3.0, 4.0])
    """
    if steps == 1 or low == high:
        return [low]
    values = [low + (high - low) * i / (steps - 1) for i in range(steps)]
    return list(dict.fromkeys(float(round(value)) for value in values)) if whole else values


def _shown(value: float, unit: str) -> str:
    if unit.startswith("seconds"):
        return format_duration(value)
    if unit == "whole":
        return f"{value:g}"
    if unit == "multiple":
        return f"{format_number(value)}x"
    shown = {"rps": format_rate, "share": format_share, "usd": format_money}
    return shown.get(unit, format_number)(value)
