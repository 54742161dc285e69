"""``capplan loadtest``."""

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
    read_rate,
)
from capplan.errors import ExitCode

EPILOG = examples(
    "capplan loadtest sale.yaml",
    "capplan loadtest sale.yaml --check",
    "capplan loadtest sale.yaml --target http://127.0.0.1:8899 --time-budget 60s",
    "capplan loadtest sale.yaml -- --tags buy",
    "capplan loadtest sale.yaml --sla 'p95<300ms, failures<1%' --max-rate 500",
)


def loadtest(
    plan: PlanArgument,
    target: Annotated[
        str | None, typer.Option(metavar="URL", help="The server that receives the load.")
    ] = None,
    script_options: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="-- SCRIPT OPTIONS",
            help="For the script: --tags, names of user classes, its own options.",
            show_default=False,
        ),
    ] = None,
    locustfile: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE", help="The Locust script of the users. May be repeated."),
    ] = None,
    sla: Annotated[
        str | None, typer.Option(metavar="SLA", help="Such as 'p95<300ms, failures<1%'.")
    ] = None,
    max_rate: Annotated[
        str | None,
        typer.Option(metavar="RPS", help="Never ask for more requests per second than this."),
    ] = None,
    time_budget: Annotated[
        str, typer.Option(metavar="TIME", help="How long the load may last in all.")
    ] = "120s",
    check: Annotated[
        bool,
        typer.Option("--check", metavar="", help="Run one visit of each user class without load."),
    ] = False,
    seed: SeedOption = 1,
    as_json: JsonOption = False,
    output: OutputOption = None,
) -> ExitCode:
    """Measure how many requests per second the target sustains within the SLA.

    Drives a Locust script, unmodified, under Poisson arrivals that do not wait for answers. Options
    override the plan. Exits with 3 when the SLA is missed at any load, and with 5 when the numbers
    cannot be trusted.
    """
    from capplan.cli.interrupt import sigterm_as_interrupt
    from capplan.cli.live import Display
    from capplan.cli.output import check as check_output
    from capplan.cli.output import deliver, named, say, write
    from capplan.plan.sla import parse_sla
    from capplan.render import terminal
    from capplan.render.checked import checked
    from capplan.units import parse_duration
    from capplan.workflow.loadtest import Overrides, all_well, checked_json
    from capplan.workflow.loadtest import check as dry_run
    from capplan.workflow.loadtest import loadtest as measure

    overrides = Overrides(
        target=target,
        locustfiles=tuple(locustfile or ()),
        arguments=tuple(script_options or ()),
        sla=None if sla is None else read("--sla", sla, parse_sla),
        max_rate_rps=None if max_rate is None else read_rate("--max-rate", max_rate),
        time_budget_s=read("--time-budget", time_budget, parse_duration),
    )
    check_output(output, plan)
    if check:
        visits = dry_run(plan, overrides=overrides)
        if as_json:
            write(checked_json(visits))
        else:
            say(checked(visits, named(plan)))
        return ExitCode.OK if all_well(visits) else ExitCode.FAILED
    with sigterm_as_interrupt(), Display() as display:
        result = measure(
            plan,
            overrides=overrides,
            seed=seed,
            show=display.show,
            trial_done=display.trial_done,
        )
    deliver(result, terminal.capacity(result, named(plan)), as_json=as_json, output=output)
    return {"below_sla": ExitCode.FAILED, "inconclusive": ExitCode.INCONCLUSIVE}.get(
        result.verdict, ExitCode.OK
    )
