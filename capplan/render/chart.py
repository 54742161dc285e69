"""A curve with its band in the characters of a terminal.

A braille character holds 2 × 4 dots, so a chart of 72 × 10 characters has 144 × 40 points. Where
the output cannot show braille, plain ASCII characters stand for whole cells. The module knows
neither terminals nor results: numbers in, lines out.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise, takewhile

from capplan.units import format_number

_BLANK = 0x2800
_DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))  # [row from the top][column]
_TIME_STEPS_S = (
    1, 2, 5, 10, 15, 30,
    60, 120, 300, 600, 900, 1800,
    3600, 7200, 10800, 21600, 43200,
    86400, 172800, 604800, 1209600,
)  # fmt: skip
_DAY_S = 86400
_LABEL = 9  # a label and the gap behind it


@dataclass(frozen=True, slots=True)
class Band:
    """A curve ``mid`` and the band from ``low`` to ``high`` at the same times ``t_s``."""

    t_s: Sequence[float]
    low: Sequence[float]
    mid: Sequence[float]
    high: Sequence[float]


@dataclass(frozen=True, slots=True)
class Canvas:
    """How many characters the curve gets, and whether they must be ASCII."""

    width: int
    height: int
    ascii_only: bool = False

    @property
    def columns(self) -> int:
        """Points side by side."""
        return self.width if self.ascii_only else 2 * self.width

    @property
    def rows(self) -> int:
        """Points on top of each other."""
        return self.height if self.ascii_only else 4 * self.height


def plot(band: Band, canvas: Canvas) -> list[str]:
    """Draw the band as scattered points and the curve as a line; the highest line comes first.

    >>> rise = Band((0.0, 1.0, 2.0), (0.0, 0.0, 0.0), (0.0, 1.0, 2.0), (1.0, 2.0, 3.0))
    >>> plot(rise, Canvas(6, 4, ascii_only=True))
    ['    ..', ' ...**', '..**..', '**....']
    """
    top = max(band.high) or 1.0

    def row(value: float) -> int:
        return min(int(value / top * canvas.rows), canvas.rows - 1)

    low, mid, high = (
        [row(value) for value in _columns(band.t_s, values, canvas.columns)]
        for values in (band.low, band.mid, band.high)
    )
    line = {
        (x, y)
        for x in range(canvas.columns)
        for y in _between(mid[max(x - 1, 0)], mid[x], canvas.ascii_only)
    }
    area = {(x, y) for x in range(canvas.columns) for y in range(low[x], high[x] + 1)}
    if canvas.ascii_only:
        return _ascii(line, area, canvas)
    return _braille(line, {point for point in area if _stippled(*point)}, canvas)


def rate_axis(top: float, height: int) -> dict[int, str]:
    """Label about four lines of the chart, counted from the top, with round rates.

    >>> rate_axis(8800, 10)
    {9: '0', 7: '2,000', 5: '4,000', 3: '6,000', 0: '8,000'}
    """
    if top <= 0:
        return {height - 1: "0"}
    step = _round_step(top / 4)
    ticks = takewhile(lambda value: value <= top, (step * i for i in range(12)))
    return {
        height - 1 - min(int(value / top * height), height - 1): format_number(value)
        for value in ticks
    }


def time_axis(start: datetime, first_s: float, last_s: float, width: int) -> dict[int, str]:
    """Label columns of the chart with round clock times; seconds count from ``start``.

    >>> from datetime import timezone
    >>> noon = datetime(2026, 11, 27, 12, tzinfo=timezone.utc)
    >>> time_axis(noon, 0, 7200, 49)
    {0: '12:00', 12: '12:30', 24: '13:00', 36: '13:30'}
    """
    span_s = max(last_s - first_s, 1.0)
    labels = {}
    for at_s, text in time_ticks(start, first_s, last_s, width):
        x = round((at_s - first_s) / span_s * (width - 1))
        if x + len(text) <= width:
            labels[x] = text
    return labels


def time_ticks(
    start: datetime, first_s: float, last_s: float, width: int
) -> list[tuple[float, str]]:
    """Return round clock times for an axis with room for ``width`` letters, as seconds and text."""
    span_s = max(last_s - first_s, 1.0)
    step_s = next((s for s in _TIME_STEPS_S if span_s / s * _LABEL <= width), _TIME_STEPS_S[-1])
    while span_s / step_s * _LABEL > width:
        step_s *= 2
    first = start + timedelta(seconds=first_s)
    clock = _clock_format(step_s)
    return [
        (first_s + (moment - first).total_seconds(), moment.strftime(clock))
        for moment in _round_moments(first, span_s, step_s)
    ]


def framed(band: Band, start: datetime, canvas: Canvas) -> list[str]:
    """Draw a band of rates with its axes; the first and the last characters are the frame's."""
    rates = rate_axis(max(band.high), canvas.height)
    times = time_axis(start, band.t_s[0], band.t_s[-1], canvas.width)
    margin = max(map(len, rates.values()))
    side, tick, rule, mark = "|+-+" if canvas.ascii_only else "│┤─┴"
    lines = [
        f"{rates.get(row, ''):>{margin}} {tick if row in rates else side}{drawn}".rstrip()
        for row, drawn in enumerate(plot(band, canvas))
    ]
    axis = "".join(mark if x in times else rule for x in range(canvas.width))
    labels = ""
    for x, text in times.items():
        labels = labels.ljust(x) + text
    indent = " " * (margin + 1)
    return [*lines, f"{indent}{'+' if canvas.ascii_only else '└'}{axis}", f"{indent} {labels}"]


