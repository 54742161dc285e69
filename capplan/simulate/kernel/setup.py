"""Build the kernel's world from the description of a simulation, and run it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict

import numpy as np
from numpy.typing import NDArray

from capplan.model.service_time import (
    Deterministic,
    Exponential,
    Hyperexponential,
    Lognormal,
    ServiceTime,
    TwoSpeeds,
)
from capplan.simulate.kernel import cache, desks, downstream
from capplan.simulate.kernel import stations as st
from capplan.simulate.kernel.calls import NONE, double_calls, free_calls
from capplan.simulate.kernel.clients import KIND
from capplan.simulate.kernel.describe import (
    Bots,
    Breaker,
    Cache,
    Downstream,
    Edge,
    Fleet,
    Gateway,
    Kind,
    Room,
    Setup,
)
from capplan.simulate.kernel.edge import SOURCE
from capplan.simulate.kernel.gateway import nodes
from capplan.simulate.kernel.guards import MOST_CALLERS, guards
from capplan.simulate.kernel.loop import FULL
from capplan.simulate.kernel.machine import first_arrivals, run
from capplan.simulate.kernel.rng import states
from capplan.simulate.kernel.scaling import Scaler, slots
from capplan.simulate.kernel.tally import tally
from capplan.simulate.kernel.timers import wheel_size
from capplan.simulate.kernel.wires import wires
from capplan.simulate.kernel.world import World

__all__ = [
    "Bots",
    "Breaker",
    "Cache",
    "Downstream",
    "Edge",
    "Fleet",
    "Gateway",
    "Kind",
    "Room",
    "Setup",
    "advance",
    "build",
    "simulate_until",
]

_ROWS = 1 << 10
_LONGEST_TIMER_S = 3600.0


def build(setup: Setup) -> World:
    """Return the world of a simulation at its beginning."""
    count, seconds = len(setup.kinds), len(setup.visits_per_s)
    names = [kind.name for kind in setup.kinds]
    bots = [np.asarray(group.per_s, float) for group in setup.bots]
    fleet, round_s, scaling = setup.fleet, _wheel_s(setup.kinds), setup.scaling
    buckets = wheel_size(round_s, max(float(np.max(setup.visits_per_s)), 1.0))
    world = World(
        {
            "calls": free_calls(_ROWS),
            "random": states(setup.seed),
            "buckets": np.full(buckets, NONE, np.int32),
            "kinds": _kinds(setup),
            "sources": np.zeros(max(sum(group.sources for group in setup.bots), 1), SOURCE),
            "nodes": nodes(setup.gateway.nodes, setup.gateway.token_burst),
            "wires": wires(setup.connections),
            "follows": np.cumsum(_walk(setup), axis=1),
            "rates": np.array([setup.visits_per_s, *bots, sum(bots, np.zeros(seconds))], float),
            "bot_kinds": np.array([names.index(group.kind) for group in setup.bots] or [0]),
            **tally(seconds, count, len(setup.downstream)),
        }
    )
    world.tables["servers"] = np.full(seconds, scaling.servers if scaling else fleet.count)
    budget = setup.retry_budget
    world.set(
        calls_size=_ROWS, buckets_per_s=buckets / round_s, bucket_mask=buckets - 1, timer_due=NONE,
        kind_count=count, think_s=math.inf, tick_s=1.0, seconds=seconds, bot_groups=len(bots),
        open=fleet.count, balance=st.BALANCES.index(fleet.balance),
        refusal_cost=fleet.refusal_cost, drops_gone=fleet.drops_gone, pushes_out=fleet.pushes_out,
        retry_ratio=-1.0 if budget is None else budget, node_count=setup.gateway.nodes,
        throttle_factor=setup.throttle or 0.0, throttle_s=setup.throttle_s,
        leak_s=math.inf, room_s=math.inf, room_rate=setup.room.per_s if setup.room else 0.0,
        trip_s=math.inf, trip_first=NONE, wire_count=setup.connections, wire_ready=NONE,
        wire_bound=fleet.bound // max(setup.connections, 1), queue_patience_s=fleet.patience_s,
        **_fields(setup.gateway, "nodes"), **_fields(setup.edge),
    )  # fmt: skip
    _place_desks(world, setup)
    _place_stations(world, setup)
    _place_cache(world, setup)
    world.set(plain=_is_plain(setup))
    if scaling:
        world.scaler = Scaler(scaling, world, fleet.count, fleet.slots)
    first_arrivals(world)
    return world


def advance(world: World, until_s: float) -> None:
    """Simulate up to ``until_s``, in pieces where the number of servers changes meanwhile."""
    scaler = world.scaler
    while scaler and (now_s := scaler.next_s()) <= until_s:
        _run_until(world, now_s)
        scaler.change(world, now_s)
    _run_until(world, until_s)


def _run_until(world: World, until_s: float) -> None:
    while run(world, until_s) == FULL:
        size, calls = int(world.record["calls_size"]), world.tables["calls"]
        double_calls(calls, int(world.record["calls_free"]))
        world.replace("calls", calls)
        world.set(calls_size=2 * size, calls_free=size)


def simulate_until(setup: Setup, until_s: float, *, warm_s: float = 0.0) -> World:
    """Build a world and simulate it; counts, sums and areas begin after ``warm_s``."""
    world = build(setup)
    if warm_s > 0:
        advance(world, warm_s)
        for counted in ("counts", "visits", "latency", "sums", "behind"):
            world.tables[counted][...] = np.zeros((), world.tables[counted].dtype)
        world.tables["layers"]["area_s"] = 0
    advance(world, until_s)
    return world


def _is_plain(setup: Setup) -> bool:
    """Say whether the simulation can do without the layers that most sales do not have."""
    return not (
        setup.throttle
        or setup.connections
        or setup.downstream
        or setup.breaker
        or setup.full_at
        or setup.gateway.round_trip_s > 0
        or min(setup.gateway.carries_rps, setup.edge.carries_rps) < math.inf
        or any(kind.eager > 0 for kind in setup.kinds)
    )


def _walk(setup: Setup) -> NDArray[np.float64]:
    if setup.walk is not None:
        return setup.walk
    walk = np.zeros((len(setup.kinds) + 1, len(setup.kinds)))
    walk[-1, 0] = 1.0
    return walk


def _fields(layer: Gateway | Edge, *but: str) -> dict[str, float]:
    """Return the fields of a layer that the world has as well."""
    apart = (*but, "carries_rps", "refusal_cost")
    return {name: value for name, value in asdict(layer).items() if name not in apart}


def _place_desks(world: World, setup: Setup) -> None:
    """Place what decides in front: the WAF, and the nodes of the gateway."""
    layers = [setup.edge] + [setup.gateway] * setup.gateway.nodes
    table = desks.desks([one.carries_rps for one in layers], [one.refusal_cost for one in layers])
    world.replace("desks", table)
    world.set(desk_count=len(layers), desk_s=math.inf)


def _place_stations(world: World, setup: Setup) -> None:
    """Place the fleet, as large as it may become, and what is behind it."""
    fleet, scaling, behind = setup.fleet, setup.scaling, setup.downstream
    count, width = fleet.count, fleet.slots
    if scaling:
        most = max(scaling.most, scaling.prescaled, scaling.servers)
        if fleet.count > 1:
            count = most
        else:
            width = max(slots(scaling, fleet.slots, servers) for servers in range(1, most + 1))
    made = [st.rows(count, fleet.slots, fleet.cores, fleet.bound)]
    made += [st.rows(1, one.slots, math.inf, one.bound) for one in behind]
    width = max([width, *(one.slots for one in behind)])
    priorities = 1 + max(kind.priority for kind in setup.kinds)
    callers = most if scaling and fleet.count == 1 else max(setup.callers, 1) * count
    callers = min(callers, MOST_CALLERS)
    layers = [(setup.breaker, setup.full_at), *((one.breaker, one.full_at) for one in behind)]
    needs = [[one.mean_s.get(kind.name, 0.0) for one in behind] for kind in setup.kinds]
    tables = {
        **st.stations(np.concatenate(made), width, priorities),
        "guards": guards(
            [asdict(breaker) if breaker else {} for breaker, _ in layers],
            [full_at or (0, 0) for _, full_at in layers],
            callers,
        ),
        "needs": np.array(needs, float),
        "downstream": _services(behind),
        "behind": np.zeros((len(setup.visits_per_s), len(behind)), downstream.SECOND),
    }
    for name, table in tables.items():
        world.replace(name, table)
    world.set(
        station_count=count + len(behind), fleet_count=count, width=width, priorities=priorities,
        downstream_count=len(behind), overdue_s=math.inf, callers=setup.callers,
        caller_count=callers,
        guarded=any(breaker or full_at for breaker, full_at in layers),
    )  # fmt: skip


def _services(behind: Sequence[Downstream]) -> NDArray[np.void]:
    rows = np.zeros(len(behind), downstream.SERVICE)
    for row, one in zip(rows, behind, strict=True):
        for name in downstream.SERVICE.names or ():
            row[name] = getattr(one, name)
    return rows


def _place_cache(world: World, setup: Setup) -> None:
    """Place the cache, and what it holds at the beginning."""
    edge, classes = setup.cache, sum(kind.cacheable > 0 for kind in setup.kinds)
    places = edge.places if classes else 0
    # the most popular object of every class, then the second one of each
    count = edge.catalogue if places else 0
    order = np.arange(classes * count).reshape(-1, count).T.ravel() if count else np.zeros(0, int)
    kept = order[: places if edge.warm else 0]
    weights = np.arange(1.0, max(count, 1) + 1) ** -edge.zipf
    world.replace("popular", cache.popular(weights))
    world.replace("objects", cache.objects(max(len(order), 1), kept, edge.ttl_s))
    first, last = (kept[0], kept[-1]) if len(kept) else (NONE, NONE)
    world.set(
        catalogue=edge.catalogue, cache_places=places, cache_ttl_s=edge.ttl_s,
        cache_collapses=edge.collapses, cache_held=len(kept), cache_first=first, cache_last=last,
    )  # fmt: skip


def _wheel_s(kinds: Sequence[Kind]) -> float:
    longest_s = max(
        max(k.patience_s if math.isfinite(k.patience_s) else 0.0, 2 * k.pause_s) for k in kinds
    )
    return min(max(longest_s, 1.0), _LONGEST_TIMER_S)


def _kinds(setup: Setup) -> NDArray[np.void]:
    rows = np.zeros(len(setup.kinds) + 1, KIND)
    rows[-1]["thinks_per_s"] = 1.0 / setup.room.patience_s if setup.room else 0.0
    for row, kind in zip(rows[:-1], setup.kinds, strict=True):
        for name in ("patience_s", "restless_s", "attempts", "pause_s", "growth", "jitter",
                     "memoryless", "fails", "cacheable", "paid", "bot", "reserve",
                     "priority", "eager", "reload_s", "reloads"):  # fmt: skip
            row[name] = getattr(kind, name)
        row["thinks_per_s"] = 1.0 / kind.think_s
        row["degraded"] = -1.0 if kind.degraded is None else kind.degraded
        row["mean_s"] = kind.service.mean_s
        row["law"], row["a"], row["b"], row["c"] = _law(kind.service)
    cacheable = np.cumsum([kind.cacheable > 0 for kind in setup.kinds]) - 1
    rows["first_object"][:-1] = cacheable * setup.cache.catalogue
    names, first = [kind.name for kind in setup.kinds], 0
    for group in setup.bots:
        row = rows[names.index(group.kind)]
        row["first_source"], row["source_count"] = first, group.sources
        first += group.sources
    return rows


def _law(service: ServiceTime) -> tuple[int, float, float, float]:
    """Return a service time's law and its parameters as the kernel draws it."""
    if isinstance(service, Deterministic):
        return st.DETERMINISTIC, 0.0, 0.0, 0.0
    if isinstance(service, Exponential):
        return st.EXPONENTIAL, 0.0, 0.0, 0.0
    if isinstance(service, TwoSpeeds):
        return st.HYPEREXPONENTIAL, service.quick_s, service.slow_s, 1.0 - service.slow
    square = service.cv**2
    if isinstance(service, Lognormal):
        variance = math.log1p(square)
        return st.LOGNORMAL, math.log(service.mean_s) - variance / 2, math.sqrt(variance), 0.0
    assert isinstance(service, Hyperexponential)
    short = (1 + math.sqrt((square - 1) / (square + 1))) / 2
    return (
        st.HYPEREXPONENTIAL, service.mean_s / (2 * short), service.mean_s / (2 * (1 - short)), short
    )  # fmt: skip
