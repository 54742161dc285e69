"""Whether what was measured contradicts what is seen today: a rate at a share of the CPU."""

from __future__ import annotations

from capplan.model.overload import ServerRate
from capplan.plan.schema import SeenPeak
from capplan.results.base import Note
from capplan.results.resources import CpuAtRate
from capplan.units import format_rate, format_share

_CONTRADICTION = 1.5
_SLACK = 0.05  # of the CPU: what is idle today and in a test need not be the same
_ADVICE = "check usual.peak, and whether the load test calls what real visitors call"


def contradiction(
    seen: SeenPeak | None, server: ServerRate | None, cpu: CpuAtRate | None
) -> list[Note]:
    """Note a load test that differs from today's peak by more than 1.5 times.

    ``cpu`` is what one server used in the load test: at the rate that it has today, it has to use
    what it uses today. Without it, today's rate is extrapolated to all of the CPU and compared with
    what one ``server`` sustains.
    """
    if seen is None or seen.cpu == 0:
        return []
    each_rps = seen.rate / seen.servers
    if cpu is not None:
        used = min(max(cpu.idle + cpu.per_rps * each_rps, 0.0), 1.0)
        if not _apart(used, seen.cpu):
            return []
        message = (
            f"today {format_rate(each_rps)} per server take {format_share(seen.cpu)} of its CPU, "
            f"in the load test they take {format_share(used)}"
        )
        return [Note(code="contradicts_today", message=message, advice=_ADVICE)]
    if server is None:
        return []
    implied = each_rps / seen.cpu
    if implied / _CONTRADICTION <= server.high and server.low <= implied * _CONTRADICTION:
        return []
    message = (
        f"today's peak implies about {format_rate(implied)} per server at full CPU, the capacity "
        f"says {format_rate(server.mid)}"
    )
    return [Note(code="contradicts_today", message=message, advice=_ADVICE)]


def _apart(one: float, other: float) -> bool:
    low, high = sorted((one, other))
    return high > _CONTRADICTION * low + _SLACK
