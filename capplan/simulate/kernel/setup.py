"""Describe a simulation in plain data, build the kernel's world from it, and run it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field

import numpy as np
from numpy.typing import NDArray

from capplan.model.service_time import (
    Deterministic,
    Exponential,
    Hyperexponential,
    Lognormal,
    ServiceTime,
)
from capplan.simulate.kernel import cache
from capplan.simulate.kernel import stations as st
from capplan.simulate.kernel.calls import NONE, free_calls
from capplan.simulate.kernel.clients import KIND
from capplan.simulate.kernel.edge import SOURCE
from capplan.simulate.kernel.gateway import nodes
from capplan.simulate.kernel.loop import FULL, first_arrivals, run
from capplan.simulate.kernel.rng import states
from capplan.simulate.kernel.scaling import Scaler, Scaling, slots
from capplan.simulate.kernel.stations import stations
from capplan.simulate.kernel.tally import tally
from capplan.simulate.kernel.timers import wheel_size
from capplan.simulate.kernel.world import World

_ROWS = 1 << 10
_LONGEST_TIMER_S = 3600.0


@dataclass(frozen=True, slots=True)
class Kind:
    """A request class: how long it is served, and what its clients do.

    ``think_s`` is the mean time that a shopper thinks before such a request, ``restless_s`` the
    mean of an exponential patience beside the fixed ``patience_s``, ``pause_s`` what a client waits
    before its second attempt, ``growth`` times as long before each further one; of that the share
    ``jitter``·U is left out, or it is exponential when ``memoryless``. ``fails`` is the share of
    answers that are errors, ``cacheable`` that of those which the edge may keep. A ``paid`` class
    is the aim of a visit; a ``bot`` belongs to none. ``reserve`` is the part of each limit that is
    kept for higher classes.
    """

    name: str
    service: ServiceTime
    think_s: float = 1.0
    patience_s: float = math.inf
    restless_s: float = math.inf
    attempts: int = 1
    pause_s: float = 0.0
    growth: float = 2.0
    jitter: float = 0.0
    memoryless: bool = False
    fails: float = 0.0
    paid: bool = False
    bot: bool = False
    cacheable: float = 0.0
    reserve: float = 0.0
    priority: int = 0


@dataclass(frozen=True, slots=True)
class Fleet:
    """The stations: ``count`` of them with ``slots`` slots on ``cores`` cores each."""

    count: int = 1
    slots: int = 1
    cores: float = math.inf
    bound: int = 2**62
    patience_s: float = math.inf
    refusal_cost: float = 0.0
    drops_gone: bool = False
    pushes_out: bool = True
    balance: str = "random"


@dataclass(frozen=True, slots=True)
class Bots:
    """Requests of one class that come without visits: ``per_s[second]``, from ``sources``."""

    kind: str
    per_s: NDArray[np.float64]
    sources: int = 1


@dataclass(frozen=True, slots=True)
class Edge:
    """What is refused in front: by a WAF from ``waf_from_s`` on, by a rule per source.

    ``waf_catches`` is the share of bots' requests that it refuses, ``waf_mistakes`` and
    ``source_mistakes`` the shares of people's. ``source_limit`` requests in ``source_window_s`` are
    allowed to each source; 0 stands for no rule.
    """

    waf_from_s: float = math.inf
    waf_catches: float = 0.0
    waf_mistakes: float = 0.0
    source_limit: int = 0
    source_window_s: float = 60.0
    source_mistakes: float = 0.0


@dataclass(frozen=True, slots=True)
class Cache:
    """The edge cache: ``places`` objects, each for ``ttl_s`` seconds; 0 places: there is none.

    Each class with cacheable answers has a ``catalogue`` of its own, the k-th object asked for in
    proportion to k^-``zipf``. A ``warm`` cache begins with the most popular ones.
    """

    places: int = 0
    ttl_s: float = math.inf
    collapses: bool = True
    catalogue: int = 10_000
    zipf: float = 0.8
    warm: bool = False


@dataclass(frozen=True, slots=True)
class Gateway:
    """The limits of each of ``nodes`` gateway nodes; 0 stands for no limit."""

    nodes: int = 1
    most_inside: int = 0
    token_rate: float = 0.0
    token_burst: float = 1.0
    leak_rate: float = 0.0
    leak_wait_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Room:
    """A waiting room that lets in ``per_s`` visits; who waits leaves after about ``patience_s``."""

    per_s: float
    patience_s: float = math.inf


@dataclass(frozen=True, slots=True)
class Setup:
    """A whole simulation. ``walk[k, j]`` is P(class j follows class k); what is left, leaves.

    Its last row says with which class a visit begins, and sums to 1. Without a walk visits are
    single requests of the first class. ``retry_budget`` is the share of the requests that may be
    retries.
    """

    kinds: Sequence[Kind]
    visits_per_s: NDArray[np.float64]
    fleet: Fleet = Fleet()
    walk: NDArray[np.float64] | None = None
    bots: Sequence[Bots] = field(default_factory=tuple)
    edge: Edge = Edge()
    cache: Cache = Cache()
    gateway: Gateway = Gateway()
    room: Room | None = None
    retry_budget: float | None = None
    scaling: Scaling | None = None
    seed: int = 1


def build(setup: Setup) -> World:
    """Return the world of a simulation at its beginning."""
    count, seconds = len(setup.kinds), len(setup.visits_per_s)
    walk = setup.walk
    if walk is None:
        walk = np.zeros((count + 1, count))
        walk[-1, 0] = 1.0
    names = [kind.name for kind in setup.kinds]
    bots = [np.asarray(group.per_s, float) for group in setup.bots]
    priorities = 1 + max(kind.priority for kind in setup.kinds)
    fleet, round_s, scaling = setup.fleet, _wheel_s(setup.kinds), setup.scaling
    stations_count, width = _sizes(fleet, scaling)
    objects, kept = _objects(setup.kinds, setup.cache)
    buckets = wheel_size(round_s, max(float(np.max(setup.visits_per_s)), 1.0))
    world = World(
        {
            "calls": free_calls(0, _ROWS),
            "random": states(setup.seed),
            "buckets": np.full(buckets, NONE, np.int32),
            "kinds": _kinds(setup),
            "sources": np.zeros(max(sum(group.sources for group in setup.bots), 1), SOURCE),
            "nodes": nodes(setup.gateway.nodes, setup.gateway.token_burst),
            "follows": np.cumsum(walk, axis=1),
            "rates": np.array([setup.visits_per_s, *bots, sum(bots, np.zeros(seconds))], float),
            "bot_kinds": np.array([names.index(group.kind) for group in setup.bots] or [0]),
            **stations(stations_count, width, fleet.slots, fleet.cores, fleet.bound, priorities),
            **objects,
            **tally(seconds, count),
        }
    )
    world.set(
        calls_size=_ROWS, buckets_per_s=buckets / round_s, bucket_mask=buckets - 1, timer_due=NONE,
        kind_count=count, think_s=math.inf, tick_s=1.0, seconds=seconds, bot_groups=len(bots),
        station_count=stations_count, width=width, priorities=priorities, open=fleet.count,
        balance=st.BALANCES.index(fleet.balance), queue_patience_s=fleet.patience_s,
        refusal_cost=fleet.refusal_cost, drops_gone=fleet.drops_gone, pushes_out=fleet.pushes_out,
    )  # fmt: skip
    budget = setup.retry_budget
    world.set(
        retry_ratio=-1.0 if budget is None else budget, node_count=setup.gateway.nodes,
        leak_s=math.inf, room_s=math.inf, room_rate=setup.room.per_s if setup.room else 0.0,
        **{name: value for name, value in asdict(setup.gateway).items() if name != "nodes"},
        **asdict(setup.edge),
    )  # fmt: skip
    world.tables["servers"] = np.full(seconds, scaling.servers if scaling else fleet.count)
    edge = setup.cache
    world.set(
        catalogue=edge.catalogue, cache_places=edge.places,
        cache_ttl_s=edge.ttl_s, cache_collapses=edge.collapses, cache_held=len(kept),
        cache_first=kept[0] if len(kept) else NONE, cache_last=kept[-1] if len(kept) else NONE,
    )  # fmt: skip
    if scaling:
        world.scaler = Scaler(scaling, world, fleet.count, fleet.slots)
    first_arrivals(world.record)
    return world


def advance(world: World, until_s: float) -> None:
    """Simulate up to ``until_s``, in pieces where the number of servers changes meanwhile."""
    scaler = world.scaler
    while scaler and (now_s := scaler.next_s()) <= until_s:
        _run_until(world, now_s)
        scaler.change(world, now_s)
    _run_until(world, until_s)


def _run_until(world: World, until_s: float) -> None:
    while run(world.record, until_s) == FULL:
        size = int(world.record["calls_size"])
        more = free_calls(size, 2 * size)
        more["queue_after"][-1] = world.record["calls_free"]
        world.replace("calls", np.concatenate([world.tables["calls"], more]))
        world.set(calls_size=2 * size, calls_free=size)


def simulate_until(setup: Setup, until_s: float, *, warm_s: float = 0.0) -> World:
    """Build a world and simulate it; counts, sums and areas begin after ``warm_s``."""
    world = build(setup)
    if warm_s > 0:
        advance(world, warm_s)
        for counted in ("counts", "visits", "latency", "sums"):
            world.tables[counted][...] = np.zeros((), world.tables[counted].dtype)
        world.tables["layers"]["area_s"] = 0
    advance(world, until_s)
    return world


def _sizes(fleet: Fleet, scaling: Scaling | None) -> tuple[int, int]:
    """Return how many stations there may be in all, and the most slots of one."""
    if scaling is None:
        return fleet.count, fleet.slots
    most = max(scaling.most, scaling.prescaled, scaling.servers)
    if fleet.count > 1:
        return most, fleet.slots
    return 1, max(slots(scaling, fleet.slots, servers) for servers in range(1, most + 1))


def _objects(
    kinds: Sequence[Kind], edge: Cache
) -> tuple[dict[str, NDArray[np.void]], NDArray[np.int64]]:
    """Return the tables of the cache, and which objects it holds at the beginning."""
    classes = sum(kind.cacheable > 0 for kind in kinds)
    if not edge.places or not classes:
        nothing = np.zeros(0, np.int64)
        return {"popular": cache.popular(np.ones(1)), "objects": cache.objects(1, nothing)}, nothing
    # the most popular one of every class, then the second one of each
    order = np.arange(classes * edge.catalogue).reshape(classes, -1).T.ravel()
    kept = order[: edge.places if edge.warm else 0]
    return {
        "popular": cache.popular(np.arange(1.0, edge.catalogue + 1) ** -edge.zipf),
        "objects": cache.objects(len(order), kept, edge.ttl_s),
    }, kept


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
                     "priority"):  # fmt: skip
            row[name] = getattr(kind, name)
        row["thinks_per_s"] = 1.0 / kind.think_s
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
    square = service.cv**2
    if isinstance(service, Lognormal):
        variance = math.log1p(square)
        return st.LOGNORMAL, math.log(service.mean_s) - variance / 2, math.sqrt(variance), 0.0
    assert isinstance(service, Hyperexponential)
    short = (1 + math.sqrt((square - 1) / (square + 1))) / 2
    return (
        st.HYPEREXPONENTIAL, service.mean_s / (2 * short), service.mean_s / (2 * (1 - short)), short
    )  # fmt: skip
