"""Arguments and options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from capplan.errors import UsageError

T = TypeVar("T")

PlanArgument = Annotated[
    Path,
    typer.Argument(
        metavar="PLAN",
        help="The plan, a YAML file. - reads it from stdin and leaves no files behind.",
    ),
]
SeedOption = Annotated[
    int,
    typer.Option(
        "--seed", min=0, metavar="N", help="Same plan and same seed give the same answer."
    ),
]
JsonOption = Annotated[
    bool,
    typer.Option(
        "--json", metavar="", help="Print the result as JSON, and nothing else, on stdout."
    ),
]
OutputOption = Annotated[
    Path | None,
    typer.Option("-o", "--output", metavar="FILE", help="Also write the result as JSON here."),
]


def read(option: str, text: str, parse: Callable[[str], T]) -> T:
    """Read the text of an option; raise a ``UsageError`` that names the option."""
    try:
        return parse(text)
    except ValueError as error:
        raise UsageError(f"{option}: {error}") from None


def read_rate(option: str, text: str) -> float:
    """Read a rate in requests/s, whose unit may be left out on the command line."""
    from capplan.plan.reading import positive, scalar
    from capplan.units import parse_rate

    bare = text.replace(".", "", 1).isdecimal()
    return read(option, f"{text} rps" if bare else text, scalar(parse_rate, positive))


def read_duration(option: str, text: str, *, zero: bool = False) -> float:
    """Read a duration in seconds, up to a year; none at all only with ``zero``."""
    from capplan.plan.reading import not_negative, positive, scalar, within_a_year
    from capplan.units import parse_duration

    bound = within_a_year(not_negative if zero else positive)
    return read(option, text, scalar(parse_duration, bound))


def examples(*lines: str) -> str:
    """Return the end of a command's help: command lines that can be copied."""
    return "Examples:\n\n" + "\n".join(f"  {line}" for line in lines)
