"""What each result looks like: one picture per function, from results to SVG."""

from __future__ import annotations

import math
from datetime import datetime, timedelta

from markupsafe import Markup

from capplan.model.knee import knee
from capplan.render.chart import time_ticks
from capplan.render.html.svg import WIDE, Axis, Picture, Size, linear
from capplan.render.recommendation import fleet, shown_risk
from capplan.results.capacity import Capacity, Trial
from capplan.results.demand import Demand
from capplan.results.recommendation import Recommendation
from capplan.results.simulation import Act
from capplan.units import format_duration, format_money, format_number, format_rate, format_share

_LEAST_RISK = 1e-4
_LABEL = 0.4  # of the width, for a label
_BEFORE = 0.03  # of the time shown, before the servers serve


def traffic(demand: Demand, advice: Recommendation | None, size: Size = WIDE) -> Markup:
    """Draw λ(t) with its band, and what the scheduled fleet carries."""
    profile, start = demand.profile, demand.sale_start
    carried_rps = advice.chosen.fleet_rps if advice else 0.0
    top = max([*profile.rps_p95, demand.peak_rps.p95, carried_rps])
    first, last = profile.t_s[0], profile.t_s[-1]
    steps = advice.schedule if advice else ()
    if steps:  # they serve before anybody comes, and that is seen
        first = min(first, (steps[0].ready_at - start).total_seconds() - _BEFORE * (last - first))
    picture = Picture(
        "Requests per second over time, with the range, and what the fleet carries",
        clock_axis(start, first, last, size.letters),
        linear(0.0, top * 1.08, "requests/s"),
        size.height,
        size.width,
    )
    picture.band(profile.t_s, profile.rps_p5, profile.rps_p95, "demand")
    picture.line(zip(profile.t_s, profile.rps_p50, strict=True), "demand")
    if advice and steps:
        points = [(first, steps[-1].fleet_rps)]  # before, as after it
        for step in steps:
            at_s = min(max((step.ready_at - start).total_seconds(), first), last)
            points += [(at_s, points[-1][1]), (at_s, step.fleet_rps)]
        picture.line([*points, (last, points[-1][1])], "fleet")
        full_s = next(x for x, y in points[1:] if y == carried_rps)
        picture.text(full_s, carried_rps, _carry(fleet(advice.chosen), carried_rps))
        if points[-1][1] != carried_rps and last - points[-1][0] > _LABEL * (last - first):
            said = _carry(f"{steps[-1].servers:,}", points[-1][1])
            picture.text(last, points[-1][1], said, end=True)
    elif advice:
        picture.line([(first, carried_rps), (last, carried_rps)], "fleet")
        picture.text(last, carried_rps, _carry(fleet(advice.chosen), carried_rps), end=True)
    return picture.svg()


def _carry(servers: str, rate_rps: float) -> str:
    return f"{servers} carry {format_rate(rate_rps)}"


def cost_and_risk(advice: Recommendation, accepted: float, size: Size = WIDE) -> Markup:
    """Draw the overload probability of each option against its cost."""
    options = sorted(advice.options, key=lambda option: option.cost)
    risks = [max(option.overload_probability, _LEAST_RISK) for option in options]
    powers = range(math.floor(math.log10(min(risks))), 1)
    y = Axis(
        10.0 ** powers[0],
        1.0,
        tuple((10.0**power, format_share(10.0**power)) for power in powers),
        "P(overload)",
        logarithmic=True,
    )
    x = linear(0.0, options[-1].cost * 1.08 or 1.0, "cost, US dollars")
    label = "Risk of an overload against cost, per server count"
    picture = Picture(label, x, y, size.height, size.width)
    picture.line([(x.low, accepted), (x.high, accepted)], "limit")
    # each label on the side where the other one is not
    right = x.share(advice.chosen.cost) > 0.5
    at = x.low if right else x.high
    picture.text(at, accepted, f"accepted: {format_share(accepted)}", end=not right)
    # the line joins what is worth its money; what lies above it costs more for no less risk
    front = [(o.cost, r) for o, r in zip(options, risks, strict=True) if o.pareto]
    picture.line(front, "demand")
    for option, risk in zip(options, risks, strict=True):
        said = (
            f"{fleet(option)} servers: {format_money(option.cost)}, overload "
            f"{shown_risk(option.overload_probability, advice.resolution)}"
        )
        kind = "chosen" if option.chosen else "other"
        picture.dot(option.cost, risk, kind, said, 7 if option.chosen else 4)
        if option.chosen:
            said = f"{fleet(option)} servers"
            picture.text(option.cost, risk, said, end=right, above=not right)
    return picture.svg()


