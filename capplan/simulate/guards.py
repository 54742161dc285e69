"""The protections between the layers: circuit breakers, back-pressure, and how calls share wires.

The gateway calls the fleet, the servers call the services behind them. Each caller may have a
breaker for the layer behind it, and each layer may say that it is full.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

from capplan.model import protections as rules
from capplan.plan.saleday import PROTECTIONS
from capplan.results.simulation import Setting
from capplan.simulate.behind import Service
from capplan.simulate.kernel.describe import Breaker, Downstream, Setup
from capplan.simulate.scene import Scene
from capplan.simulate.setting import setting
from capplan.units import format_count, format_duration, format_number, format_rate, format_share

_LEAST, _FEWEST = 20, 5  # calls in a window: as in Hystrix; with fewer, one failure is a share
_PROBES = 5
_LOG_100 = math.log(100)  # p99 of an exponential time, in means
Values = Mapping[tuple[str, str], float]


def possible(scene: Scene) -> tuple[str, ...]:
    """Return the protections that can change something in this plan, which saves their runs."""
    saleday, steps = scene.plan.saleday, scene.steps
    idle = {
        "multiplex": saleday.connections is None,
        "cache": all(step.cacheable <= 0 for step in steps),
        "priorities": len({step.priority for step in steps}) == 1,
        "retry-budget": saleday.attempts == 1,
    }
    return tuple(name for name in PROTECTIONS if not idle.get(name, False))


def guard_settings(scene: Scene, servers: int, queue: float) -> tuple[Setting, ...]:
    """Return the settings of breakers, back-pressure and connections.

    ``queue`` are the places with which a request in the queue of the fleet is answered in time.
    """
    breaker, pressure = scene.plan.saleday.limits.breaker, scene.plan.saleday.limits.back_pressure
    low = f"turned away until {format_share(pressure.low)} of that are left"
    found = [
        setting("circuit-breaker", "failures", None, breaker.failures, "of the calls",
                f"in {format_duration(breaker.window)}; then open for "
                f"{format_duration(breaker.pause)}"),
        setting("circuit-breaker", "probes", breaker.probes, _PROBES, "calls",
                "to try, after each pause"),
        setting("circuit-breaker", "least", breaker.least,
                _LEAST * (servers if breaker.per == "server" else 1), "calls",
                "the gateway's breaker is one, and sees the calls of all servers"),
        setting("circuit-breaker", "slow", breaker.slow, scene.patience_s, "s",
                "of the servers: clients hang up after that"),
        setting("back-pressure", "high", pressure.high, queue, "requests",
                f"in the queue of the fleet, as for queue-bound; {low}"),
    ]  # fmt: skip
    for one in scene.services:
        slow_s, why = _slow(scene, servers, one)
        wait_s = rules.queue_timeout_s(one.timeout_s, _call_s(one) * _LOG_100, 0.0)
        carries_rps = one.slots / _call_s(one)
        high = rules.queue_length(carries_rps, wait_s)
        if one.given.queue is not None:
            high = min(high, _part(scene, one.given.queue))
        found += [
            setting("circuit-breaker", f"slow {one.name}", breaker.slow, slow_s, "s", why),
            _least(scene, servers, one),
            setting("circuit-breaker", f"probes {one.name}", breaker.probes,
                    1 if breaker.per == "server" else _PROBES, "calls",
                    "by each server: they hold its slots until their timeout"
                    if breaker.per == "server" else "by all servers together"),
            setting("back-pressure", f"high {one.name}", None, high, "calls",
                    f"{format_rate(carries_rps)} x {format_duration(wait_s)}, its timeout less "
                    "p99 of its service time"),
        ]  # fmt: skip
    if scene.plan.saleday.connections:
        count = _part(scene, scene.plan.saleday.connections)
        found.append(
            setting("multiplex", "connections", None, count, "connections",
                    "answer in any order: no request waits for a slower one before it")
        )  # fmt: skip
    return tuple(found)


def guarded(
    setup: Setup, values: Values, scene: Scene, servers: int, on: Mapping[str, bool]
) -> Setup:
    """Switch breakers, back-pressure and multiplexing on."""
    breaker, low = scene.plan.saleday.limits.breaker, scene.plan.saleday.limits.back_pressure.low

    def breaks(name: str) -> Breaker | None:
        if not on["circuit-breaker"]:
            return None
        return Breaker(
            slow_s=values["circuit-breaker", f"slow{name}"], share=breaker.failures,
            window_s=breaker.window, least=int(values["circuit-breaker", f"least{name}"]),
            open_s=breaker.pause, probes=int(values["circuit-breaker", f"probes{name}"]),
        )  # fmt: skip

    def marks(name: str) -> tuple[int, int] | None:
        if not on["back-pressure"]:
            return None
        high = max(int(values["back-pressure", name]), 1)
        return high, int(low * high)

    behind = [
        replace(one, breaker=breaks(f" {service.name}"), full_at=marks(f"high {service.name}"))
        for one, service in zip(setup.downstream, scene.services, strict=True)
    ]
    return replace(
        setup,
        downstream=behind,
        breaker=breaks(""),
        callers=0 if breaker.per == "fleet" else servers // setup.fleet.count,
        full_at=marks("high"),
        connections=0 if on["multiplex"] else setup.connections,
    )


def downstream(scene: Scene, targets: Mapping[str, str]) -> list[Downstream]:
    """Return the services as they are simulated; ``targets`` are the classes that bots ask for."""
    return [_simulated(scene, one, targets) for one in scene.services]


def connections(scene: Scene) -> int:
    """Return how many connections there are that answer in order; 0: they answer in any."""
    given = scene.plan.saleday.connections
    return 0 if given is None else _part(scene, given)


def _simulated(scene: Scene, one: Service, targets: Mapping[str, str]) -> Downstream:
    given, outage = one.given, one.given.outage
    bots = {name: one.need_s[target] for name, target in targets.items()}
    begins_s = outage.start - scene.begins_s if outage else math.inf
    lasts_s = (outage.duration or math.inf) if outage else 0.0
    return Downstream(
        slots=one.slots,
        mean_s=one.need_s | bots,
        bound=2**62 if given.queue is None else _part(scene, given.queue),
        timeout_s=one.timeout_s,
        finishes=given.finishes,
        fails=given.failures,
        ill_from_s=begins_s,
        ill_until_s=begins_s + lasts_s,
        slower=outage.slower if outage else 1.0,
        ill_fails=outage.failures if outage else 0.0,
    )


def _slow(scene: Scene, servers: int, one: Service) -> tuple[float, str]:
    """Return how slow calls to a service may be before they fill the servers."""
    rate_rps = scene.sustained_rps(servers)
    calls_rps = rate_rps * one.calls_per_request
    slots = servers * scene.slots
    busy = rate_rps * scene.held_s(servers)
    slow_s = rules.slow_call_s(slots - busy, calls_rps, _call_s(one), one.timeout_s)
    return slow_s, (
        f"{format_rate(calls_rps)} of calls fill the {format_count(max(slots - busy, 0.0))} free "
        f"of {format_count(slots)} slots; at least p99 of its service time, at most its timeout"
    )


def _least(scene: Scene, servers: int, one: Service) -> Setting:
    """Return how many calls a breaker waits for: a window with fewer never opens it."""
    breaker = scene.plan.saleday.limits.breaker
    each_rps = scene.sustained_rps(servers) * one.calls_per_request
    each_rps /= servers if breaker.per == "server" else 1
    seen = each_rps * breaker.window
    least = min(max(int(seen / 5), _FEWEST), _LEAST)
    whose = "each server has its own, and makes" if breaker.per == "server" else "all servers make"
    never = "" if seen >= (breaker.least or least) else ": too few, so that it hardly ever opens"
    return setting(
        "circuit-breaker", f"least {one.name}", breaker.least, least, "calls",
        f"{whose} {format_number(seen)} in {format_duration(breaker.window)}{never}",
    )  # fmt: skip


def _call_s(one: Service) -> float:
    return one.mean_s / one.calls_per_request


def _part(scene: Scene, count: int) -> int:
    return max(round(count * scene.share), 1)
