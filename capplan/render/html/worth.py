"""What each protection is worth: a table, and a picture that shows every set that was simulated."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from capplan.plan.saleday import PROTECTIONS
from capplan.render.html.svg import Axis, Picture, linear
from capplan.render.simulation import clock
from capplan.results.simulation import Difference, Ranking, RankingRun
from capplan.units import format_count, format_share

_NAMES = {"held": "it holds", "recovered": "it is lost and comes back", "never": "it is lost"}


@dataclass(frozen=True)
class Toggle:
    """A protection that can be put in front of the same visits, or taken away."""

    name: str
    in_plan: bool


@dataclass(frozen=True)
class Panel:
    """The part of the page; ``data`` redraws ``full``, which stands beside ``bare``."""

    about: str
    bare: Markup
    bare_line: str
    full: Markup
    full_line: str
    toggles: tuple[Toggle, ...]
    data: dict[str, Any]
    rows: tuple[tuple[str, str, str], ...]


def panel(ranking: Ranking) -> Panel:
    """Return the table, two pictures, and the curves of every set that was simulated."""
    by_set = {frozenset(run.protections): run for run in ranking.runs}
    in_plan = frozenset(one.protection for one in ranking.protections if one.missing is not None)
    names = sorted((one.protection for one in ranking.protections), key=PROTECTIONS.index)
    frame = _Frame(ranking, max(max(run.good) for run in ranking.runs) * 1.25 or 1.0)
    bare, full = by_set[frozenset()], by_set[in_plan]
    part = "" if ranking.scale == 1 else f", on {format_share(ranking.scale)} of the sale"
    about = (
        f"{ranking.act[:1].upper()}{ranking.act[1:]}, {clock(ranking.from_s)} to "
        f"{clock(ranking.to_s)} after the start; mean of {ranking.replications} runs with the same "
        f"visits{part}, ± is the {format_share(ranking.confidence)} interval."
    )
    return Panel(
        about=about,
        bare=frame.picture(bare, "No protection").svg(),
        bare_line=_line(bare),
        full=frame.picture(full, "The chosen protections").svg(),
        full_line=_line(full),
        toggles=tuple(Toggle(name, name in in_plan) for name in names),
        data=frame.data(names, by_set),
        rows=tuple(
            (one.protection, _difference(one.alone), _difference(one.missing))
            for one in ranking.protections
        ),
    )


def _line(run: RankingRun) -> str:
    once = "" if run.replications > 1 else " in one run"
    return (
        f"{format_count(round(run.paid))} of {format_count(round(run.could_pay))} paid{once}, "
        f"{_NAMES[run.outcome]}."
    )


def _difference(found: Difference | None) -> str:
    if found is None:
        return "–"
    return f"{format_count(round(found.paid))} ± {format_count(round(found.error))}"


@dataclass(frozen=True)
class _Frame:
    """The axes that all pictures share."""

    ranking: Ranking
    top: float

    def picture(self, run: RankingRun, label: str) -> Picture:
        """Draw one set of protections."""
        drawn, times = (
            self._empty(f"{label}: requests offered and answered in time"),
            self._t_s(run),
        )
        drawn.band(times, [0.0] * len(times), run.good, "good")
        drawn.line(zip(times, run.offered, strict=True), "offered")
        drawn.line(zip(times, run.good, strict=True), "good")
        return drawn

    def data(self, names: list[str], by_set: Mapping[frozenset[str], RankingRun]) -> dict[str, Any]:
        """Return the curves of all sets as places in a picture, by the numbers of their names."""
        empty, some = self._empty(""), next(iter(by_set.values()))

        def places(values: tuple[float, ...]) -> list[float]:
            return [round(empty.at(0.0, value)[1], 1) for value in values]

        return {
            "names": names,
            "x": [round(empty.at(time, 0.0)[0], 1) for time in self._t_s(some)],
            "bottom": round(empty.at(0.0, 0.0)[1], 1),
            "sets": {
                ",".join(str(number) for number, name in enumerate(names) if name in some): {
                    "line": _line(run),
                    "offered": places(run.offered),
                    "good": places(run.good),
                }
                for some, run in by_set.items()
            },
        }

    def _t_s(self, run: RankingRun) -> list[float]:
        return [self.ranking.from_s + place * run.step_s for place in range(len(run.good))]

    def _empty(self, label: str) -> Picture:
        first, last = self.ranking.from_s, self.ranking.to_s
        minutes = linear(first / 60, last / 60, "minutes after the start")
        x = Axis(first, last, tuple((60 * at, text) for at, text in minutes.ticks), minutes.title)
        y = linear(0.0, self.top, "shoppers' requests/s")
        return Picture(label, x, y, height=210.0, width=360.0)
