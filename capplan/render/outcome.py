"""How an outcome fell in its forecast, for the terminal."""

from __future__ import annotations

from rich.console import RenderableType

from capplan.render.parts import answer, bullets, next_step, notes, table
from capplan.results.outcome import Outcome
from capplan.units import format_number, format_rate, format_share


def outcome(result: Outcome, plan: str) -> RenderableType:
    """Show what came, where it fell in the forecast, and what was written down."""
    p = result.forecast_rps
    sides = "within" if result.within_90 else "outside"
    forecast = [format_number(value) for value in (p.p5, p.p50, p.p90, p.p95, p.p99)]
    many, mean = (f"{result.sales} sales", " on average") if result.sales > 1 else ("this sale", "")
    return answer(
        f"{format_rate(result.actual_rps)} came, {result.ratio:.2f}x the median forecast: "
        f"{_share(result)} of the forecast lay below it.",
        table(
            ("requests/s", "p5", "p50", "p90", "p95", "p99", "came"),
            [("peak", *forecast, format_number(result.actual_rps))],
        ),
        bullets(
            (
                f"it fell {sides} the range that should hold nine sales in ten, as forecast on "
                f"{result.forecast_made_at:%Y-%m-%d}",
                f"{many} came at {result.typical_ratio:.2f}x the forecast{mean}; the next "
                "estimate takes this into account",
                f"written into line {result.line} of the plan: {result.written}",
            )
        ),
        notes(result.notes),
        next_step("capplan estimate", plan),
    )


def _share(result: Outcome) -> str:
    if result.below < result.resolution:
        return f"less than {format_share(result.resolution)}"
    if result.below > 1 - result.resolution:
        return f"more than {format_share(1 - result.resolution)}"
    return format_share(result.below)
