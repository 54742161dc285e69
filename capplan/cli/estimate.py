"""``capplan estimate``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from capplan.cli.options import JsonOption, OutputOption, PlanArgument, SeedOption, examples

EPILOG = examples(
    "capplan estimate sale.yaml",
    "capplan estimate sale.yaml --draws 1000000 --seed 7",
    "capplan estimate sale.yaml --json | jq .peak_rps.p95",
    "capplan estimate sale.yaml --csv profile.csv",
    "cat sale.yaml | capplan estimate - -o demand.json",
)


def estimate(
    plan: PlanArgument,
    draws: Annotated[
        int, typer.Option(min=1000, max=10_000_000, help="Monte Carlo draws; more are smoother.")
    ] = 100_000,
    seed: SeedOption = 1,
    csv: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write requests/s second by second, with their band."),
    ] = None,
    as_json: JsonOption = False,
    output: OutputOption = None,
) -> None:
    """Estimate how much traffic the sale will bring.

    From followers, e-mail lists, ads and usual orders, each with its range, to the peak of
    requests per second as a range.
    """
    from capplan import workflow
    from capplan.cli.output import check, deliver, named
    from capplan.render import terminal

    check(output, plan)
    check(csv, plan)
    demand = workflow.estimate(plan, draws=draws, seed=seed, csv=csv)
    deliver(demand, terminal.demand(demand, named(plan)), as_json=as_json, output=output)
