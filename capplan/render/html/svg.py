"""Pictures as SVG text: scales, axes, lines and marks. Colours are classes, for the style sheet."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import groupby

from markupsafe import Markup, escape

from capplan.units import format_number

WIDTH, HEIGHT = 720.0, 300.0
NARROW, SHORT = 350.0, 240.0
"""Of a picture for a phone, on which a wide one would have letters too small to read."""

Place = tuple[float, float]

_LEFT, _RIGHT, _TOP, _BOTTOM = 64.0, 14.0, 28.0, 40.0


@dataclass(frozen=True)
class Axis:
    """From ``low`` to ``high``; ``ticks`` are the values that get a label."""

    low: float
    high: float
    ticks: tuple[tuple[float, str], ...]
    title: str
    logarithmic: bool = False

    def share(self, value: float) -> float:
        """Return where a value lies, 0 to 1; one outside is at the nearer end."""
        low, high, at = self.low, self.high, min(max(value, self.low), self.high)
        if self.logarithmic:
            low, high, at = math.log(low), math.log(high), math.log(at)
        return (at - low) / (high - low or 1.0)


def linear(low: float, high: float, title: str) -> Axis:
    """Return an axis with about five round ticks.

    >>> [label for _, label in linear(0, 1900, "rps").ticks]
    ['0', '500', '1,000', '1,500']
    """
    step = _round_step((high - low) / 4 or 1.0)
    first = math.ceil(low / step - 1e-9)
    count = math.floor(high / step + 1e-9) - first + 1
    ticks = tuple(((first + i) * step, format_number((first + i) * step)) for i in range(count))
    return Axis(low, high, ticks, title)


def _round_step(least: float) -> float:
    size = 10.0 ** math.floor(math.log10(least))
    return next(step * size for step in (1, 2, 5, 10) if step * size >= least * 0.7)


@dataclass(frozen=True)
class Size:
    """How large a picture is; its letters have the same size in all of them."""

    width: float = WIDTH
    height: float = HEIGHT

    @property
    def letters(self) -> int:
        """How many letters of a tick fit along its width."""
        return int(self.width / 11)


WIDE, PHONE = Size(), Size(NARROW, SHORT)


def thinned(places: Sequence[Place]) -> list[Place]:
    """Leave out places that nobody would see: a line keeps its ends and extremes in each column.

    A column is one unit wide, so that a picture has a size that does not grow with the data.

    >>> thinned([(0.0, 5.0), (0.1, 9.0), (0.2, 7.0), (0.3, 1.0), (0.4, 6.0), (3.0, 6.0)])
    [(0.0, 5.0), (0.1, 9.0), (0.3, 1.0), (0.4, 6.0), (3.0, 6.0)]
    """
    kept = []
    for _, column in groupby(places, key=lambda place: math.floor(place[0])):
        inside = list(column)
        heights = [y for _, y in inside]
        ends = (0, heights.index(min(heights)), heights.index(max(heights)), len(inside) - 1)
        kept += [inside[i] for i in sorted({*ends})]
    level = [a[1] == b[1] == c[1] for a, b, c in zip(kept, kept[1:], kept[2:], strict=False)]
    return [place for place, flat in zip(kept, [False, *level, False], strict=False) if not flat]


@dataclass
class Picture:
    """A plot in the making; every method adds a layer on top."""

    label: str
    x: Axis
    y: Axis
    height: float = HEIGHT
    width: float = WIDTH
    _layers: list[str] = field(default_factory=list)

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Return the place of a point in the picture."""
        across = self.width - _LEFT - _RIGHT
        down = self.height - _TOP - _BOTTOM
        return _LEFT + self.x.share(x) * across, _TOP + (1 - self.y.share(y)) * down

    def line(self, points: Iterable[tuple[float, float]], kind: str) -> None:
        """Join points by a line of a class."""
        self._layers.append(f'<path class="line {kind}" d="{self._path(points)}"/>')

    def band(
        self, x: Sequence[float], low: Sequence[float], high: Sequence[float], kind: str
    ) -> None:
        """Fill what lies between two curves."""
        there = list(zip(x, high, strict=True))
        back = list(zip(x, low, strict=True))[::-1]
        self._layers.append(f'<path class="band {kind}" d="{self._path([*there, *back])}Z"/>')

    def dot(self, x: float, y: float, kind: str, title: str, radius: float = 4.5) -> None:
        """Mark a point; its title is read out and shown by a pointer that rests on it."""
        cx, cy = self.at(x, y)
        self._layers.append(
            f'<circle class="dot {kind}" cx="{cx:.1f}" cy="{cy:.1f}" r="{radius:g}">'
            f"<title>{escape(title)}</title></circle>"
        )

    def text(self, x: float, y: float, text: str, *, end: bool = False, above: bool = True) -> None:
        """Write beside a point."""
        left, top = self.at(x, y)
        anchor = "end" if end else "start"
        offset = -7 if above else 15
        self._layers.append(
            f'<text class="mark" x="{left + (-4 if end else 4):.1f}" y="{top + offset:.1f}" '
            f'text-anchor="{anchor}">{escape(text)}</text>'
        )

    def svg(self) -> Markup:
        """Return the finished picture."""
        return Markup(
            f'<svg viewBox="0 0 {self.width:g} {self.height:g}" role="img" '
            f'aria-label="{escape(self.label)}">{self._axes()}{"".join(self._layers)}</svg>'
        )

    def _path(self, points: Iterable[tuple[float, float]]) -> str:
        places = thinned([self.at(*point) for point in points])
        return "M" + "L".join(f"{x:.1f},{y:.1f}" for x, y in places)

    def _axes(self) -> str:
        left, bottom = _LEFT, self.height - _BOTTOM
        right = self.width - _RIGHT
        parts = []
        for value, label in self.y.ticks:
            _, y = self.at(self.x.low, value)
            parts.append(f'<path class="grid" d="M{left:g},{y:.1f}H{right:g}"/>')
            parts.append(
                f'<text class="tick" x="{left - 8:g}" y="{y + 4:.1f}" text-anchor="end">'
                f"{escape(label)}</text>"
            )
        for value, label in self.x.ticks:
            x, _ = self.at(value, self.y.low)
            parts.append(f'<path class="grid" d="M{x:.1f},{bottom:g}v5"/>')
            parts.append(
                f'<text class="tick" x="{x:.1f}" y="{bottom + 19:g}" text-anchor="middle">'
                f"{escape(label)}</text>"
            )
        parts.append(f'<path class="axis" d="M{left:g},{bottom:g}H{right:g}"/>')
        parts.append(
            f'<text class="title" x="{right:g}" y="{self.height - 4:g}" text-anchor="end">'
            f"{escape(self.x.title)}</text>"
            f'<text class="title" x="4" y="12">{escape(self.y.title)}</text>'
        )
        return "".join(parts)
