"""The options of ``capplan simulate``, one type each."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

WithOption = Annotated[
    str, typer.Option("--with", metavar="NAMES", help="Protections on top of the plan's.")
]
WithoutOption = Annotated[
    str, typer.Option(metavar="NAMES", help="Protections of the plan to leave out.")
]
OnlyOption = Annotated[
    str | None, typer.Option(metavar="NAMES", help="These protections and no others.")
]
VisitorsOption = Annotated[
    str | None,
    typer.Option(metavar="COUNT", help="Expected people in all, such as 1M; else estimated."),
]
PercentileOption = Annotated[
    str, typer.Option(metavar="P", help="Of the expected demand, such as p95.")
]
ScaleOption = Annotated[
    str | None,
    typer.Option(
        metavar="SHARE",
        help="Simulate this share of demand and fleet, such as 0.1; the error is stated.",
    ),
]
RankingOption = Annotated[
    bool, typer.Option(help="Find what each protection is worth, which doubles the time.")
]
CombinationsOption = Annotated[
    bool,
    typer.Option(help="Simulate every set of the plan's protections, to choose from in a report."),
]
FindOption = Annotated[
    Literal["breaking-point"] | None,
    typer.Option(help="Instead: the largest surprise that each set of protections survives."),
]
SweepOption = Annotated[
    str | None,
    typer.Option(metavar="KEY=A..B", help="Instead: the surprise for values of a plan's key."),
]
StepsOption = Annotated[
    int, typer.Option(min=1, max=100, metavar="N", help="With --sweep: how many values.")
]
CsvOption = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Write the acts second by second, or the sweep."),
]
