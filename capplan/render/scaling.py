"""What several servers sustain together, and the law through it, for the terminal."""

from __future__ import annotations

from rich.console import Group

from capplan.render.parts import bounds, bullets, table, titled
from capplan.results.capacity import Capacity, Scaling, ScalingLaw, SustainedRate
from capplan.results.scaling import FEWEST_POINTS, described
from capplan.units import format_number, format_share

_NOTHING = 1e-6


def scaling(result: Capacity) -> Group | None:
    """Show each number of servers with what they sustain, and what the law says."""
    if result.scaling is None:
        return None
    one = result.sustained_rps.mid
    rows = [
        (
            str(point.servers),
            bounds(point.sustained_rps.low, point.sustained_rps.high) or "-",
            _each(point.sustained_rps, point.servers, one),
            f"{point.made_at:%Y-%m-%d}",
            "" if point.verdict == "measured" else point.verdict.replace("_", " "),
        )
        for point in result.scaling.points
    ]
    measured = titled(
        "Scale-out: rates in requests/s",
        table(("servers", "sustain", "efficiency", "measured", "<"), rows),
    )
    return Group(measured, bullets(_law(result.scaling)))


def _each(known: SustainedRate, servers: int, one: float | None) -> str:
    return "-" if not known.mid or not one else format_share(known.mid / servers / one)


def _law(found: Scaling) -> list[str]:
    if found.law is None:
        usable = sum(point.verdict == "measured" for point in found.points)
        missing = FEWEST_POINTS - usable
        more = "one more number" if missing == 1 else f"{missing} more numbers"
        return [f"{more} of servers, measured, would make a scaling law"]
    law = found.law
    return [f"scaling law, {described(law)}", _doubt(law)]


def _doubt(law: ScalingLaw) -> str:
    peak = law.intervals["peak_servers"]
    if peak.low is None:
        where = "none shows a peak"
    elif peak.high is None:
        where = f"some peak from {format_number(peak.low)} servers on, others never"
    else:
        where = f"they peak between {format_number(peak.low)} and {format_number(peak.high)}"
    alpha, beta = (law.intervals[name] for name in ("alpha", "beta"))
    return (
        f"contention α {_small(law.alpha)} ({_small(alpha.low)} to {_small(alpha.high)}), "
        f"coherency β {_small(law.beta)} ({_small(beta.low)} to {_small(beta.high)}); of the "
        f"laws within the {format_share(law.confidence)} intervals {where}"
    )


def _small(parameter: float | None) -> str:
    """Write a parameter; one that the fit left at its bound is none."""
    return format_number(parameter) if parameter and parameter > _NOTHING else "0"
