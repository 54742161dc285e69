"""The options of ``capplan loadtest``, one type each."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

OptionalPlan = Annotated[
    Path | None,
    typer.Argument(
        metavar="PLAN",
        help="The plan, a YAML file. - reads it from stdin and leaves no files behind.",
        show_default=False,
    ),
]
ScriptArgument = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="-- SCRIPT OPTIONS",
        help="For the script: --tags, names of user classes, its own options.",
        show_default=False,
    ),
]
TargetOption = Annotated[
    str | None, typer.Option(metavar="URL", help="The server that receives the load.")
]
LocustfileOption = Annotated[
    list[Path] | None,
    typer.Option(metavar="FILE", help="The Locust script of the users. May be repeated."),
]
SlaOption = Annotated[
    str | None, typer.Option(metavar="SLA", help="Such as 'p95<300ms, failures<1%'.")
]
MaxRateOption = Annotated[
    str | None,
    typer.Option(metavar="RPS", help="Ask for this many requests per second at most."),
]
MaxRequestsOption = Annotated[
    int | None,
    typer.Option(
        min=1,
        metavar="N",
        help="Make no more requests than this in all, those of resumed runs included.",
        show_default=False,
    ),
]
TimeBudgetOption = Annotated[
    str | None,
    typer.Option(
        metavar="TIME",
        help="How long the load may last in all: 120s unless said, 240s for two targets.",
    ),
]
ServersOption = Annotated[
    int,
    typer.Option(
        min=1,
        metavar="N",
        help="How many servers stand behind the target. Runs with other numbers are kept; three "
        "make a scaling law.",
    ),
]
TargetPidOption = Annotated[
    list[int] | None,
    typer.Option(
        min=1,
        metavar="PID",
        help="A process of the server, to watch its CPU and memory with those of its children; "
        "else what listens at the target's port here. May be repeated.",
    ),
]
ProcessesOption = Annotated[
    int | None,
    typer.Option(
        min=1,
        metavar="N",
        help="Make the load with so many processes here, and never another number. Unless said, "
        "one, and more when it is too weak.",
        show_default=False,
    ),
]
WorkersOption = Annotated[
    int | None,
    typer.Option(
        min=1,
        metavar="N",
        help="Wait for so many workers on other machines, and print how to start one. This machine "
        "then makes no load without --processes.",
        show_default=False,
    ),
]
BindOption = Annotated[
    str | None,
    typer.Option(
        metavar="HOST:PORT",
        help="Where to wait for workers: 0.0.0.0:5577 unless said, all addresses of this machine.",
        show_default=False,
    ),
]
OpeningOption = Annotated[
    bool,
    typer.Option(
        "--opening", metavar="", help="Then start the sale: everyone has to connect at once."
    ),
]
OverloadOption = Annotated[
    str | None,
    typer.Option(
        metavar="LOAD",
        help="Then overload it, such as '1.5x for 20s', with clients that retry, and go back.",
    ),
]
SoakOption = Annotated[
    str | None,
    typer.Option(metavar="TIME", help="Then hold a load just below for so long, to see a drift."),
]
ReuseOption = Annotated[
    bool,
    typer.Option("--reuse", metavar="", help="Do not search: hold these three at the stored rate."),
]
ResumeOption = Annotated[
    bool,
    typer.Option(
        "--resume",
        metavar="",
        help="Go on with the trials that the last run left, however it ended. Their load counts "
        "in --time-budget.",
    ),
]
PairedOption = Annotated[
    tuple[str, str] | None,
    typer.Option(
        metavar="BASE HEAD",
        help="Compare two targets in turns, so that the noise of the machine cancels.",
        show_default=False,
    ),
]
CompareOption = Annotated[
    tuple[Path, Path] | None,
    typer.Option(
        metavar="OLD NEW",
        help="Compare two results of a load test; needs no plan and loads nothing.",
        show_default=False,
    ),
]
CheckOption = Annotated[
    bool,
    typer.Option("--check", metavar="", help="Run one visit of each user class without load."),
]
