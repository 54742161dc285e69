"""``capplan simulate``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from capplan.cli.options import JsonOption, OutputOption, PlanArgument, SeedOption, examples, read
from capplan.cli.simulate_options import (
    CombinationsOption,
    CsvOption,
    FindOption,
    OnlyOption,
    PercentileOption,
    RankingOption,
    ScaleOption,
    StepsOption,
    SweepOption,
    VisitorsOption,
    WithOption,
    WithoutOption,
)
from capplan.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from capplan.results.breaking import BreakingPoints
    from capplan.results.simulation import Simulation
    from capplan.workflow.breaking import Options

EPILOG = examples(
    "capplan simulate sale.yaml",
    "capplan simulate sale.yaml --without waiting-room",
    "capplan simulate sale.yaml --only queue-bound,priorities --json",
    "capplan simulate sale.yaml --visitors 1M --scale 0.1",
    "capplan simulate sale.yaml --percentile p95",
    "capplan simulate sale.yaml --csv seconds.csv",
    "capplan simulate sale.yaml --combinations",
    "capplan simulate sale.yaml --find breaking-point",
    "capplan simulate sale.yaml --sweep saleday.attempts=1..5 --csv attempts.csv",
    "capplan simulate sale.yaml --sweep servers.planned=4..20 --steps 5",
)


def simulate(
    plan: PlanArgument,
    with_: WithOption = "",
    without: WithoutOption = "",
    only: OnlyOption = None,
    visitors: VisitorsOption = None,
    percentile: PercentileOption = "p50",
    scale: ScaleOption = None,
    ranking: RankingOption = True,
    combinations: CombinationsOption = False,
    find: FindOption = None,
    sweep: SweepOption = None,
    steps: StepsOption = 7,
    csv: CsvOption = None,
    seed: SeedOption = 1,
    as_json: JsonOption = False,
    output: OutputOption = None,
) -> ExitCode:
    """Simulate the sale day that goes wrong, and what saves it.

    Plays the sale as planned, with many times the demand, and under attack, each without and with
    the plan's protections, and then the second sale. Every request is simulated, with clients that
    give up and ask again. The protections: waiting-room, waf, per-source-limit, cache,
    back-pressure, concurrency-limit, token-bucket, leaky-bucket, multiplex, priorities,
    queue-bound, circuit-breaker, prescale, autoscale, retry-budget.
    """
    from capplan import workflow
    from capplan.cli.acts import ActsDisplay
    from capplan.cli.interrupt import sigterm_as_interrupt
    from capplan.cli.output import check, deliver, named
    from capplan.results.store import write_text
    from capplan.results.sweep import Sweep

    check(output, plan)
    check(csv, plan)
    if combinations and (find or sweep or not ranking):
        raise UsageError(
            "--combinations belongs to the ranking", "leave --find, --sweep and --no-ranking out"
        )
    if find and (sweep or csv):
        raise UsageError("--find stands alone", "leave --sweep and --csv out")
    options = _options(with_, without, only, visitors, percentile, scale)
    with sigterm_as_interrupt(), ActsDisplay() as display:
        answer: Simulation | BreakingPoints | Sweep
        if find:
            answer = workflow.find_breaking_point(plan, seed=seed, show=display.show, **options)
        elif sweep is not None:
            answer = workflow.sweep(
                plan, sweep, steps=steps, seed=seed, show=display.show, **options
            )
        else:
            answer = workflow.simulate(
                plan, ranking=ranking, combinations=combinations, csv=csv, seed=seed,
                show=display.show, act_done=display.act_done, **options,
            )  # fmt: skip

    from capplan.render import terminal  # takes longer to load than a mistake to be found

    deliver(answer, terminal.show(answer, named(plan)), as_json=as_json, output=output)
    if csv and isinstance(answer, Sweep):
        write_text(csv, terminal.sweep_csv(answer))
    return ExitCode.INTERRUPTED if answer.interrupted else ExitCode.OK


def _options(
    with_: str,
    without: str,
    only: str | None,
    visitors: str | None,
    percentile: str,
    scale: str | None,
) -> Options:
    """Read which protections, which demand and which part of it; each simulation takes these."""
    if visitors is not None and percentile != "p50":
        raise UsageError("--visitors and --percentile exclude each other", "leave one of them out")
    return {
        "with_": _names(with_),
        "without": _names(without),
        "only": None if only is None else _names(only),
        "visitors": None if visitors is None else read("--visitors", visitors, _visitors),
        "percentile": read("--percentile", percentile, _percentile),
        "scale": None if scale is None else read("--scale", scale, _scale),
    }


def _names(text: str) -> tuple[str, ...]:
    return tuple(name for part in text.split(",") if (name := part.strip()))


def _visitors(text: str) -> float:
    from capplan.plan.reading import positive, scalar
    from capplan.units import parse_count

    count = scalar(parse_count, positive)(text)
    if count < 1:
        raise ValueError(f"{text!r} is nobody")
    return count


def _percentile(text: str) -> float:
    digits = text.removeprefix("p")
    if digits.replace(".", "", 1).isdecimal() and 0.1 <= float(digits) <= 99.9:
        return float(digits)
    raise ValueError(f"{text!r} is not a percentile from p0.1 to p99.9")


def _scale(text: str) -> float:
    from capplan.units import parse_share

    share = parse_share(text)
    if share <= 0:
        raise ValueError(f"{text!r} is not more than zero")
    return share
