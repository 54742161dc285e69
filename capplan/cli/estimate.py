"""``capplan estimate``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from capplan.cli.options import (
    JsonOption,
    OutputOption,
    PlanArgument,
    SeedOption,
    examples,
    read,
)
from capplan.errors import UsageError

EPILOG = examples(
    "capplan estimate sale.yaml",
    "capplan estimate sale.yaml --draws 1000000 --seed 7",
    "capplan estimate sale.yaml --json | jq .peak_rps.p95",
    "capplan estimate sale.yaml --csv profile.csv",
    "capplan estimate sale.yaml --after 1450rps",
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
    after: Annotated[
        str | None,
        typer.Option(
            metavar="RATE",
            help="After the sale: write the peak that came into the plan, and say how it fell in "
            "the stored forecast.",
        ),
    ] = None,
    name: Annotated[
        str | None, typer.Option(metavar="NAME", help="With --after: what to call that sale.")
    ] = None,
    as_json: JsonOption = False,
    output: OutputOption = None,
) -> None:
    """Estimate how much traffic the sale will bring.

    From followers, e-mail lists, ads and usual orders, each with its range, to the peak of
    requests per second as a range. After the sale, --after compares it with what came.
    """
    from capplan import workflow
    from capplan.cli.output import check, deliver, named

    check(output, plan)
    check(csv, plan)
    if after is not None:
        if csv is not None:
            raise UsageError("--after makes no estimate, so --csv has nothing to write")
        from capplan.render import terminal
        from capplan.units import parse_rate

        # what stays in the plan says its unit, as everything there does
        came = workflow.record_outcome(plan, read("--after", after, parse_rate), name=name)

        deliver(came, terminal.outcome(came, named(plan)), as_json=as_json, output=output)
        return
    if name is not None:
        raise UsageError("--name belongs to --after", "name the sale of a plan under sale.name")
    demand = workflow.estimate(plan, draws=draws, seed=seed, csv=csv)

    from capplan.render import terminal  # takes longer to load than a mistake to be found

    deliver(demand, terminal.demand(demand, named(plan)), as_json=as_json, output=output)
