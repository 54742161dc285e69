"""λ(t), and the acts of a simulation, as tables for a spreadsheet."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from capplan.results.demand import Profile

if TYPE_CHECKING:
    from capplan.simulate.detail import Detail


def profile(shown: Profile, start: datetime) -> str:
    """Return one row per time: seconds from ``start``, the clock, and requests/s with their band.

    >>> noon = datetime.fromisoformat("2026-11-27T12:00:00+01:00")
    >>> print(profile(Profile(t_s=(0, 1), rps_p5=(1, 2), rps_p50=(3, 4), rps_p95=(5, 6)), noon))
    t_s,at,rps_p5,rps_p50,rps_p95
    0,2026-11-27T12:00:00+01:00,1,3,5
    1,2026-11-27T12:00:01+01:00,2,4,6
    <BLANKLINE>
    """
    rows = zip(shown.t_s, shown.rps_p5, shown.rps_p50, shown.rps_p95, strict=True)
    lines = ["t_s,at,rps_p5,rps_p50,rps_p95"]
    lines += [
        f"{t_s:g},{(start + timedelta(seconds=t_s)).isoformat()},{p5:g},{p50:g},{p95:g}"
        for t_s, p5, p50, p95 in rows
    ]
    return "\n".join(lines) + "\n"


def act(shown: Detail, *, header: bool) -> str:
    """Return a row per second and class, and one for all classes with layers and visits.

    Counts are per second; ``good`` and the latencies belong to the second of the first attempt.
    ``answered`` counts what the servers finished, whether or not somebody still waited for it.
    """
    from capplan.simulate.kernel.tally import COUNTS, FIRST_REASON, LAYERS, REASONS, VISITS

    rows: list[list[object]] = []
    told = (
        "offered", "attempts", "admitted", "cached", "answered", "good", "timed_out", "given_up",
    )  # fmt: skip
    if header:
        rows.append(
            ["act", "protected", "t_s", "class", *told, *(f"refused_{name}" for name in REASONS),
             "latency_s_p50", "latency_s_p95", "latency_s_p99", "in_flight", "servers", *LAYERS,
             *(f"visits_{name}" for name in VISITS)]
        )  # fmt: skip
    admitted, in_flight, latency_s = shown.admitted, shown.in_flight, shown.latency_s
    begin = (shown.act, "yes" if shown.protections else "no")
    empty = [""] * (2 + len(LAYERS) + len(VISITS))
    for second, t_s in enumerate(shown.t_s):
        for kind, name in enumerate(shown.classes):
            counts = dict(zip(COUNTS, shown.counts[second, kind], strict=True))
            counts |= {"admitted": admitted[second, kind], "answered": counts["served"]}
            levels = empty
            if kind == len(shown.classes) - 1:
                levels = [_short(in_flight[second]), _short(shown.servers[second])]
                levels += [_short(level) for level in shown.levels[second]]
                levels += [_short(count) for count in shown.visits[second]]
            rows.append(
                [*begin, t_s, name, *(_short(counts[what]) for what in told),
                 *(_short(count) for count in shown.counts[second, kind, FIRST_REASON:]),
                 *(_short(value) for value in latency_s[second, kind]), *levels]
            )  # fmt: skip
    return as_text(rows)


def _short(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.6g}"


def as_text(rows: Iterable[Iterable[object]]) -> str:
    r"""Write rows, quoted where they have to be.

    >>> as_text([["a", 1], ["b, c", None]])
    'a,1\n"b, c",\n'
    """
    text = _Text()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return "".join(text.parts)


class _Text:
    """What the writer of the standard library takes for a file."""

    def __init__(self) -> None:
        self.parts: list[str] = []

    def write(self, part: str) -> None:
        self.parts.append(part)
