"""Results on disk: written whole or not at all, read back checked.

The only place that knows how a result looks as text. Reading trusts nothing: a result may be cut
off, edited by hand, of another kind or from another version of capplan.
"""

from __future__ import annotations

import json
import math
import os
import re
import sys
import uuid
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from capplan.errors import SetupError, UsageError
from capplan.plan.complaints import dotted
from capplan.plan.explain import explain
from capplan.results.base import Result

R = TypeVar("R", bound=Result)

_SCHEMA = re.compile(r"capplan\.([a-z]+)/([0-9]{1,4})")
_COMMANDS = {
    "demand": "estimate",
    "outcome": "estimate --after",
    "capacity": "loadtest",
    "paired": "loadtest --paired",
    "comparison": "loadtest --compare",
    "recommendation": "recommend",
    "simulation": "simulate",
    "breakingpoints": "simulate --find breaking-point",
    "sweep": "simulate --sweep",
    "verdict": "gate",
}


def to_json(result: Result) -> str:
    """Return the result as JSON: the schema first, two spaces, floats to the last digit.

    The same result gives the same text. Raises ``ValueError`` for a number that is not finite.
    """
    content = result.model_dump(mode="json", by_alias=True)
    content = {"schema": content.pop("schema")} | content
    return json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def from_json(text: str, kind: type[R], origin: str) -> R:
    """Return the result of that kind in ``text``.

    Raises ``UsageError`` that names ``origin`` and says what is wrong with it.
    """
    name, version = _schema_of(kind)
    renew = _by_command("make it anew", name)
    try:
        content = json.loads(text, parse_float=_finite, parse_constant=_finite)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{origin} is not JSON: {_reason(error)}", renew) from None
    found = content.get("schema") if isinstance(content, dict) else None
    match = _SCHEMA.fullmatch(found) if isinstance(found, str) else None
    if match is None:
        raise UsageError(f"{origin} is not a result of capplan: it has no schema", renew)
    if match[1] != name:
        raise UsageError(f"{origin} holds {found}, where capplan.{name}/{version} is needed", renew)
    if int(match[2]) > version:
        raise UsageError(
            f"{origin} holds {found}, and this version of capplan reads capplan.{name}/{version}",
            f"it comes from a newer version: upgrade capplan, or {renew}",
        )
    try:
        # a later version of the same schema may have added keys, at any depth
        return kind.model_validate(content, extra="ignore")
    except ValidationError as error:
        raise UsageError(f"{origin} is damaged: {_first(error, kind)}", renew) from None


def read_result(path: Path, kind: type[R]) -> R:
    """Return the result at ``path``; ``-`` stands for standard input.

    Raises ``UsageError`` where there is no readable result of that kind.
    """
    if str(path) == "-":
        return from_json(_decode(sys.stdin.buffer.read(), "standard input"), kind, "standard input")
    name, _ = _schema_of(kind)
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        hint = _by_command("write it", name)
        raise UsageError(f"{path} does not exist", hint) from None
    except IsADirectoryError:
        raise UsageError(f"{path} is a folder, not a result") from None
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from None
    return from_json(_decode(data, str(path)), kind, str(path))


def write_result(path: Path, result: Result) -> None:
    """Write the result to ``path``, making its folder.

    Raises ``SetupError`` where the disk does not take it; an older file is then still whole.
    """
    write_text(path, to_json(result))


def write_text(path: Path, text: str) -> None:
    """Write ``text`` to ``path`` so that a reader sees the old file or the new one, never a part.

    Raises ``SetupError`` that names the path.
    """
    write_bytes(path, text.encode("utf-8", "backslashreplace"))


def write_bytes(path: Path, data: bytes) -> None:
    """Write ``data`` to ``path`` as :func:`write_text` does."""
    try:
        if path.exists() and not path.is_file():
            path.write_bytes(data)  # a pipe or a device, such as /dev/stdout, is not replaced
        else:
            _replace(Path(os.path.realpath(path)), data)
    except OSError as error:
        raise _unwritable(path, error) from None


def check_writable(path: Path) -> None:
    """Make sure, before a long run, that its result can be written to ``path`` afterwards.

    Makes the folder. Raises ``SetupError`` that names the path.
    """
    try:
        if path.exists() and not path.is_file():
            path.open("ab").close()
            return
        target = Path(os.path.realpath(path))
        temporary = _beside(target)
        os.close(_create(temporary))
        temporary.unlink()
    except OSError as error:
        raise _unwritable(path, error) from None


def _replace(target: Path, data: bytes) -> None:
    temporary = _beside(target)
    try:
        with os.fdopen(_create(temporary), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _beside(target: Path) -> Path:
    target.parent.mkdir(parents=True, exist_ok=True)
    return target.with_name(f".capplan-{uuid.uuid4().hex}.tmp")


def _create(path: Path) -> int:
    # unlike a file from tempfile, it gets the permissions that the user's umask asks for
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)


def _unwritable(path: Path, error: OSError) -> SetupError:
    return SetupError(
        f"{path} cannot be written: {error.strerror or error}",
        "free some space, allow writing there, or name another place",
    )


def _by_command(what: str, name: str) -> str:
    command = _COMMANDS.get(name)
    return f"{what} with: capplan {command}" if command else "name another file"


def _schema_of(kind: type[Result]) -> tuple[str, int]:
    match = _SCHEMA.fullmatch(str(kind.model_fields["schema_"].default))
    if match is None:
        raise TypeError(f"{kind.__name__} has no schema")
    return match[1], int(match[2])


def _decode(data: bytes, origin: str) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        raise UsageError(f"{origin} is not a result of capplan: it is not UTF-8 text") from None


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text} is not a number that a result may hold")
    return value


def _reason(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg} in line {error.lineno}"
    return "nested too deep" if isinstance(error, RecursionError) else str(error)[:100]


def _first(error: ValidationError, kind: type[Result]) -> str:
    errors: list[Any] = error.errors(include_url=False)
    where = dotted(errors[0]["loc"])
    more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    if errors[0]["type"] == "missing":
        return f"{where} is missing{more}"
    return f"{where}: {explain(errors[0], kind)}{more}"
