"""What was found beyond the steady state, for the terminal: a sentence each, then tables."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.text import Text

from capplan.render.chart import Band, Canvas, plot, rate_axis
from capplan.render.parts import bullets, latency, table, titled
from capplan.results.phases import Drift, Opening, OpeningWindow, Overload, Phases, Soak
from capplan.units import format_duration, format_number, format_rate, format_share

_HEIGHT, _WIDTH = 7, 72


def findings(phases: Phases) -> list[str]:
    """Say in one sentence each what the phases found."""
    said = []
    if phases.opening:
        said.append(_opening(phases.opening))
    if phases.overload:
        said.append(_overload(phases.overload))
    if phases.soak:
        said.append(_soak(phases.soak))
    return said


def headlines(phases: Phases) -> RenderableType | None:
    """List the findings, None when there are none."""
    said = findings(phases)
    return bullets(said) if said else None


def details(phases: Phases) -> RenderableType | None:
    """Show the numbers behind the findings, None when there are none."""
    blocks: list[RenderableType] = []
    if phases.opening:
        blocks.append(_opening_table(phases.opening))
    if phases.overload and phases.overload.series.t_s:
        blocks += [_overload_table(phases.overload), _OverloadChart(phases.overload)]
    spaced = [part for block in blocks for part in (Text(""), block)]
    return Group(*spaced[1:]) if spaced else None


def _opening(opening: Opening) -> str:
    first = opening.windows[0]
    verdict = {
        "held": "the SLA holds from the first second on",
        "missed": "the SLA is missed at the start",
        "unclear": "too close to call whether the SLA holds at the start",
    }[opening.outcome]
    text = (
        f"Opening at {format_rate(opening.rate_rps)}, everyone unconnected: {verdict}; "
        f"p95 {latency(first.latency_s.p95)} in the first second, "
        f"{latency(opening.steady.latency_s.p95)} later on"
    )
    failed = sum(window.connects_failed for window in opening.windows)
    tried = sum(window.connects for window in opening.windows)
    if failed:
        text += f"; {format_number(failed)} of {format_number(tried)} connections failed"
    return f"{text}."


def _overload(overload: Overload) -> str:
    what = f"Overload of {overload.factor:g}x for {format_duration(overload.duration_s)}"
    by_name = {part.name: part for part in overload.parts}
    during, after = by_name.get("during"), by_name.get("after")
    kept = during.goodput_rps / max(during.offered_rps, 1e-9) if during else 0.0
    if overload.outcome == "recovered" and overload.recovered_after_s is not None:
        when = (
            "was well again at once"
            if overload.recovered_after_s < 1
            else f"recovered {format_duration(overload.recovered_after_s)} after it"
        )
        return f"{what}: {format_share(kept)} of the requests stayed good, and the target {when}."
    if overload.outcome == "unknown" or after is None:
        return f"{what}: no verdict, see the notes."
    still = (
        f"only {format_share(_last_share(overload))} of the requests are good "
        f"{format_duration(after.duration_s)} after it, at {overload.back_factor:g}x"
    )
    if overload.outcome == "not_recovered":
        return f"{what}: not recovered, {still}."
    rate, patience_s = overload.rate_rps, overload.client_timeout_s
    hidden = format_rate(rate / overload.attempts)
    return (
        f"{what}: metastable, {still}. Clients that ask {overload.attempts} times keep it "
        f"overloaded by themselves: it comes back below about {hidden}, or with a queue of at most "
        f"{format_number(rate * patience_s)} requests."
    )


def _soak(soak: Soak) -> str:
    what = f"Soak of {format_duration(soak.duration_s)} at {format_rate(soak.rate_rps)}"
    drifting = [_drift(drift) for drift in soak.drifts if drift.seen]
    quiet = [_drift(drift) for drift in soak.drifts if not drift.seen]
    found = ", ".join(drifting) if drifting else "no drift seen"
    if quiet:
        found += f" ({'; '.join(quiet)})"
    if not soak.drifts:
        found = "too short or too quiet to tell a drift"
    held = "" if soak.held else "; the SLA was missed"
    return f"{what}: {found}{held}."


def _drift(drift: Drift) -> str:
    name = {"latency_s": "latency", "memory_bytes": "memory"}[drift.quantity]
    unit, size = {"latency_s": ("ms", 1e3), "memory_bytes": ("MB", 1e-6)}[drift.quantity]
    slope, low, high = (
        value * size for value in (drift.slope_per_h, drift.low_per_h, drift.high_per_h)
    )
    if not drift.seen:
        return f"{name} {_signed(low)} to {_signed(high)} {unit}/h"
    verb = "grows" if slope > 0 else "falls"
    ends = sorted((abs(low), abs(high)))
    return (
        f"{name} {verb} by {format_number(abs(slope))} {unit}/h "
        f"({format_number(ends[0])} to {format_number(ends[1])})"
    )


def _signed(value: float) -> str:
    return f"{'-' if value < 0 else '+'}{format_number(abs(value))}"


def _last_share(overload: Overload) -> float:
    window = max(1, round(overload.recovered_window_s))
    offered = sum(overload.series.offered[-window:])
    return sum(overload.series.goodput[-window:]) / max(offered, 1)


def _opening_table(opening: Opening) -> RenderableType:
    rows = [*opening.windows, opening.steady]
    return titled(
        f"Opening: {opening.repetitions} starts pooled, against the steady state",
        table(
            ("second", "requests", "p50", "p95", "p99", "failed", "connect p95", "no connection"),
            [
                (
                    _span(window),
                    format_number(window.requests),
                    latency(window.latency_s.p50),
                    latency(window.latency_s.p95),
                    latency(window.latency_s.p99),
                    format_share((window.failures + window.timeouts) / max(window.requests, 1)),
                    "-" if window.connect_s_p95 is None else format_duration(window.connect_s_p95),
                    format_number(window.connects_failed),
                )
                for window in rows
            ],
        ),
    )


def _span(window: OpeningWindow) -> str:
    if window.end_s is None:
        return "steady"
    return f"{window.start_s:g} to {window.end_s:g} s"


def _overload_table(overload: Overload) -> RenderableType:
    return titled(
        f"Overload: per second; good is a success within {format_duration(overload.good_s)}, "
        f"{overload.attempts} attempts at most",
        table(
            ("part", "offered", "good", "lost", "attempts", "shed", "timed out", "failed"),
            [
                (
                    part.name,
                    *map(
                        format_number,
                        (part.offered_rps, part.goodput_rps, part.lost_rps, part.attempts_rps),
                    ),
                    *map(format_share, (part.shed_share, part.timed_out_share, part.failed_share)),
                )
                for part in overload.parts
            ],
        ),
    )


@dataclass(frozen=True)
class _OverloadChart:
    """Goodput as a line over the offered requests as dots, the overload marked on the axis."""

    overload: Overload

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Draw it in the width and the characters of this console."""
        width = max(20, min(options.max_width - 8, _WIDTH))
        yield Text("Good requests per second (line) of those offered (dots)", style="bold")
        for line in self._lines(Canvas(width, _HEIGHT, options.ascii_only)):
            yield Text(line, no_wrap=True, overflow="crop")

    def _lines(self, canvas: Canvas) -> Iterator[str]:
        series = self.overload.series
        offered = tuple(map(float, series.offered))
        good = tuple(map(float, series.goodput))
        rates = rate_axis(max(*offered, 1.0), canvas.height)
        margin = max(map(len, rates.values()))
        side, tick, corner = ("|", "+", "+") if canvas.ascii_only else ("│", "┤", "└")
        zero = tuple(0.0 for _ in good)
        for row, drawn in enumerate(plot(Band(series.t_s, zero, good, offered), canvas)):
            mark = tick if row in rates else side
            yield f"{rates.get(row, ''):>{margin}} {mark}{drawn}".rstrip()
        first, last = series.t_s[0], max(series.t_s[-1], series.t_s[0] + 1)
        begin, end = (
            round((at - first) / (last - first) * (canvas.width - 1))
            for at in (0.0, min(self.overload.duration_s, last))
        )
        thin, thick = "-=" if canvas.ascii_only else "─═"
        axis = "".join(thick if begin <= x < end else thin for x in range(canvas.width))
        indent = " " * (margin + 1)
        yield f"{indent}{corner}{axis}"
        label = f"overload for {format_duration(self.overload.duration_s)}"
        yield f"{indent} {' ' * min(begin, max(0, canvas.width - len(label)))}{label}"
