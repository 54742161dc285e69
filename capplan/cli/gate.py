"""``capplan gate``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from capplan.cli.options import JsonOption, OutputOption, PlanArgument, SeedOption, examples
from capplan.errors import ExitCode

EPILOG = examples(
    "capplan gate sale.yaml",
    "capplan gate sale.yaml --junit gate.xml",
    "capplan gate sale.yaml --json -o verdict.json",
)


def gate(
    plan: PlanArgument,
    junit: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Also write a JUnit report here.")
    ] = None,
    seed: SeedOption = 1,
    as_json: JsonOption = False,
    output: OutputOption = None,
) -> ExitCode:
    """Judge in CI whether the planned servers are enough.

    Exits with 0 when servers.planned is within the policy, with 3 when it is not, and with 5 when
    the measurement is too poor to tell. Where GITHUB_STEP_SUMMARY is set, a summary is appended
    to that file.
    """
    from capplan import workflow
    from capplan.cli.output import check, deliver, named
    from capplan.render import terminal

    check(output, plan)
    check(junit, plan)
    verdict = workflow.gate(plan, junit=junit, seed=seed)
    deliver(verdict, terminal.verdict(verdict, named(plan)), as_json=as_json, output=output)
    return {
        "pass": ExitCode.OK,
        "fail": ExitCode.FAILED,
        "inconclusive": ExitCode.INCONCLUSIVE,
    }[verdict.verdict]
