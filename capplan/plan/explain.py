"""Say in our own words what pydantic found, and which key was probably meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from typing import Any, get_args

from pydantic import BaseModel, WithJsonSchema
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from capplan.plan.complaints import KeyPath, brief, dotted


def explain(error: ErrorDetails, model: type[BaseModel]) -> str:
    """Return what is wrong, without the place. ``model`` is what was validated as a whole."""
    kind, value, context = error["type"], error["input"], error.get("ctx", {})
    if kind == "value_error":
        return str(context["error"])
    if kind == "missing":
        return _missing(error["loc"], model)
    if kind == "extra_forbidden":
        return _unknown(error["loc"], model)
    if kind == "literal_error":
        return f"{_name(value)} is not {context['expected']}"
    if kind in ("model_type", "model_attributes_type", "dict_type"):
        return f"{_name(value)} stands where keys and values belong"
    if kind in ("tuple_type", "list_type"):
        return f"{_name(value)} stands where a list belongs: begin each entry with '- '"
    if kind in ("string_type", "string_too_short"):
        return f"{_name(value)} stands where a text belongs"
    return f"{_name(value)} does not belong here"


def _missing(path: KeyPath, model: type[BaseModel]) -> str:
    key = str(path[-1])
    field = _model_at(path[:-1], model).model_fields.get(key)
    example = _example(field) if field else None
    return f"{brief(key)} is missing" + (f": add it like {key}: {example}" if example else "")


def nearest_key(path: KeyPath, model: type[BaseModel]) -> str | None:
    """Return the key that was probably meant by the unknown one at the end of ``path``."""
    known = _model_at(path[:-1], model).model_fields
    return next(iter(difflib.get_close_matches(str(path[-1])[:60].lower(), known, n=1)), None)


def _unknown(path: KeyPath, model: type[BaseModel]) -> str:
    key, known = str(path[-1]), _model_at(path[:-1], model).model_fields
    message = f"unknown key {brief(key)}"
    if near := nearest_key(path, model):
        return f"{message}, did you mean {near!r}?"
    elsewhere = [dotted((*above, key)) for above, m in _models(model) if key in m.model_fields]
    if elsewhere:
        return f"{message} here, did you mean {elsewhere[0]}?"
    return f"{message}: the keys here are {', '.join(known)}"


def _model_at(path: KeyPath, model: type[BaseModel]) -> type[BaseModel]:
    # positions in lists and keys of free mappings are no fields: they stay within the same model
    for part in path:
        field = model.model_fields.get(part) if isinstance(part, str) else None
        model = (_model_in(field.annotation) if field else None) or model
    return model


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next(filter(None, map(_model_in, get_args(annotation))), None)


def _models(model: type[BaseModel]) -> Iterator[tuple[KeyPath, type[BaseModel]]]:
    yield (), model
    for key, field in model.model_fields.items():
        if inner := _model_in(field.annotation):
            for above, deeper in _models(inner):
                yield (key, *above), deeper


def _example(field: FieldInfo) -> str | None:
    for about in field.metadata:
        if isinstance(about, WithJsonSchema) and about.json_schema:
            return next(map(str, reversed(about.json_schema.get("examples", ()))), None)
    return None


def _name(value: Any) -> str:
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    return brief(value) if isinstance(value, str) else brief(repr(value))
