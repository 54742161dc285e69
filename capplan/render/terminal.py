"""Each result as an answer for the terminal: a pure function from a result to a renderable.

The first line is the answer in words and can be read alone. ``plan`` is the plan as the user named
it, for the command that comes next.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from rich.console import Group, RenderableType
from rich.table import Table

from capplan.render.chart import Band
from capplan.render.parts import Bar, Chart, answer, bullets, next_step, notes, table, titled
from capplan.results.base import Result
from capplan.results.capacity import Capacity, Trial
from capplan.results.demand import Demand, Percentiles
from capplan.results.recommendation import Option, Recommendation
from capplan.results.verdict import Verdict
from capplan.units import (
    format_count,
    format_duration,
    format_money,
    format_number,
    format_rate,
    format_share,
)

_METHODS = {
    "funnel": "from the audience, bottom up",
    "multiple": "from usual orders, top down",
    "combined": "both, with equal weight",
}
_ANSWERED = ("measured", "not_reached")
_MOST_INPUTS = 5  # the first ones say where to look; all are in the JSON
_COLOURS = {"pass": "bold green", "fail": "bold red", "inconclusive": "bold yellow"}


def show(result: Result, plan: str) -> RenderableType:
    """Show a result of any kind."""
    if isinstance(result, Demand):
        return demand(result, plan)
    if isinstance(result, Capacity):
        return capacity(result, plan)
    if isinstance(result, Recommendation):
        return recommendation(result, plan)
    if isinstance(result, Verdict):
        return verdict(result, plan)
    raise TypeError(f"no rendering of {type(result).__name__}")


def demand(result: Demand, plan: str) -> RenderableType:
    """Show how much traffic will come."""
    peak = result.peak_rps
    return answer(
        f"Expect a peak of {format_rate(peak.p50)} ({_span(peak.p5, peak.p95)} with 90% "
        f"confidence), {_when(result.peak_at_s)}.",
        _percentiles(result),
        _estimates(result),
        _chart(result),
        _sensitivity(result),
        _stress(result),
        notes(result.notes),
        next_step("capplan loadtest", plan),
    )


def capacity(result: Capacity, plan: str) -> RenderableType:
    """Show what one server sustains."""
    return answer(
        _capacity_headline(result),
        _trials(result.trials) if result.trials else None,
        notes(result.notes),
        next_step("capplan recommend", plan) if result.verdict in _ANSWERED else None,
    )


def recommendation(result: Recommendation, plan: str) -> RenderableType:
    """Show how many servers to start, and what every other choice costs and risks."""
    assumed = result.capacity_source == "assumed"
    return answer(
        _recommendation_headline(result),
        _options(result.options),
        _ceilings(result),
        _schedule(result),
        bullets(result.reasons) if result.reasons else None,
        notes(result.notes),
        next_step("capplan loadtest" if assumed else "capplan gate", plan),
        style="bold" if result.feasible else "bold red",
    )


def verdict(result: Verdict, plan: str) -> RenderableType:
    """Show whether the planned fleet is good enough."""
    worst = next(check for check in result.checks if check.outcome == result.verdict)
    return answer(
        f"{result.verdict.upper()}: {worst.message}",
        table(
            ("check", "<outcome", "<what was seen"),
            [(check.name, check.outcome, check.message) for check in result.checks],
        ),
        notes(result.notes),
        None if result.verdict == "pass" else next_step("capplan recommend", plan),
        style=_COLOURS[result.verdict],
    )


def written(paths: Sequence[str], plan: str) -> RenderableType:
    """Show which files a project begins with."""
    return answer(
        f"Wrote {paths[0]}: put your own numbers into it.",
        bullets(paths),
        next_step("capplan estimate", plan),
    )


def _percentiles(result: Demand) -> Table:
    rows = (
        ("peak, requests/s", result.peak_rps, format_number),
        ("peak, visitors at once", result.peak_visitors, format_count),
        ("visits in all", result.visits_total, format_count),
        ("requests in all", result.requests_total, format_count),
        ("requests per visit", result.requests_per_visit, format_number),
    )
    return table(
        ("", "p5", "p50", "p90", "p95", "p99", "mean"),
        [(name, *map(show, (p.p5, p.p50, p.p90, p.p95, p.p99, p.mean))) for name, p, show in rows],
    )


def _estimates(result: Demand) -> Group | None:
    if len(result.estimates) < 2:
        return None

    def cells(p: Percentiles) -> Iterable[str]:
        return map(format_number, (p.p5, p.p50, p.p95))

    return titled(
        "Independent estimates of the peak, requests/s",
        table(
            ("", "p5", "p50", "p95", "visits, p50"),
            [
                (
                    _METHODS[estimate.method],
                    *cells(estimate.peak_rps),
                    format_count(estimate.visits_total.p50),
                )
                for estimate in result.estimates
            ],
        ),
    )


def _chart(result: Demand) -> Group:
    profile = result.profile
    band = Band(profile.t_s, profile.rps_p5, profile.rps_p50, profile.rps_p95)
    return titled(
        f"Requests/s on {result.sale_start:%a %d %b %Y, %Z}: the median, and 90% of the cases "
        "around it",
        Chart(band, result.sale_start),
    )


def _sensitivity(result: Demand) -> Group | None:
    if not result.sensitivity:
        return None
    largest = max(entry.share for entry in result.sensitivity) or 1.0
    return titled(
        "What makes the peak uncertain: the share of its variance",
        table(
            ("", "share", "<"),
            [
                (entry.input, format_share(entry.share), Bar(entry.share / largest))
                for entry in result.sensitivity[:_MOST_INPUTS]
            ],
        ),
    )


def _stress(result: Demand) -> Group | None:
    if not result.stress:
        return None
    return titled(
        "What if: cases beside the range, not in it",
        table(
            ("", "peak", "<"),
            [(case.name, format_rate(case.peak_rps), case.why) for case in result.stress],
        ),
    )


def _capacity_headline(result: Capacity) -> str:
    known = result.sustained_rps
    span = None if known.low is None or known.high is None else _span(known.low, known.high)
    if result.verdict == "measured" and span:
        return f"One server sustains {span} rps (SLA {result.identity.sla})."
    return {
        "measured": f"One server was measured: {result.reason}",
        "not_reached": f"The limit of one server was not reached: {result.reason}",
        "below_sla": f"One server misses the SLA at any load: {result.reason}",
        "inconclusive": f"Inconclusive{f', {span} rps so far' if span else ''}: {result.reason}",
    }[result.verdict]


def _trials(trials: Iterable[Trial]) -> Group:
    return titled(
        "Trials: latency from the intended start, rates in requests/s",
        table(
            ("trial", "asked", "sent", "p50", "p95", "p99", "failed", "late p99", "<outcome"),
            [
                (
                    trial.purpose,
                    format_number(trial.rate_rps),
                    format_number(trial.achieved_rps),
                    *map(_latency, (trial.latency_s.p50, trial.latency_s.p95, trial.latency_s.p99)),
                    format_share((trial.failures + trial.timeouts) / max(trial.requests, 1)),
                    _latency(trial.health.lateness_s_p99),
                    trial.outcome,
                )
                for trial in trials
            ],
        ),
    )


def _recommendation_headline(result: Recommendation) -> str:
    by_count = {option.servers: option for option in result.options}
    best = f"{result.servers}: {_stakes(by_count[result.servers])}."
    if result.asked is not None and result.asked != result.servers:
        asked = f"{result.asked} servers: {_stakes(by_count[result.asked])}."
        return f"{asked} {'The recommendation is' if result.feasible else 'The best is'} {best}"
    if not result.feasible:
        return f"No server count meets the policy; the best is {best}"
    by = f" by {_clock(result.schedule[0].at)}" if result.schedule else ""
    return f"Start {result.servers} servers{by}: {_stakes(by_count[result.servers])}."


def _stakes(option: Option) -> str:
    risk = format_share(option.overload_probability)
    return f"overload risk {risk} at {format_money(option.cost)}"


def _options(options: Sequence[Option]) -> Group:
    zones = any(option.zone_loss_probability is not None for option in options)
    return titled(
        "Options: multiples of today's servers, probability of overload, visits lost",
        table(
            ("servers", "cost", "overload", *["zone lost"] * zones, "lost", "<why not"),
            [
                (
                    f"{option.servers} = {round(option.multiple, 1):g}x",
                    format_money(option.cost),
                    format_share(option.overload_probability),
                    *[_risk(option.zone_loss_probability)] * zones,
                    format_count(round(option.expected_lost_visits)),
                    "chosen" if option.chosen else option.excuse,
                )
                for option in options
            ],
        ),
    )


def _risk(probability: float | None) -> str:
    return "-" if probability is None else format_share(probability)


def _ceilings(result: Recommendation) -> Group | None:
    if not result.ceilings:
        return None
    return titled(
        "Ceilings that do not scale with servers",
        table(
            ("", "holds", "risk", "<"),
            [
                (
                    ceiling.name,
                    format_rate(ceiling.ceiling_rps),
                    format_share(ceiling.exceed_probability),
                    "binds: no number of servers helps" if ceiling.binds else "",
                )
                for ceiling in result.ceilings
            ],
        ),
    )


def _schedule(result: Recommendation) -> Group | None:
    if not result.schedule:
        return None
    return titled(
        "Schedule",
        table(
            ("at", "servers", "<why"),
            [
                (f"{step.at:%a %d %b %H:%M}", str(step.servers), step.why)
                for step in result.schedule
            ],
        ),
    )


def _span(low: float, high: float) -> str:
    return f"{format_number(low)} to {format_number(high)}"


def _when(moment_s: float) -> str:
    if abs(moment_s) < 1:
        return "at the start"
    side = "after" if moment_s > 0 else "before"
    return f"{format_duration(abs(moment_s))} {side} the start"


def _clock(moment: datetime) -> str:
    return f"{moment:%H:%M}"


def _latency(seconds: float | None) -> str:
    return "∞" if seconds is None else format_duration(seconds)
