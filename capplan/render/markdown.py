"""Markdown: a verdict for the summary of a CI job, a report for a pull request."""

from __future__ import annotations

import re

from capplan.render import breaking as breaking_text
from capplan.render import capacity as capacity_text
from capplan.render import demand as demand_text
from capplan.render import recommendation as advice_text
from capplan.render import simulation as simulation_text
from capplan.render import verdict as verdict_text
from capplan.render.contents import Contents
from capplan.results.base import Note
from capplan.results.recommendation import Option
from capplan.results.verdict import Verdict
from capplan.units import format_money

_SIGN = {"pass": "✅", "fail": "❌", "inconclusive": "❔", "not_judged": "➖"}
_MARKUP = re.compile(r"([\\|`*_<>\[\]$~&#])")


def summary(verdict: Verdict) -> str:
    """Return a heading with the verdict, a table of the checks and the notes."""
    lines = [
        f"### {_SIGN[verdict.verdict]} capplan gate: {verdict.verdict}, plan "
        f"{_plain(verdict.plan.name)}{verdict_text.left_out(verdict)}",
        "",
        "| check | outcome | what was seen |",
        "|---|---|---|",
        *(
            f"| {_plain(check.name)} | {_SIGN[check.outcome]} {verdict_text.shown(check)} "
            f"| {_plain(check.message)} |"
            for check in verdict.checks
        ),
    ]
    if verdict.notes:
        lines += ["", *(f"- {_note(note)}" for note in verdict.notes)]
    return "\n".join(lines) + "\n\n"


def report(found: Contents) -> str:
    """Return the results of a plan as a comment: the answer, the options and what is missing."""
    advice = found.advice
    answers = [advice_text.headline(advice)] if advice else []
    answers.append(demand_text.headline(found.demand))
    if found.capacity:
        answers.append(capacity_text.headline(found.capacity, found.capacity.identity.sla))
        answers += capacity_text.limits(found.capacity)
    if found.simulation:
        answers.append(simulation_text.headline(found.simulation))
    if found.breaking:
        answers.append(breaking_text.breaking_headline(found.breaking))
    if found.sweep:
        answers.append(breaking_text.sweep_headline(found.sweep))
    parts = [[f"### {_plain(answers[0])}"], [f"- {_plain(text)}" for text in answers[1:]]]
    if advice:
        head = ["| servers | cost | overload | why not |", "|---:|---:|---:|---|"]
        parts.append([*head, *(_row(option, advice.resolution) for option in advice.options)])
    if found.verdict:
        parts.append([_planned(found.verdict)])
    if found.missing:
        parts += [["Missing:"], [f"- {_plain(text)}" for text in found.missing]]
    return "\n\n".join("\n".join(lines) for lines in parts if lines) + "\n"


def _planned(verdict: Verdict) -> str:
    said = f"{verdict.verdict}{verdict_text.left_out(verdict)}"
    return f"{_SIGN[verdict.verdict]} planned fleet: {said}"


def _row(option: Option, resolution: float) -> str:
    mark = "**" if option.chosen else ""
    cells = (
        f"{mark}{_plain(advice_text.fleet(option))}{mark}",
        _plain(format_money(option.cost)),
        _plain(advice_text.shown_risk(option.overload_probability, resolution)),
        _plain(option.excuse) or "chosen",
    )
    return f"| {' | '.join(cells)} |"


def _note(note: Note) -> str:
    return _plain(f"{note.message}; {note.advice}" if note.advice else note.message)


def _plain(text: str) -> str:
    """Put a text on one line and escape what would end a table cell or start markup."""
    return _MARKUP.sub(r"\\\1", " ".join(text.split()))
