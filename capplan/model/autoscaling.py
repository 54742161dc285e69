"""What an autoscaler makes of a load: how many servers it has ready, when, and what it loses.

At each sync it compares the load per server with a target. With n servers ready, s starting, and
ρ the mean load of those that are ready since the last sync, as a share of what they sustain,

    wanted = ceil(n · ρ / target)

taken only when it leaves the dead band round n + s. So servers that still start count as idle, and
a ready one is seen from the next sync on. CPU cannot exceed 100 %, so ρ has a cap, and the fleet
grows per sync by no more than cap/target, however large the load is.

Sources: Kubernetes documentation, *Horizontal Pod Autoscaling* (algorithm details, default
behaviour); Amazon EC2 Auto Scaling documentation, *Target tracking scaling policies* (alarms on 3
minutes above the target, 15 minutes below 90 % of it).
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class Rule:
    """How an autoscaler decides.

    ``above`` and ``below`` are the dead band as shares of the target. It goes up to the smallest
    count wanted within the last ``up_after_s`` seconds, and down to the largest within the last
    ``down_after_s``. Per sync the fleet grows at most ``growth``-fold or by ``burst`` servers,
    whichever is more.
    """

    name: str
    sync_s: float
    above: float
    below: float
    up_after_s: float
    down_after_s: float
    growth: float
    burst: float

    def grown(self, total: int, wanted: int) -> int:
        """Return how much of ``wanted`` may be ordered at once when ``total`` are there.

        >>> HPA.grown(10, 17), HPA.grown(10, 100), HPA.grown(2, 100), HPA.grown(10, 3)
        (17, 20, 6, 3)
        """
        return int(min(wanted, max(total * self.growth, total + self.burst)))


HPA = Rule("Kubernetes HPA", 15.0, 0.1, 0.1, 0.0, 300.0, 2.0, 4.0)
TARGET_TRACKING = Rule("AWS target tracking", 60.0, 0.0, 0.1, 120.0, 840.0, math.inf, math.inf)


def wanted(
    ready: int, starting: int, load: float, target: float, above: float = 0.1, below: float = 0.1
) -> int:
    """Return the count that one sync asks for: ceil(ready · load / target), outside the dead band.

    ``load`` is the mean load of a ready server in the unit of ``target``. ``above`` and ``below``
    are the dead band. Numbers only, so that it can be compiled.

    >>> wanted(10, 0, 1.0, 0.6), wanted(10, 7, 1.0, 0.6), wanted(10, 0, 0.65, 0.6)
    (17, 17, 10)
    >>> wanted(10, 0, 0.3, 0.6), wanted(10, 7, 0.3, 0.6)
    (5, 5)
    """
    total = ready + starting
    usage = ready * load / target
    seen = usage / total
    if load < target:
        # on the way down only those that are ready are asked
        seen = load / target
    elif seen < 1.0:
        # starting servers turn a call for more into one for fewer: neither is followed
        return total
    if 1.0 - below <= seen <= 1.0 + above:
        return total
    return max(1, math.ceil(usage - _ROUNDING))


@dataclass(frozen=True, slots=True)
class Shortfall:
    """How many requests came above what a fleet sustained, over ``short_s`` seconds in all.

    The last of these seconds was at ``short_until_s``; None: there was none.
    """

    lost_requests: float
    short_s: float
    short_until_s: float | None


@dataclass(frozen=True, slots=True)
class Trajectory(Shortfall):
    """What the autoscaler did.

    From ``t_s[i]`` on, ``servers[i]`` were ready. ``server_s`` are the server-seconds from ordering
    on, which are paid.
    """

    t_s: tuple[float, ...]
    servers: tuple[int, ...]
    server_s: float


def follow(
    t_s: Floats,
    rate_rps: Floats,
    fleet_rps: Callable[[int], float],
    rule: Rule,
    *,
    target: float,
    start_s: float,
    least: int,
    most: int,
    cap: float = 1.0,
) -> Trajectory:
    """Let an autoscaler follow the load λ(t), linear between the points ``t_s``, ``rate_rps``.

    It begins with ``least`` servers at ``t_s[0]`` and keeps between that and ``most``. A server is
    ready ``start_s`` after it was ordered; one that is no longer wanted is gone at once. ``target``
    is the load to keep, as a share of what ``fleet_rps(n)`` says that n servers sustain, and
    ``cap`` the largest that the metric can show (infinite for a count of arrivals).

    >>> jump = np.array([-15.0, 0, 0, 600]), np.array([600.0, 600, 10_000, 10_000])
    >>> alone = follow(*jump, lambda n: 100.0 * n, HPA, target=0.6, start_s=30, least=10, most=500)
    >>> alone.short_until_s, alone.lost_requests
    (225.0, 1408500.0)
    """
    fleet = _Fleet(float(t_s[0]), least)
    longest = max(rule.up_after_s, rule.down_after_s)
    asked = deque([(float(t_s[0]), least)])  # at rest until then
    syncs = t_s[0] + rule.sync_s * np.arange(math.ceil((t_s[-1] - t_s[0]) / rule.sync_s))
    means = _means(t_s, rate_rps, syncs)
    for now, mean_rps in zip(syncs[1:].tolist(), means.tolist(), strict=True):
        # one that became ready at this very moment has shown no load yet
        ready, total = fleet.ready_before(now), fleet.total
        load = min(cap, mean_rps / fleet_rps(ready))
        one = wanted(ready, total - ready, load, target, rule.above, rule.below)
        asked.append((now, min(most, max(least, one))))
        while asked[0][0] < now - longest - _ROUNDING:
            asked.popleft()
        up = min(count for at, count in asked if at >= now - rule.up_after_s - _ROUNDING)
        down = max(count for at, count in asked if at >= now - rule.down_after_s - _ROUNDING)
        if up > total:
            fleet.order(rule.grown(total, up), now, start_s)
        elif down < total:
            fleet.order(down, now, start_s)
    return _trajectory(t_s, rate_rps, fleet_rps, fleet)


def _means(t_s: Floats, rate_rps: Floats, edges_s: Floats) -> Floats:
    """Return the mean of λ(t) between each two of ``edges_s``, exactly."""
    pieces = np.diff(t_s) * (rate_rps[:-1] + rate_rps[1:]) / 2
    whole = np.concatenate([[0.0], np.cumsum(pieces)])
    i = np.clip(np.searchsorted(t_s, edges_s, side="right") - 1, 0, len(t_s) - 2)
    width, after = t_s[i + 1] - t_s[i], edges_s - t_s[i]
    slope = (rate_rps[i + 1] - rate_rps[i]) / np.where(width > 0, width, 1.0)
    until = whole[i] + after * (rate_rps[i] + slope * after / 2)
    return np.asarray(np.diff(until) / np.diff(edges_s))


class _Fleet:
    """Servers that are ready, servers that start, and what both have cost so far."""

    def __init__(self, now: float, servers: int) -> None:
        self.ready = servers
        self.starting: deque[tuple[float, int]] = deque()
        self.changes = [(now, servers)]
        self.ordered = [(now, servers)]

    @property
    def total(self) -> int:
        return self.ready + sum(count for _, count in self.starting)

    def ready_before(self, now: float) -> int:
        while self.starting and self.starting[0][0] < now - _ROUNDING:
            at, count = self.starting.popleft()
            self.ready += count
            self.changes.append((at, self.ready))
        return self.ready

    def order(self, wanted: int, now: float, start_s: float) -> None:
        more = wanted - self.total
        if more > 0:
            self.starting.append((now + start_s, more))
        while more < 0 and self.starting:  # those that serve nobody yet go first
            at, count = self.starting.pop()
            kept = max(0, count + more)
            more += count - kept
            if kept:
                self.starting.append((at, kept))
        if more < 0:
            self.ready += more
            self.changes.append((now, self.ready))
        self.ordered.append((now, wanted))


def _trajectory(
    t_s: Floats, rate_rps: Floats, fleet_rps: Callable[[int], float], fleet: _Fleet
) -> Trajectory:
    fleet.ready_before(float(t_s[-1]))
    lost = shortfall(t_s, rate_rps, fleet_rps, fleet.changes)
    paid = np.array([at for at, _ in fleet.ordered] + [t_s[-1]])
    counts = np.array([count for _, count in fleet.ordered])
    return Trajectory(
        lost.lost_requests,
        lost.short_s,
        lost.short_until_s,
        t_s=tuple(at for at, _ in fleet.changes),
        servers=tuple(count for _, count in fleet.changes),
        server_s=float(np.sum(np.diff(paid) * counts)),
    )


def shortfall(
    t_s: Floats,
    rate_rps: Floats,
    fleet_rps: Callable[[int], float],
    changes: Sequence[tuple[float, int]],
) -> Shortfall:
    """Return what a fleet loses of the load λ(t): ∫ max(0, λ - X) dt, exactly.

    ``changes`` says from when on how many servers are ready; the first is no later than
    ``t_s[0]``, and X is what ``fleet_rps`` says of them.
    """
    times = np.clip([*(at for at, _ in changes), np.inf], t_s[0], t_s[-1])
    lost, short_s, until = 0.0, 0.0, None
    for i, (_, servers) in enumerate(changes):
        piece = _piece(t_s, rate_rps, times[i], times[i + 1])
        above, long_s, last = _above(*piece, fleet_rps(servers))
        lost, short_s = lost + above, short_s + long_s
        until = until if last is None else last
    return Shortfall(lost, short_s, until)


def _piece(t_s: Floats, rate_rps: Floats, start_s: float, end_s: float) -> tuple[Floats, Floats]:
    """Cut λ(t) out between two moments; of a jump at either end only what lies inside."""
    first = int(np.searchsorted(t_s, start_s, side="right"))
    last = int(np.searchsorted(t_s, end_s, side="left"))
    inner = slice(first, max(first, last))

    def at(moment_s: float, i: int) -> float:
        i = min(max(i, 1), len(t_s) - 1)
        width = t_s[i] - t_s[i - 1]
        share = (moment_s - t_s[i - 1]) / width if width else 0.0
        return float(rate_rps[i - 1] + share * (rate_rps[i] - rate_rps[i - 1]))

    moments = np.concatenate([[start_s], t_s[inner], [end_s]])
    rates = np.concatenate([[at(start_s, first)], rate_rps[inner], [at(end_s, last)]])
    return moments, rates


def _above(t_s: Floats, rate_rps: Floats, limit_rps: float) -> tuple[float, float, float | None]:
    """Return ∫ max(0, λ - limit) dt, how long λ was above, and the last such moment."""
    over = rate_rps - limit_rps
    width, a, b = np.diff(t_s), over[:-1], over[1:]
    high, low = np.maximum(a, b), np.minimum(a, b)
    spread = np.where(high > low, high - low, 1.0)
    share = np.where(low >= 0, np.where(high > 0, 1.0, 0.0), np.clip(high / spread, 0, 1))
    mean = np.where(low >= 0, (high + low) / 2, np.maximum(high, 0) / 2)
    lasted = width * share
    busy = np.flatnonzero(lasted > 0)
    if not len(busy):
        return 0.0, 0.0, None
    i = busy[-1]
    last = t_s[i + 1] if b[i] > 0 or low[i] >= 0 else t_s[i] + lasted[i]
    return float(np.sum(lasted * mean)), float(np.sum(lasted)), float(last)
