"""``capplan init``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from capplan.cli.options import examples

EPILOG = examples(
    "capplan init",
    "capplan init shop && capplan estimate shop/sale.yaml",
)


def init(
    folder: Annotated[
        Path, typer.Argument(metavar="[DIR]", show_default=False, help="Default: this folder.")
    ] = Path(),
) -> None:
    """Write a first plan, a locustfile and a CI workflow.

    The plan works at once and says where each of its numbers comes from: put your own in.
    """
    from capplan import workflow
    from capplan.cli.output import named, say
    from capplan.render import terminal

    written = workflow.init(folder)
    say(terminal.written([str(path) for path in written], named(written[0])))
