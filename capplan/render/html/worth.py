"""What each protection is worth: a table, and a picture for every set that was simulated."""

from __future__ import annotations

from dataclasses import dataclass

from markupsafe import Markup

from capplan.render.html.svg import Axis, Picture, linear
from capplan.render.simulation import clock
from capplan.results.simulation import Difference, Ranking, RankingRun
from capplan.units import format_count, format_share

_NAMES = {"held": "it holds", "recovered": "it is lost and comes back", "never": "it is lost"}


@dataclass(frozen=True)
class Choice:
    """A set of protections that can be looked at; ``label`` says which."""

    key: str
    label: str
    picture: Markup
    line: str
    chosen: bool


@dataclass(frozen=True)
class Group:
    """Choices that belong together."""

    title: str
    choices: tuple[Choice, ...]


@dataclass(frozen=True)
class Panel:
    """The part of the page; ``bare`` stands beside whatever is chosen."""

    about: str
    bare: Choice
    groups: tuple[Group, ...]
    rows: tuple[tuple[str, str, str], ...]


def panel(ranking: Ranking) -> Panel:
    """Return the table and the pictures of a ranking."""
    by_set = {run.protections: run for run in ranking.runs}
    names = [one.protection for one in ranking.protections]
    in_plan = [one.protection for one in ranking.protections if one.missing is not None]
    full = next(some for some in by_set if set(some) == set(in_plan))
    top = max(max(run.good) for run in ranking.runs) * 1.25 or 1.0

    def choice(key: str, label: str, some: tuple[str, ...], chosen: bool = False) -> Choice:
        run = by_set[some]
        line = (
            f"{format_count(round(run.paid))} of {format_count(round(run.could_pay))} paid, "
            f"{_NAMES[run.outcome]}"
        )
        return Choice(key, label, _picture(ranking, run, label, top), line, chosen)

    bare = choice("set-none", "No protection", ())
    groups = []
    if in_plan:
        groups.append(Group("All of them", (choice("set-all", "all", full, chosen=True),)))
    if len(in_plan) > 1:
        without = [
            (number, name, tuple(one for one in full if one != name))
            for number, name in enumerate(in_plan)
        ]
        groups.append(
            Group(
                "All but",
                tuple(choice(f"set-but-{n}", f"all but {name}", some) for n, name, some in without),
            )
        )
    groups.append(
        Group(
            "Only",
            tuple(
                choice(f"set-only-{n}", f"only {name}", (name,), chosen=not in_plan and n == 0)
                for n, name in enumerate(names)
            ),
        )
    )
    part = "" if ranking.scale == 1 else f", on {format_share(ranking.scale)} of the sale"
    about = (
        f"{ranking.act[:1].upper()}{ranking.act[1:]}, {clock(ranking.from_s)} to "
        f"{clock(ranking.to_s)} after the start; mean of {ranking.replications} runs with the same "
        f"visits{part}, ± is the {format_share(ranking.confidence)} interval."
    )
    rows = tuple(
        (one.protection, _difference(one.alone), _difference(one.missing))
        for one in ranking.protections
    )
    return Panel(about, bare, tuple(groups), rows)


def _difference(found: Difference | None) -> str:
    if found is None:
        return "–"
    return f"{format_count(round(found.paid))} ± {format_count(round(found.error))}"


def _picture(ranking: Ranking, run: RankingRun, label: str, top: float) -> Markup:
    times = [ranking.from_s + place * run.step_s for place in range(len(run.good))]
    first, last = ranking.from_s, ranking.to_s
    minutes = linear(first / 60, last / 60, "minutes after the start")
    x = Axis(first, last, tuple((60 * at, text) for at, text in minutes.ticks), minutes.title)
    picture = Picture(
        f"{label}: requests offered and answered in time",
        x,
        linear(0.0, top, "shoppers' requests/s"),
        height=210.0,
        width=360.0,
    )
    picture.band(times, [0.0] * len(times), run.good, "good")
    picture.line(zip(times, run.offered, strict=True), "offered")
    picture.line(zip(times, run.good, strict=True), "good")
    return picture.svg()
