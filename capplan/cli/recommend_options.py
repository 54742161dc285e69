"""The options of ``capplan recommend``, one type each."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class ExportFormat(StrEnum):
    """The formats, as the registry of exports names them."""

    KUBERNETES = "kubernetes"
    KEDA = "keda"
    AWS_ASG = "aws-asg"
    TERRAFORM = "terraform"


WhyOption = Annotated[
    int | None, typer.Option(min=1, metavar="N", help="Explain this count in full.")
]
KindOption = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="With --why: of this kind of server, else of the one recommended; planned is the "
        "plan's own.",
    ),
]
FormatOption = Annotated[
    list[ExportFormat] | None,
    typer.Option(
        "--export",
        metavar="FORMAT",
        help="Also write the schedule, for review: kubernetes, keda, aws-asg or terraform. "
        "Repeatable.",
    ),
]
ExportToOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FOLDER",
        help="Where exports go; else exports/ in the plan's results. - writes them, and nothing "
        "else, to stdout.",
    ),
]
