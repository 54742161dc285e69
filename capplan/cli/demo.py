"""``capplan demo``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from capplan.cli.options import SeedOption, examples

EPILOG = examples(
    "capplan demo",
    "capplan demo /tmp/try-capplan",
)


def demo(
    folder: Annotated[
        Path, typer.Argument(metavar="[DIR]", help="Where the plan and the results go.")
    ] = Path("capplan-demo"),
    seed: SeedOption = 1,
) -> None:
    """Show the whole way in two minutes: estimate, loadtest, recommend, gate.

    Starts a small server on this machine, measures it with real load, and stops it. Needs no
    account and no network.
    """
    from capplan import workflow
    from capplan.cli.interrupt import sigterm_as_interrupt
    from capplan.cli.live import Display
    from capplan.cli.output import named, say
    from capplan.render import demo as render

    with sigterm_as_interrupt(), workflow.demo(folder, seed) as prepared:
        plan = named(prepared.plan)
        say(render.opening(prepared.url, plan))
        for step in prepared.steps:
            say(render.command(step.command))
            with Display() as display:
                result = step.run(display)
            say(render.outcome(result, plan, prepared.truth))
    say(render.closing(f"{folder}/"))
