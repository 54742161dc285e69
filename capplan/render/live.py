"""What a running load test looks like: one line per finished trial, one panel for the running one.

Off a terminal only the lines are shown.
"""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from capplan.loadtest.progress import Progress
from capplan.loadtest.search.policy import Bounds
from capplan.render.parts import bounds, latency
from capplan.results.capacity import Trial
from capplan.units import format_duration, format_number, format_rate, format_share

_COLOURS = {"pass": "green", "fail": "red", "invalid": "yellow"}


def trial_line(number: int, trial: Trial, bounds_rps: Bounds) -> Text:
    """Say in one line what a finished trial found and what is known since."""
    failed = (trial.failures + trial.timeouts) / max(trial.requests, 1)
    line = Text(f"{number:2d}. {trial.purpose:<7} {format_rate(trial.rate_rps):>10} ")
    line.append(f"{trial.outcome:<7}", style=_COLOURS[trial.outcome])
    line.append(f" p95 {latency(trial.latency_s.p95):>7} failed {format_share(failed):>5}")
    if trial.resources and trial.resources.cpu is not None:
        line.append(f" cpu {format_share(trial.resources.cpu):>4}")
    line.append(f"  {_interval(bounds_rps)}", style="dim")
    return line


def prediction(predicted_s: float, budget_s: float) -> str:
    """Say before the first trial how long the load will take.

    >>> prediction(78.0, 119.9)
    'about 1 min 18 s of load, at most 2 min'
    >>> prediction(40.0, 39.8)
    'about 40 s of load, which is all that --time-budget allows'
    """
    if predicted_s >= 0.95 * budget_s:
        about = format_duration(round(predicted_s))
        return f"about {about} of load, which is all that --time-budget allows"
    most = format_duration(round(budget_s))
    return f"about {format_duration(round(predicted_s))} of load, at most {most}"


def known(bounds_rps: Bounds) -> str:
    """Say what is known of the sustained rate so far."""
    anything = bounds_rps.low is not None or bounds_rps.high is not None
    return f"sustains {_interval(bounds_rps)}" if anything else _interval(bounds_rps)


def _interval(bounds_rps: Bounds) -> str:
    found = bounds(bounds_rps.low, bounds_rps.high)
    return f"{found} rps" if found else "nothing known yet"


def panel(progress: Progress) -> RenderableType:
    """Show the running trial."""
    failed = progress.failures / max(progress.requests, 1)
    grid = Table(box=None, show_header=False, padding=(0, 2, 0, 0), pad_edge=False)
    grid.add_row(
        "rate", f"asked {format_rate(progress.asked_rps)}, "
        f"served {format_rate(progress.served_rps)}",
    )  # fmt: skip
    grid.add_row(
        "latency",
        "  ".join(
            f"{name} {latency(getattr(progress.latency_s, name))}" for name in ("p50", "p95", "p99")
        ),
    )
    grid.add_row(
        "failed",
        f"{format_share(failed)} of {format_number(progress.requests)} requests",
    )
    grid.add_row("arrivals", f"{format_duration(progress.lateness_s)} late (p99)")
    grid.add_row("known", known(progress.bounds_rps))
    grid.add_row("left", f"about {format_duration(round(progress.left_s))}")
    title = Text(
        f"trial {progress.trial} ({progress.purpose}), "
        f"{format_duration(round(progress.trial_left_s))} to go",
        style="bold",
    )
    return Group(title, grid)
