"""``capplan recommend``."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from capplan.cli.options import JsonOption, OutputOption, PlanArgument, SeedOption, examples
from capplan.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from capplan.results.recommendation import Recommendation


class ExportFormat(StrEnum):
    """The formats, as the registry of exports names them."""

    KUBERNETES = "kubernetes"
    KEDA = "keda"
    AWS_ASG = "aws-asg"
    TERRAFORM = "terraform"


EPILOG = examples(
    "capplan recommend sale.yaml",
    "capplan recommend sale.yaml --why 18",
    "capplan recommend sale.yaml --why 18 --kind m7g.large",
    "capplan recommend sale.yaml --export kubernetes",
    "capplan recommend sale.yaml --export aws-asg --export-to -",
    "capplan recommend sale.yaml --json -o recommendation.json",
)


def recommend(
    plan: PlanArgument,
    why: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Explain this count in full.")
    ] = None,
    kind: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="With --why: of this kind of server, else of the one recommended; planned is the "
            "plan's own.",
        ),
    ] = None,
    formats: Annotated[
        list[ExportFormat] | None,
        typer.Option(
            "--export",
            metavar="FORMAT",
            help="Also write the schedule, for review: kubernetes, keda, aws-asg or terraform. "
            "Repeatable.",
        ),
    ] = None,
    export_to: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Where exports go; else exports/ in the plan's results. - writes them, and "
            "nothing else, to stdout.",
        ),
    ] = None,
    seed: SeedOption = 1,
    as_json: JsonOption = False,
    output: OutputOption = None,
) -> ExitCode:
    """Recommend how many servers to start, when, and at what cost and risk.

    Joins the estimated traffic with what one server sustains, each with its uncertainty. Exits
    with 3 when no server count meets the policy of the plan.

    With --export, a time of the schedule that is past is refused.
    """
    from capplan import workflow
    from capplan.cli.output import check, deliver, keep, named, write
    from capplan.render import terminal

    check(output, plan)
    if as_json and str(export_to) == "-":
        raise UsageError("--json and --export-to - both want stdout", "give --export-to a folder")
    if export_to is not None and not formats:
        raise UsageError("--export-to needs --export", "name the format")
    if not formats:
        answer = workflow.recommend(plan, why=why, kind=kind, seed=seed)
        shown = terminal.recommendation(answer, named(plan))
        deliver(answer, shown, as_json=as_json, output=output)
        return _code(answer)
    answer, files = workflow.export(plan, formats, to=export_to, why=why, kind=kind, seed=seed)
    if str(export_to) == "-":
        write("".join(file.text for file in files))
        keep(answer, output)
        return _code(answer)
    deliver(answer, terminal.recommendation(answer, named(plan)), as_json=as_json, output=output)
    wrote = "".join(f"Wrote {file.path} for review; then: {file.apply}\n" for file in files)
    if as_json:
        sys.stderr.write(wrote)
    else:
        write(f"\n{wrote}")
    return _code(answer)


def _code(answer: Recommendation) -> ExitCode:
    return ExitCode.OK if answer.feasible else ExitCode.FAILED
