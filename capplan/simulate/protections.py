"""The protections of a sale: how each is set, and what it changes in the simulation.

A setting that the plan leaves out follows from the measured capacity; each says by which formula.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import replace

from capplan.model import protections as rules
from capplan.plan.saleday import PROTECTIONS, BotGroup, Limits
from capplan.results.simulation import Setting
from capplan.simulate.edge import cache_settings, edge_cache
from capplan.simulate.fleet import bounded
from capplan.simulate.growth import growth_settings, scaling
from capplan.simulate.guards import guard_settings, guarded
from capplan.simulate.kernel.setup import Edge, Gateway, Kind, Room, Setup
from capplan.simulate.scene import Scene
from capplan.simulate.setting import setting
from capplan.units import format_duration, format_number, format_rate, format_share

_LIMITERS = ("concurrency-limit", "token-bucket", "leaky-bucket")
_TOLERATED_S = 0.5
_RESERVE = 0.15  # of each limit, for every rank of priority above a class
_ROOM = 0.9  # of what the fleet sustains, so that those inside are served well


def settings(scene: Scene, servers: int) -> tuple[Setting, ...]:
    """Return the settings of all protections for a fleet of so many servers."""
    behind = _behind(scene, servers)
    places = next(one.value for one in behind if one.name == "places")
    return (
        *_in_front(scene, servers),
        *cache_settings(scene),
        *_at_the_gateway(scene, servers),
        *behind,
        *guard_settings(scene, servers, places),
        *growth_settings(scene, servers),
    )


def _in_front(scene: Scene, servers: int) -> tuple[Setting, ...]:
    given, rate_rps = scene.plan.saleday.limits, scene.sustained_rps(servers)
    room = _ROOM * rate_rps / scene.per_visit
    per_s = 1 / scene.think_s
    window_s = given.per_source.window
    human = per_s * window_s + 3.1 * math.sqrt(per_s * window_s)  # p99.9 of a Poisson count
    sources = sum(identities(scene, group) for group in scene.bots())
    spare = scene.capacity_rps(servers) - rate_rps
    limit, enough = rules.source_limit(human, spare, window_s, sources)
    tight = "" if enough else "; by itself that does not save the servers"
    return (
        setting("waiting-room", "rate", given.room_rate, room, "visits/s",
                 f"{format_share(_ROOM)} of {format_rate(rate_rps)} / "
                 f"{format_number(scene.per_visit)} requests per visit"),
        setting("waf", "lag", given.waf.lag, given.waf.lag, "s",
                 f"then {format_share(given.waf.catches)} of the bots' requests are caught, and "
                 f"{format_share(given.waf.mistakes)} of people's"),
        setting("per-source-limit", "requests", given.per_source.requests, limit,
                 f"per {format_duration(window_s)}",
                 f"all but one in a thousand people make {format_number(human)} at most; "
                 f"{sources} {given.per_source.per}s{tight}"),
    )  # fmt: skip


def identities(scene: Scene, group: BotGroup) -> int:
    """Return under how many addresses, or user ids, a group of bots is counted."""
    each = group.users_per_source if scene.plan.saleday.limits.per_source.per == "user" else 1.0
    return max(round(group.sources * each), 1)


def _at_the_gateway(scene: Scene, servers: int) -> tuple[Setting, ...]:
    given, rate_rps = scene.plan.saleday.limits, scene.sustained_rps(servers)
    knee_s = _mean_s(scene)
    inside = servers * rules.in_flight(rate_rps / servers, knee_s)
    steady = rules.steady_rate_rps(rate_rps / servers, servers)
    knee = f"X·R at the knee: {format_rate(rate_rps)} x {format_duration(knee_s)}"
    rate = f"95% of {format_rate(rate_rps)}"
    token_rate, leak_rate = given.token_rate or steady, given.leak_rate or steady
    return (
        setting("concurrency-limit", "in flight", given.in_flight, inside, "requests", knee),
        setting("token-bucket", "rate", given.token_rate, steady, "rps", rate),
        setting("token-bucket", "burst", given.token_burst,
                 rules.burst(token_rate, _TOLERATED_S), "requests",
                 f"rate x {format_duration(_TOLERATED_S)}"),
        setting("leaky-bucket", "rate", given.leak_rate, steady, "rps", rate),
        setting("leaky-bucket", "wait", given.leak_wait, _TOLERATED_S, "s",
                 f"{format_number(leak_rate * _TOLERATED_S)} requests wait at most"),
    )  # fmt: skip


def _behind(scene: Scene, servers: int) -> tuple[Setting, ...]:
    given, rate_rps = scene.plan.saleday.limits, scene.sustained_rps(servers)
    slow_s = scene.server.service_s / scene.basis.efficiency(servers) * math.log(100)
    timeout_s = given.queue_timeout or rules.queue_timeout_s(scene.patience_s, slow_s, 0.0)
    waits = f"{format_duration(scene.patience_s)} - p99 service {format_duration(slow_s)}"
    return (
        setting("priorities", "reserve", None, _RESERVE, "of each limit",
                 "for every rank of priority above a class"),
        setting("queue-bound", "timeout", given.queue_timeout, timeout_s, "s", waits),
        setting("queue-bound", "places", given.queue, rules.queue_length(rate_rps, timeout_s),
                 "requests", f"{format_rate(rate_rps)} x {format_duration(timeout_s)}"),
        setting("retry-budget", "retries", None, given.retry_budget, "of the requests",
                 "so retries add at most that to the load"),
    )  # fmt: skip


def _mean_s(scene: Scene) -> float:
    """Return the mean latency at the sustained rate, from the fitted server."""
    from capplan.model.queueing import mmc_mean_wait_s

    server = scene.server
    wait_s = mmc_mean_wait_s(server.slots, scene.basis.fleet.server.mid, server.service_s)
    waiting = scene.services if scene.plan.saleday.sharing else ()
    return wait_s + server.service_s + sum(one.mean_s for one in waiting)


def protect(
    setup: Setup, scene: Scene, servers: int, chosen: Collection[str], attack_s: float
) -> Setup:
    """Switch protections on; an attack begins ``attack_s`` seconds into the act."""
    values = {(one.protection, one.name): one.value for one in settings(scene, servers)}
    on = {name: name in chosen for name in PROTECTIONS}
    given = scene.plan.saleday.limits
    nodes = given.gateway_nodes if given.shared is None else 1
    limited = any(on[name] for name in _LIMITERS)
    edge = Edge(
        waf_from_s=attack_s + given.waf.lag if on["waf"] else math.inf,
        waf_catches=given.waf.catches,
        waf_mistakes=given.waf.mistakes,
        source_limit=int(values["per-source-limit", "requests"]) * on["per-source-limit"],
        source_window_s=given.per_source.window,
        source_mistakes=given.per_source.mistakes,
        carries_rps=(given.waf.capacity or math.inf)
        if on["waf"] or on["per-source-limit"]
        else math.inf,
        refusal_cost=given.waf.refusal_cost,
    )
    gateway = Gateway(
        nodes=nodes,
        most_inside=max(int(values["concurrency-limit", "in flight"] / nodes), 1)
        * on["concurrency-limit"],
        token_rate=values["token-bucket", "rate"] / nodes * on["token-bucket"],
        token_burst=max(values["token-bucket", "burst"] / nodes, 1.0),
        leak_rate=values["leaky-bucket", "rate"] / nodes * on["leaky-bucket"],
        leak_wait_s=values["leaky-bucket", "wait"],
        round_trip_s=(given.shared or 0.0) * limited,
        carries_rps=scene.gateway_rps / nodes,
        refusal_cost=given.gateway_refusal_cost,
    )
    fleet = setup.fleet
    if on["queue-bound"]:
        fleet = bounded(
            fleet, int(values["queue-bound", "places"]), values["queue-bound", "timeout"],
            workers=scene.plan.saleday.workers is not None,
        )  # fmt: skip
    return replace(
        guarded(setup, values, scene, servers, on),
        kinds=_ranked(setup, scene) if on["priorities"] else setup.kinds,
        fleet=fleet,
        edge=edge,
        cache=edge_cache(scene, values["cache", "places"]) if on["cache"] else setup.cache,
        scaling=scaling(
            scene,
            servers,
            fleet,
            values,
            ahead=on["prescale"],
            auto=on["autoscale"],
            follow=_follows(given),
        ),
        gateway=gateway,
        room=Room(values["waiting-room", "rate"], given.room_patience)
        if on["waiting-room"]
        else None,
        retry_budget=given.retry_budget if on["retry-budget"] else None,
    )


def _follows(given: Limits) -> tuple[str, ...]:
    """Return the limits that grow with the fleet: those that were computed from it."""
    computed = {"most_inside": given.in_flight, "token_rate": given.token_rate,
                "token_burst": given.token_burst, "leak_rate": given.leak_rate,
                "room_rate": given.room_rate}  # fmt: skip
    return tuple(name for name, value in computed.items() if value is None)


def _ranked(setup: Setup, scene: Scene) -> list[Kind]:
    """Give each class its rank, from 0 for the highest priority, and leave reserves to those above.

    A bot cannot be told from a person here: it has the rank of what it asks for.
    """
    levels = sorted({step.priority for step in scene.steps})
    ranks = {step.name: levels.index(step.priority) for step in scene.steps}
    targets = {group.name: scene.target(group) for group in scene.bots()}
    return [
        replace(kind, priority=rank, reserve=min(_RESERVE * rank, 0.6))
        for kind in setup.kinds
        for rank in (ranks[targets.get(kind.name, kind.name)],)
    ]
