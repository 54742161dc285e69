"""``capplan report``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from capplan.cli.options import PlanArgument, SeedOption, examples

EPILOG = examples(
    "capplan report sale.yaml -o sale.html",
    "capplan report sale.yaml --format md",
)


def report(
    plan: PlanArgument,
    style: Annotated[
        Literal["html", "md"],
        typer.Option("--format", help="A page, or Markdown for a pull request."),
    ] = "html",
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="Write it here; else to stdout."),
    ] = None,
    seed: SeedOption = 1,
) -> None:
    """Put all results of a plan into one page that opens offline.

    The answer first, then the traffic against the fleet, cost against risk, the measurement, what
    makes it uncertain, the simulated day, and a panel that computes the answer again for other
    inputs. Shows whichever results exist and says what is missing.
    """
    from capplan import workflow
    from capplan.cli.output import check, named, write
    from capplan.results.store import write_text

    check(output, plan)
    text = workflow.report(plan, style=style, seed=seed)
    if output is None:
        write(text)
        return
    write_text(output, text)
    write(f"The report on {named(plan)} is in {output}.\n")
