"""Two capacities side by side, for the terminal."""

from __future__ import annotations

from rich.console import RenderableType

from capplan.render.parts import answer, bounds, notes, table, titled
from capplan.results.comparison import Compared, Comparison
from capplan.results.paired import RatioRange
from capplan.units import format_number, format_share

_VERDICTS = {
    "different": "different",
    "no_difference": "no difference seen",
    "cannot_tell": "cannot tell",
}
_MEASURES = {"sustained_rps": "sustained rate", "latency_s_p95": "latency p95"}


def comparison(result: Comparison) -> RenderableType:
    """Show the ratio new/old, of the whole and by endpoint."""
    rows = [("all", "sustained rate", _ratio(result.ratio), _VERDICTS[result.verdict])]
    rows += [
        (one.endpoint, _MEASURES[one.measure], _ratio(one.ratio), _VERDICTS[one.verdict])
        for one in result.endpoints
    ]
    title = f"New over old, with the {format_share(result.ratio.confidence)} interval"
    return answer(
        _headline(result),
        table(("", "rps", "<measured"), [_row("old", result.old), _row("new", result.new)]),
        titled(title, table(("", "<of", "new/old", "<"), rows)),
        notes(result.notes),
    )


def _headline(result: Comparison) -> str:
    spread, mid = _ratio(result.ratio), result.ratio.mid
    if result.verdict == "different":
        less = (result.ratio.high or 2.0) < 1
        return f"Different: the new one sustains {'less' if less else 'more'}, {spread} of the old."
    if result.verdict == "no_difference":
        return f"No difference seen: the new one sustains {spread} of the old."
    known = f": the ratio new/old is {spread}" if mid or spread != "-" else ""
    return f"Cannot tell whether they differ{known}."


def _ratio(ratio: RatioRange) -> str:
    low = None if ratio.low is None else format_number(ratio.low)
    high = None if ratio.high is None else format_number(ratio.high)
    if low and high:
        return f"{format_number(ratio.mid)} ({low} to {high})" if ratio.mid else f"{low} to {high}"
    if low:
        return f"at least {low}"
    return f"at most {high}" if high else "-"


def _row(name: str, one: Compared) -> tuple[str, str, str]:
    known = one.sustained_rps
    measured = f"{one.made_at:%Y-%m-%d %H:%M}, {one.verdict}"
    return name, bounds(known.low, known.high) or "-", measured