def measured(capacity: Capacity, size: Size = WIDE) -> Markup:
    """Draw the latency of every trial against its load, with knee, limit and the interval found."""
    shown = [(trial, *_worst(trial)) for trial in capacity.trials if trial.outcome != "invalid"]
    shown = [entry for entry in shown if entry[1] is not None]
    if not shown:
        return Markup()
    name, limit = shown[0][2], shown[0][3]
    highest = max(trial.rate_rps for trial, *_ in shown)
    top = min(max(entry[1] or 0.0 for entry in shown), 4 * limit)
    x = linear(0.0, highest * 1.05, "requests/s asked")
    y = _milliseconds(max(top, limit) * 1.1, name)
    label = f"{name} of each trial against its load"
    picture = Picture(label, x, y, size.height, size.width)
    found = capacity.sustained_rps
    if found.low is not None and found.high is not None:
        picture.band([found.low, found.high], [y.low] * 2, [y.high] * 2, "interval")
        said = f"{format_number(found.low)} to {format_rate(found.high)}"
        picture.text(found.low, y.high * 0.93, said, end=True)
    if (bend := knee_of(capacity)) is not None:
        picture.line([(bend, y.low), (bend, y.high * 0.8)], "knee")
        picture.text(bend, y.high * 0.8, f"knee, {format_rate(bend)}", end=bend > highest / 2)
    picture.line([(x.low, limit), (x.high, limit)], "limit")
    picture.text(x.low, limit, f"limit {format_duration(limit)}")
    for trial, value, *_ in shown:
        said = (
            f"{format_rate(trial.rate_rps)} for {format_duration(trial.duration_s)}: {name} "
            f"{format_duration(value or 0.0)}, {trial.outcome}"
        )
        picture.dot(trial.rate_rps, value or 0.0, trial.outcome, said)
    return picture.svg()


def knee_of(capacity: Capacity) -> float | None:
    """Return the knee of the trials that the generator held, by their median latency."""
    held = [
        (trial.rate_rps, trial.latency_s.p50)
        for trial in capacity.trials
        if trial.outcome != "invalid" and trial.latency_s.p50 is not None
    ]
    return knee([rate for rate, _ in held], [latency_s for _, latency_s in held])


def used(capacity: Capacity, size: Size = WIDE) -> Markup:
    """Draw the CPU of every trial against its load, with its limit and the interval found."""
    shown = [
        (trial, trial.resources.cpu)
        for trial in capacity.trials
        if trial.outcome != "invalid" and trial.resources and trial.resources.cpu is not None
    ]
    if not shown:
        return Markup()
    x = linear(0.0, max(trial.rate_rps for trial, _ in shown) * 1.05, "requests/s asked")
    ticks = tuple((share, format_share(share)) for share in (0.0, 0.25, 0.5, 0.75, 1.0))
    cores = capacity.resources.cores if capacity.resources else None
    of = "CPU" if cores is None else f"CPU of {format_number(cores)} cores"
    label, y = "CPU of each trial against its load", Axis(0.0, 1.05, ticks, of)
    picture = Picture(label, x, y, size.height, size.width)
    found = capacity.sustained_rps
    if found.low is not None and found.high is not None:
        picture.band([found.low, found.high], [0.0] * 2, [1.05] * 2, "interval")
    for limit in {c.limit for trial, _ in shown for c in trial.criteria if c.name == "cpu"}:
        picture.line([(x.low, limit), (x.high, limit)], "limit")
        picture.text(x.low, limit, f"limit {format_share(limit)}")
    for trial, share in shown:
        said = f"{format_rate(trial.rate_rps)}: CPU {format_share(share)}, {trial.outcome}"
        picture.dot(trial.rate_rps, min(share, 1.0), trial.outcome, said)
    return picture.svg()


def act(shown: Act, start: datetime, top: float, first: float, last: float) -> Markup:
    """Draw what shoppers asked for in one act, and what they got in time."""
    series = shown.series
    picture = Picture(
        f"{shown.name}: requests offered and answered in time",
        clock_axis(start, first, last, 36),
        linear(0.0, top * 1.05 or 1.0, "shoppers' requests/s"),
        height=230.0,
        width=480.0,
    )
    picture.band(series.t_s, [0.0] * len(series.t_s), series.good, "good")
    picture.line(zip(series.t_s, series.offered, strict=True), "offered")
    picture.line(zip(series.t_s, series.good, strict=True), "good")
    return picture.svg()


def clock_axis(start: datetime, first_s: float, last_s: float, letters: int) -> Axis:
    """Return the axis of a day from ``first_s`` to ``last_s`` after its start, by the clock."""
    ticks = time_ticks(start, first_s, last_s, letters)
    day = (start + timedelta(seconds=first_s)).strftime("%Y-%m-%d, UTC%z")
    return Axis(first_s, last_s, tuple(ticks), day)


def _milliseconds(top_s: float, name: str) -> Axis:
    in_ms = linear(0.0, top_s * 1000, f"{name}, ms")
    return Axis(0.0, top_s, tuple((v / 1000, text) for v, text in in_ms.ticks), in_ms.title)


def _worst(trial: Trial) -> tuple[float | None, str, float]:
    """Return the latency that the first limit of the mix speaks of: measured, name and limit."""
    for criterion in trial.criteria:
        if criterion.endpoint is None and criterion.name.startswith(("latency", "p")):
            return criterion.measured, criterion.name, criterion.limit
    return None, "", 0.0
