"""The pieces that every answer in the terminal is made of.

An answer reads from the top: the answer in words, the table behind it, what to mind, what to do
next. Colour only repeats what the words say.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.measure import Measurement
from rich.padding import Padding
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from capplan.render.chart import Band, Canvas, framed
from capplan.results.base import Note
from capplan.units import format_duration, format_number

_CHART_HEIGHT = 10
_CHART_WIDTH = 100  # wider does not show more
_BAR_WIDTH = 24
_ROOM_FOR_WORDS = 24
_ENDLESS = 10_000


def answer(headline: str, *blocks: RenderableType | None, style: str = "bold") -> Group:
    """Stack an answer in words above the blocks that support it, a blank line between them."""
    shown: list[RenderableType] = [Headline(headline, style)]
    for block in blocks:
        if block is not None:
            shown += [Text(""), block]
    return Group(*shown)


def titled(title: str, block: RenderableType) -> Group:
    """Put a title above a block."""
    return Group(Text(title, style="bold"), block)


def table(columns: Sequence[str], rows: Iterable[Sequence[RenderableType]]) -> Table:
    """Lay out rows: the first column is words, the others are numbers.

    A column whose name starts with ``<`` is words too.
    """
    laid = Table(box=None, header_style="dim", padding=(0, 2, 0, 0), pad_edge=False)
    for index, name in enumerate(columns):
        words = index == 0 or name.startswith("<")
        laid.add_column(name.removeprefix("<"), justify="left" if words else "right")
    for row in rows:
        laid.add_row(*row)
    return laid


def facts(rows: Iterable[tuple[str, str]]) -> Table:
    """Lay out names, unbroken, and what there is to say of each."""
    grid = Table.grid(padding=(0, 2, 0, 0), pad_edge=False)
    grid.add_column(no_wrap=True)
    grid.add_column()
    for name, text in rows:
        grid.add_row(Text(name), Text(text))
    return grid


def notes(found: Sequence[Note]) -> Group | None:
    """List what to mind, each with its advice."""
    if not found:
        return None
    return Group(*(_hanging("note: ", _sentence(note), "yellow") for note in found))


def next_step(*commands: str) -> Text:
    """Name the command that comes next, unbroken so that it can be copied."""
    return Text(f"next: {' '.join(commands)}", no_wrap=True, overflow="ignore")


def bullets(lines: Iterable[str]) -> Group:
    """List sentences."""
    return Group(*(_hanging("- ", line) for line in lines))


def span(low: float, high: float) -> str:
    """Show an interval of one unit.

    >>> span(2050.0, 9020.0)
    '2,050 to 9,020'
    """
    return f"{format_number(low)} to {format_number(high)}"


def bounds(low: float | None, high: float | None) -> str | None:
    """Show an interval of which an end may not be known; None where neither is.

    >>> bounds(2050.0, 9020.0), bounds(2050.0, None), bounds(None, 9020.0)
    ('2,050 to 9,020', 'at least 2,050', 'less than 9,020')
    """
    if low is not None and high is not None:
        return span(low, high)
    if low is not None:
        return f"at least {format_number(low)}"
    return None if high is None else f"less than {format_number(high)}"


def latency(seconds: float | None) -> str:
    """Show a percentile of latency; one among requests without an answer has no bound.

    >>> latency(0.0123), latency(None)
    ('12.3 ms', '∞')
    """
    return "∞" if seconds is None else format_duration(seconds)


@dataclass(frozen=True)
class Headline:
    """The answer in words; one line where nobody watches, so that ``| head -1`` has all of it."""

    text: str
    style: str

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Break it only for a terminal."""
        if console.is_terminal:
            yield Text(self.text, style=self.style)
        else:
            yield Text(self.text, no_wrap=True, overflow="ignore")


@dataclass(frozen=True)
class Bar:
    """A bar of ``length`` (0 to 1) of the widest one."""

    length: float

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Draw it in characters that this console has."""
        yield Text(("#" if options.ascii_only else "█") * max(1, round(self.length * _BAR_WIDTH)))

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        """Take the same room whatever the length."""
        return Measurement(_BAR_WIDTH, _BAR_WIDTH)


@dataclass(frozen=True)
class Explained:
    """A table whose last column is words: below each row where beside it there is no room."""

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Break the words and no number."""
        whole, bare = (
            table(self.columns[:end], (row[:end] for row in self.rows)) for end in (None, -1)
        )
        for column in (*whole.columns[:-1], *bare.columns):
            column.no_wrap = True
        needed = Measurement.get(console, options.update(max_width=_ENDLESS), bare).maximum
        if needed + _ROOM_FOR_WORDS <= options.max_width:
            yield whole
            return
        if needed > options.max_width:
            bare.padding = (0, 1, 0, 0)
        header, *lines = console.render_lines(bare, options, pad=False)
        yield from (*header, Segment.line())
        for line, row in zip(lines, self.rows, strict=True):
            yield from (*line, Segment.line())
            if row[-1]:
                yield Padding(Text(row[-1]), (0, 0, 0, 4))


@dataclass(frozen=True)
class Chart:
    """A band of rates by the clock, as wide as there is room."""

    band: Band
    start: datetime

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Draw it for the width and the characters of this console."""
        labels = 10
        width = max(20, min(options.max_width, _CHART_WIDTH) - labels)
        canvas = Canvas(width, _CHART_HEIGHT, options.ascii_only)
        for line in framed(self.band, self.start, canvas):
            yield Text(line, no_wrap=True, overflow="crop")


def _hanging(label: str, text: str, style: str = "") -> Table:
    grid = Table.grid(padding=0)
    grid.add_column(no_wrap=True, style=style)
    grid.add_column(overflow="fold")
    grid.add_row(label, Text(text))
    return grid


def _sentence(note: Note) -> str:
    return f"{note.message}; {note.advice}" if note.advice else note.message