def _columns(t_s: Sequence[float], values: Sequence[float], count: int) -> list[float]:
    # the largest value of each column, so that a short spike stays visible
    span_s = t_s[-1] - t_s[0]
    edges = [t_s[0] + span_s * i / count for i in range(count + 1)]
    return [
        max(
            _at(t_s, values, (left + right) / 2),
            *values[bisect_left(t_s, left) : bisect_left(t_s, right)],
            0.0,
        )
        for left, right in pairwise(edges)
    ]


def _at(t_s: Sequence[float], values: Sequence[float], moment_s: float) -> float:
    right = min(max(bisect_right(t_s, moment_s), 1), len(t_s) - 1)
    left = right - 1
    span_s = t_s[right] - t_s[left]
    part = (moment_s - t_s[left]) / span_s if span_s else 0.0
    return values[left] + part * (values[right] - values[left])


def _between(previous: int, current: int, ascii_only: bool) -> Iterable[int]:
    # a steep line would fall apart into single dots, so it is joined up; whole cells join by eye
    if ascii_only or previous == current:
        return (current,)
    return range(min(previous, current), max(previous, current) + 1)


def _stippled(x: int, y: int) -> bool:
    return x % 2 == 0 and y % 4 == x % 4


def _braille(line: set[tuple[int, int]], area: set[tuple[int, int]], canvas: Canvas) -> list[str]:
    cells = [[0] * canvas.width for _ in range(canvas.height)]
    for x, y in line | area:
        from_top = canvas.rows - 1 - y
        cells[from_top // 4][x // 2] |= _DOTS[from_top % 4][x % 2]
    return ["".join(chr(_BLANK + dots) if dots else " " for dots in row) for row in cells]


def _ascii(line: set[tuple[int, int]], area: set[tuple[int, int]], canvas: Canvas) -> list[str]:
    def cell(point: tuple[int, int]) -> str:
        return "*" if point in line else "." if point in area else " "

    return [
        "".join(cell((x, y)) for x in range(canvas.width)) for y in reversed(range(canvas.height))
    ]


def _round_step(at_least: float) -> float:
    magnitude = 10.0 ** len(str(int(at_least))[1:]) if at_least >= 1 else 0.1
    return next(
        step * magnitude for step in (1, 2, 2.5, 5, 10) if step * magnitude >= at_least * 0.8
    )


def _round_moments(first: datetime, span_s: float, step_s: float) -> Iterable[datetime]:
    midnight = first.replace(hour=0, minute=0, second=0, microsecond=0)
    since_s = (first - midnight).total_seconds()
    moment = midnight + timedelta(seconds=-(-since_s // step_s) * step_s)
    last = first + timedelta(seconds=span_s)
    while moment <= last:
        yield moment
        moment += timedelta(seconds=step_s)


def _clock_format(step_s: float) -> str:
    if step_s >= _DAY_S:
        return "%d %b"
    return "%H:%M" if step_s >= 60 else "%H:%M:%S"
