"""``capplan simulate``."""

from __future__ import annotations

from typing import Annotated

import typer

from capplan.cli.options import JsonOption, OutputOption, PlanArgument, SeedOption, examples, read
from capplan.errors import ExitCode

EPILOG = examples(
    "capplan simulate sale.yaml",
    "capplan simulate sale.yaml --without waiting-room",
    "capplan simulate sale.yaml --only queue-bound,priorities --json",
    "capplan simulate sale.yaml --visitors 1M",
    "capplan simulate sale.yaml --scale 0.1",
)


def simulate(
    plan: PlanArgument,
    with_: Annotated[
        str, typer.Option("--with", metavar="NAMES", help="Protections on top of the plan's.")
    ] = "",
    without: Annotated[
        str, typer.Option(metavar="NAMES", help="Protections of the plan to leave out.")
    ] = "",
    only: Annotated[
        str | None, typer.Option(metavar="NAMES", help="These protections and no others.")
    ] = None,
    visitors: Annotated[
        str | None,
        typer.Option(metavar="COUNT", help="Expected people in all, such as 1M; else estimated."),
    ] = None,
    scale: Annotated[
        str | None,
        typer.Option(
            metavar="SHARE",
            help="Simulate this share of demand and fleet, such as 0.1; the error is stated.",
        ),
    ] = None,
    ranking: Annotated[
        bool, typer.Option(help="Find what each protection is worth, which doubles the time.")
    ] = True,
    seed: SeedOption = 1,
    as_json: JsonOption = False,
    output: OutputOption = None,
) -> ExitCode:
    """Simulate the sale day that goes wrong, and what saves it.

    Plays the sale as planned, with many times the demand, and under attack, each without and with
    the plan's protections, and then the second sale. Every request is simulated, with clients that
    give up and ask again. The protections: waiting-room, waf, per-source-limit, concurrency-limit,
    token-bucket, leaky-bucket, priorities, queue-bound, retry-budget.
    """
    from capplan import workflow
    from capplan.cli.acts import ActsDisplay
    from capplan.cli.interrupt import sigterm_as_interrupt
    from capplan.cli.output import check, deliver, named
    from capplan.render import terminal
    from capplan.units import parse_count

    check(output, plan)
    count = None if visitors is None else read("--visitors", visitors, parse_count)
    with sigterm_as_interrupt(), ActsDisplay() as display:
        answer = workflow.simulate(
            plan,
            with_=_names(with_),
            without=_names(without),
            only=None if only is None else _names(only),
            visitors=count,
            scale=None if scale is None else read("--scale", scale, _scale),
            ranking=ranking,
            seed=seed,
            show=display.show,
            act_done=display.act_done,
        )
    deliver(answer, terminal.simulation(answer, named(plan)), as_json=as_json, output=output)
    return ExitCode.INTERRUPTED if answer.interrupted else ExitCode.OK


def _names(text: str) -> tuple[str, ...]:
    return tuple(name for part in text.split(",") if (name := part.strip()))


def _scale(text: str) -> float:
    from capplan.units import parse_share

    share = parse_share(text)
    if share <= 0:
        raise ValueError(f"{text!r} is not more than zero")
    return share
