"""λ(t) as a table for a spreadsheet."""

from __future__ import annotations

from datetime import datetime, timedelta

from capplan.results.demand import Profile


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
