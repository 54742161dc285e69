"""Inside an act: what each class of requests got, and what the services behind the servers did."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from capplan.render.html.figures import clock_axis
from capplan.render.html.svg import Picture, linear
from capplan.results.seconds import ActSeconds
from capplan.units import format_count, format_duration, format_share

Floats = NDArray[np.floating]

_MOST_POINTS = 120
_OPEN = 1
_HEIGHT, _WIDTH = 200.0, 480.0


@dataclass(frozen=True)
class Figure:
    """A picture with its words."""

    title: str
    picture: Markup
    line: str


@dataclass(frozen=True)
class Row:
    """The same class, or the same service, in the acts that are compared."""

    name: str
    figures: tuple[Figure, ...]


@dataclass(frozen=True)
class Inside:
    """The rows of classes, and those of services."""

    classes: tuple[Row, ...]
    services: tuple[Row, ...]


def inside(acts: Sequence[ActSeconds], start: datetime) -> Inside | None:
    """Draw the last surprise without and with protections, side by side; None where none is over.

    The second sale is left out: it is no other day for the same servers.
    """
    by_name = {act.act: [one for one in acts if one.act == act.act] for act in acts}
    pairs = [pair for pair in by_name.values() if len(pair) > 1] or [list(acts)[:1]]
    pair = pairs[-1]
    if not pair:
        return None
    names = list(dict.fromkeys(name for act in pair for name in act.classes[:-1]))
    return Inside(
        tuple(
            Row(name, tuple(_of_class(act, name, pair, start) for act in pair)) for name in names
        ),
        tuple(
            Row(name, tuple(_of_service(act, name, pair, start) for act in pair))
            for name in pair[0].services
        ),
    )


def _of_class(act: ActSeconds, name: str, pair: Sequence[ActSeconds], start: datetime) -> Figure:
    place = act.classes.index(name)
    column = {what: values[:, place] for what, values in act.of_class.items()}
    top = max(float(_coarse(other.of_class["good"][:, place]).max()) for other in pair)
    title = act.label
    picture = _frame(f"{name}, {title}: requests offered and answered in time", act, start,
                     max(top * 1.25, 1.0), f"{name}: requests/s")  # fmt: skip
    times, good = _times(act), _coarse(column["good"])
    picture.band(times, [0.0] * len(times), good.tolist(), "good")
    picture.line(zip(times, _coarse(column["offered"]).tolist(), strict=True), "offered")
    picture.line(zip(times, good.tolist(), strict=True), "good")
    offered, slow = float(column["offered"].sum()), column["latency_s_p95"]
    parts = [f"{format_count(round(offered))} requests"]
    if offered:
        parts.append(f"{format_share(float(column['good'].sum()) / offered)} answered in time")
    parts += [
        f"{format_count(round(count))} {said}"
        for what, said in (("refused", "attempts refused"), ("timed_out", "timed out"))
        if (count := float(column[what].sum())) >= 1
    ]
    if np.isfinite(slow).any():
        parts.append(f"p95 up to {format_duration(float(np.nanmax(slow)))}")
    if (longest := float(column["queued"].max())) >= 1:
        parts.append(f"longest queue {format_count(round(longest))}")
    return Figure(title, picture.svg(), ", ".join(parts) + ".")


def _of_service(act: ActSeconds, name: str, pair: Sequence[ActSeconds], start: datetime) -> Figure:
    place = act.services.index(name)
    column = {what: values[:, place] for what, values in act.of_service.items()}
    top = max(
        float(_coarse(other.of_service[what][:, place]).max())
        for other in pair
        for what in ("busy", "queued")
    )
    title = act.label
    picture = _frame(f"{name}, {title}: calls in its slots and in its queue", act, start,
                     max(top * 1.15, 1.0), f"{name}: calls")  # fmt: skip
    times = _times(act)
    picture.band(times, [0.0] * len(times), _coarse(column["busy"]).tolist(), "good")
    picture.line(zip(times, _coarse(column["queued"]).tolist(), strict=True), "limit")
    parts = [
        f"longest queue {format_count(round(float(column['queued'].max())))}",
        *(
            f"{format_count(round(count))} calls {said}"
            for what, said in (
                ("refused", "found it full"), ("failed", "failed or took too long"),
                ("cut_off", "cut off by its breaker"),
            )
            if (count := float(column[what].sum())) >= 1
        ),
    ]  # fmt: skip
    if opened := int((column["breaker"] == _OPEN).sum()):
        parts.append(f"breaker open for {format_duration(float(opened))}")
    return Figure(title, picture.svg(), ", ".join(parts) + ".")


def _frame(label: str, act: ActSeconds, start: datetime, top: float, title: str) -> Picture:
    first, last = float(act.t_s[0]), float(act.t_s[-1])
    x, y = clock_axis(start, first, last, 36), linear(0.0, top, title)
    return Picture(label, x, y, height=_HEIGHT, width=_WIDTH)


def _times(act: ActSeconds) -> list[float]:
    """Return when the steps of a picture begin."""
    return [float(at_s) for at_s in act.t_s[:: -(-len(act.t_s) // _MOST_POINTS)]]


def _coarse(values: Floats) -> Floats:
    """Return the means of the steps of a picture."""
    edges = np.arange(0, len(values), -(-len(values) // _MOST_POINTS))
    lengths = np.diff([*edges, len(values)])
    return np.asarray(np.add.reduceat(np.asarray(values, float), edges) / lengths)
