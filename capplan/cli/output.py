"""How an answer leaves the program: text or JSON on stdout, and JSON in a file when asked."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console, RenderableType

from capplan.errors import SetupError, UsageError
from capplan.results.base import Result
from capplan.results.store import check_writable, to_json, write_text


def check(output: Path | None, plan: Path) -> None:
    """Make sure, before the work starts, that a file can be written and is not the plan itself."""
    if output is None:
        return
    if str(output) == "-":
        raise UsageError(
            "- is no file to write to",
            "name a file; the answer stands on stdout, as it is or --json",
        )
    if output.exists() and plan.exists() and output.samefile(plan):
        raise UsageError(f"{output} is the plan: it would be overwritten", "name another file")
    check_writable(output)


def deliver(result: Result, shown: RenderableType, *, as_json: bool, output: Path | None) -> None:
    """Print the result, as JSON or as shown, and write it to ``output`` when that is given."""
    if as_json:
        write(to_json(result))
    else:
        say(shown)
    keep(result, output)  # a full disk must not cost the answer


def keep(result: Result, output: Path | None) -> None:
    """Write the result to ``output`` when that is given."""
    if output:
        write_text(output, to_json(result))


def say(shown: RenderableType) -> None:
    """Print something for people on stdout; colours only where it is a terminal."""
    console = Console(highlight=False, markup=False, emoji=False)
    with _full_disk_is_named(), console.capture() as captured:
        console.print(shown, crop=False)
    # tables fill their last column with spaces, which no one wants in a file
    write("".join(f"{line.rstrip()}\n" for line in captured.get().splitlines()))


def write(text: str) -> None:
    """Write to stdout; a reader who has seen enough (``| head``) is no error.

    Raises ``SetupError`` when stdout is a file that cannot take it.
    """
    with _full_disk_is_named():
        try:
            sys.stdout.write(text)
            sys.stdout.flush()
        except BrokenPipeError:
            _discard_stdout()


@contextmanager
def _full_disk_is_named() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        _discard_stdout()
        raise SetupError(
            f"the answer cannot be written to stdout: {error.strerror}",
            "free some space, or write it elsewhere",
        ) from None


def _discard_stdout() -> None:
    # what is still buffered must go somewhere, or the interpreter complains when it ends
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def named(plan: Path) -> str:
    """Return the plan as the user would type it in the next command."""
    return shlex.quote(str(plan))
