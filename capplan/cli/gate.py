"""``capplan gate``."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from capplan.cli.options import JsonOption, OutputOption, PlanArgument, SeedOption, examples
from capplan.errors import ExitCode

EPILOG = examples(
    "capplan gate sale.yaml",
    "capplan gate sale.yaml --junit gate.xml",
    "capplan gate sale.yaml --baseline main/capacity.json",
    "capplan gate sale.yaml --json -o verdict.json",
)


def gate(
    plan: PlanArgument,
    junit: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Also write a JUnit report here.")
    ] = None,
    baseline: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="An earlier capacity.json: judge what was lost since, too."
        ),
    ] = None,
    seed: SeedOption = 1,
    as_json: JsonOption = False,
    output: OutputOption = None,
) -> ExitCode:
    """Judge in CI whether the planned servers are enough.

    The criteria stand in the plan under gate, else under policy; each can be off.

    Also judges, by gate.capacity_drop of the plan, whether a commit made the service slower: by a
    paired measurement of both versions (capplan loadtest --paired), or against --baseline.

    Exits with 0 when what is judged is met, with 3 when it is not, and with 5 when
    the measurement is too poor to tell. In a job of GitHub, what did not pass is marked on the run,
    and a summary is added to its page.
    """
    from capplan import workflow
    from capplan.cli.output import check, deliver, named

    check(output, plan)
    check(junit, plan)
    verdict = workflow.gate(plan, junit=junit, baseline=baseline, seed=seed)

    from capplan.render import terminal  # takes longer to load than a mistake to be found
    from capplan.render.annotations import workflow_commands

    if os.environ.get("GITHUB_ACTIONS") == "true":
        sys.stderr.write(workflow_commands(verdict))
    deliver(verdict, terminal.verdict(verdict, named(plan)), as_json=as_json, output=output)
    return {
        "pass": ExitCode.OK,
        "fail": ExitCode.FAILED,
        "inconclusive": ExitCode.INCONCLUSIVE,
    }[verdict.verdict]
