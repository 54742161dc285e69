"""How two targets compare, for the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import RenderableType

from capplan.render.parts import answer, bounds, notes, table, titled
from capplan.results.capacity import Trial
from capplan.results.paired import Paired, RatioRange, Side
from capplan.units import format_number, format_share


def paired(result: Paired, plan: str) -> RenderableType:
    """Show the ratio head/base, and what it rests on."""
    return answer(
        _headline(result),
        titled(
            f"{len(result.pairs)} pairs of trials: head/base with the "
            f"{format_share(result.ratio.confidence)} interval",
            table(
                ("", "head/base"),
                [
                    ("in pairs", _ratio(result.ratio)),
                    ("the same trials, not paired", _ratio(result.unpaired_ratio)),
                ],
            ),
        ),
        titled(
            "Targets: what each sustains by itself, with the noise of the machine",
            table(
                ("", "rps", "trials", "<target"),
                [_side("base", result.base), _side("head", result.head)],
            ),
        ),
        notes(result.notes),
    )


def _headline(result: Paired) -> str:
    if result.verdict == "below_sla":
        return f"The head misses the SLA at any load, the base does not: {result.reason}"
    if result.verdict == "inconclusive":
        return f"Inconclusive: {result.reason}"
    low, high = result.ratio.low or 0.0, result.ratio.high or 0.0
    spread = f"({format_number(low)} to {format_number(high)})"
    if high < 1:
        return f"The head sustains less than the base: {_ratio(result.ratio)} of it."
    if low > 1:
        return f"The head sustains more than the base: {_ratio(result.ratio)} of it."
    return f"No difference seen: the head sustains {_mid(result.ratio)} of the base {spread}."


def _mid(ratio: RatioRange) -> str:
    return "-" if ratio.mid is None else format_number(ratio.mid)


def _ratio(ratio: RatioRange) -> str:
    if ratio.low is None or ratio.high is None:
        return "-" if ratio.high is None else f"less than {format_number(ratio.high)}"
    return f"{_mid(ratio)} ({format_number(ratio.low)} to {format_number(ratio.high)})"


def _side(name: str, side: Side) -> Sequence[str]:
    known = side.sustained_rps
    rates = bounds(known.low, known.high) or "-"
    return (name, rates, _count(side.trials), side.identity.target)


def _count(trials: Sequence[Trial]) -> str:
    invalid = sum(trial.outcome == "invalid" for trial in trials)
    return f"{len(trials)}" + (f", {invalid} invalid" if invalid else "")
