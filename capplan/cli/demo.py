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
    from capplan.cli.output import named, say
    from capplan.render import demo as render

    with workflow.demo(folder, seed) as show:
        plan = named(show.plan)
        say(render.opening(show.url, plan))
        for step in show.steps:
            say(render.command(step.command))
            say(render.outcome(step.run(), plan, show.truth))
    say(render.closing(f"{folder}/"))
