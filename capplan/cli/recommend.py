"""``capplan recommend``."""

from __future__ import annotations

from typing import Annotated

import typer

from capplan.cli.options import JsonOption, OutputOption, PlanArgument, SeedOption, examples
from capplan.errors import ExitCode

EPILOG = examples(
    "capplan recommend sale.yaml",
    "capplan recommend sale.yaml --why 18",
    "capplan recommend sale.yaml --json -o recommendation.json",
)


def recommend(
    plan: PlanArgument,
    why: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Explain this count in full.")
    ] = None,
    seed: SeedOption = 1,
    as_json: JsonOption = False,
    output: OutputOption = None,
) -> ExitCode:
    """Recommend how many servers to start, when, and at what cost and risk.

    Joins the estimated traffic with what one server sustains, each with its uncertainty. Exits
    with 3 when no server count meets the policy of the plan.
    """
    from capplan import workflow
    from capplan.cli.output import check, deliver, named
    from capplan.render import terminal

    check(output, plan)
    answer = workflow.recommend(plan, why=why, seed=seed)
    deliver(answer, terminal.recommendation(answer, named(plan)), as_json=as_json, output=output)
    return ExitCode.OK if answer.feasible else ExitCode.FAILED
