"""The JSON Schema of the plan, from which an editor completes and checks it while it is written.

``python -m capplan.plan.json_schema`` writes ``plan.schema.json`` anew after a change of the plan.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import Any

from capplan import units
from capplan.plan.schema import Plan

_SHOW: dict[str, Callable[[float], str]] = {
    "seconds": units.format_duration,
    "seconds_or_zero": units.format_duration,
    "rps": units.format_rate,
    "share": units.format_share,
    "usd": units.format_money,
    "usd_per_h": lambda price: f"{units.format_money(price)}/h",
    "count": units.format_count,
    "multiple": units.format_number,
    "whole": str,
}


def generate() -> str:
    """Return the schema as it is shipped."""
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
    schema |= _as_written(Plan.model_json_schema()) | {"title": "capplan plan"}
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def shipped() -> str:
    """Return the schema that came with this version."""
    return resources.files("capplan.plan").joinpath("plan.schema.json").read_text("utf-8")


def _as_written(schema: Any) -> Any:
    """Turn the schema of the values inside into that of the text a user writes."""
    if isinstance(schema, list):
        return [_as_written(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    schema = {
        key: {name: _as_written(inner) for name, inner in value.items()}
        if key in ("properties", "$defs")
        else _as_written(value)
        for key, value in schema.items()
        if key != "title" or not isinstance(value, str)
    }
    # an absent key says "none"; the word null is not read
    alternatives = [a for a in schema.pop("anyOf", ()) if a != {"type": "null"}]
    if len(alternatives) == 1:
        schema = alternatives[0] | schema
    elif alternatives:
        schema["anyOf"] = alternatives
    unit = schema.pop("x-unit", None)
    default = schema.pop("default", None)
    if isinstance(default, str) or (default is not None and unit):
        schema["default"] = default if isinstance(default, str) else _default(default, _SHOW[unit])
    return schema


def _default(value: float | dict[str, float], show: Callable[[float], str]) -> str:
    low, high = (value["low"], value["high"]) if isinstance(value, dict) else (value, value)
    return show(low) if low == high else f"{show(low)} to {show(high)}"


if __name__ == "__main__":
    Path(__file__).with_name("plan.schema.json").write_text(generate(), encoding="utf-8")
