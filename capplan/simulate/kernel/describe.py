"""A simulation in plain data: what comes, what stands in its way, and who serves it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from capplan.model.service_time import ServiceTime
from capplan.simulate.kernel.scaling import Scaling


@dataclass(frozen=True, slots=True)
class Kind:
    """A request class: how long it is served, and what its clients do.

    ``think_s`` is the mean time that a shopper thinks before such a request, ``restless_s`` the
    mean of an exponential patience beside the fixed ``patience_s``, ``pause_s`` what a client waits
    before its second attempt, ``growth`` times as long before each further one; of that the share
    ``jitter``·U is left out, or it is exponential when ``memoryless``. ``fails`` is the share of
    answers that are errors, ``cacheable`` that of those which the edge may keep. A ``paid`` class
    is the aim of a visit; a ``bot`` belongs to none. ``reserve`` is the part of each limit that is
    kept for higher classes. A class with ``degraded`` can be answered cheaply, for that share of
    its service and without the services behind. The share ``eager`` of the clients does not wait:
    it asks again after an exponential time of mean ``reload_s``, at most ``reloads`` times.
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
    degraded: float | None = None
    eager: float = 0.0
    reload_s: float = 2.0
    reloads: int = 10
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
    allowed to each source; 0 stands for no rule. Both are decided on a desk that carries
    ``carries_rps`` requests per second when it refuses none; a refusal costs it the share
    ``refusal_cost`` of what lets a request through.
    """

    waf_from_s: float = math.inf
    waf_catches: float = 0.0
    waf_mistakes: float = 0.0
    source_limit: int = 0
    source_window_s: float = 60.0
    source_mistakes: float = 0.0
    carries_rps: float = math.inf
    refusal_cost: float = 0.0


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
    """The limits of each of ``nodes`` gateway nodes; 0 stands for no limit.

    Limits in a cache that all nodes share are those of one node, ``round_trip_s`` away. A node
    carries ``carries_rps`` requests per second when it refuses none; a refusal costs it the share
    ``refusal_cost`` of what lets a request through.
    """

    nodes: int = 1
    most_inside: int = 0
    token_rate: float = 0.0
    token_burst: float = 1.0
    leak_rate: float = 0.0
    leak_wait_s: float = 0.0
    round_trip_s: float = 0.0
    carries_rps: float = math.inf
    refusal_cost: float = 0.0


@dataclass(frozen=True, slots=True)
class Room:
    """A waiting room that lets in ``per_s`` visits; who waits leaves after about ``patience_s``."""

    per_s: float
    patience_s: float = math.inf


@dataclass(frozen=True, slots=True)
class Breaker:
    """A circuit breaker: opens when the share ``share`` of ``least`` calls or more went badly.

    That is, failed or took longer than ``slow_s``, counted in windows of ``window_s``. It stays
    open for ``open_s`` and then lets ``probes`` calls through.
    """

    slow_s: float = math.inf
    share: float = 0.5
    window_s: float = 10.0
    least: int = 20
    open_s: float = 5.0
    probes: int = 5


@dataclass(frozen=True, slots=True)
class Downstream:
    """A service behind the servers; ``mean_s[class]`` is how long a call of that class takes there.

    Classes without one do not need it. The queue has ``bound`` places, and a call without an answer
    within ``timeout_s`` fails; the service ``finishes`` what it had begun. ``fails`` is the share
    of its answers that are errors. From ``ill_from_s`` to ``ill_until_s`` it takes ``slower`` times
    as long, and ``ill_fails`` are errors. ``full_at`` are the places at which it says that it is
    full, and is no longer; None: it says nothing.
    """

    slots: int
    mean_s: Mapping[str, float]
    bound: int = 2**62
    timeout_s: float = math.inf
    finishes: bool = True
    fails: float = 0.0
    ill_from_s: float = math.inf
    ill_until_s: float = math.inf
    slower: float = 1.0
    ill_fails: float = 0.0
    breaker: Breaker | None = None
    full_at: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Setup:
    """A whole simulation. ``walk[k, j]`` is P(class j follows class k); what is left, leaves.

    Its last row says with which class a visit begins, and sums to 1. Without a walk visits are
    single requests of the first class. ``retry_budget`` is the share of the requests that may be
    retries, ``throttle`` the factor K of the clients' own throttling, who remember the last
    ``throttle_s`` seconds or so. All calls go over so many ``connections``, which answer in order;
    0: answers come in any order. ``breaker`` and ``full_at`` are those of the fleet. Each station
    has ``callers`` processes with breakers of their own for what is downstream, of which each
    request meets one at random; 0: all share one.
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
    throttle: float | None = None
    throttle_s: float = 120.0
    connections: int = 0
    downstream: Sequence[Downstream] = field(default_factory=tuple)
    breaker: Breaker | None = None
    full_at: tuple[int, int] | None = None
    callers: int = 1
    scaling: Scaling | None = None
    seed: int = 1
