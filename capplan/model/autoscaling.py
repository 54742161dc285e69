"""What an autoscaler makes of a load: how many servers it has ready, when, and what it loses.

What it decides is in ``autoscaler``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from capplan.model.autoscaler import Autoscaler, Fleet, Rule

Floats = NDArray[np.float64]


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

    From ``t_s[i]`` on, ``servers[i]`` were ready.
    """

    t_s: tuple[float, ...]
    servers: tuple[int, ...]


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
    >>> from capplan.model.autoscaler import HPA
    >>> alone = follow(*jump, lambda n: 100.0 * n, HPA, target=0.6, start_s=30, least=10, most=500)
    >>> alone.short_until_s, alone.lost_requests
    (225.0, 1408500.0)
    """
    scaler = Autoscaler(rule, target, start_s, least, most, begins_s=float(t_s[0]))
    syncs = t_s[0] + rule.sync_s * np.arange(math.ceil((t_s[-1] - t_s[0]) / rule.sync_s))
    means = _means(t_s, rate_rps, syncs)
    for now, mean_rps in zip(syncs[1:].tolist(), means.tolist(), strict=True):
        ready = scaler.fleet.ready_before(now)
        scaler.sync(now, min(cap, mean_rps / fleet_rps(ready)))
    return _trajectory(t_s, rate_rps, fleet_rps, scaler.fleet)


def _means(t_s: Floats, rate_rps: Floats, edges_s: Floats) -> Floats:
    """Return the mean of λ(t) between each two of ``edges_s``, exactly."""
    pieces = np.diff(t_s) * (rate_rps[:-1] + rate_rps[1:]) / 2
    whole = np.concatenate([[0.0], np.cumsum(pieces)])
    i = np.clip(np.searchsorted(t_s, edges_s, side="right") - 1, 0, len(t_s) - 2)
    width, after = t_s[i + 1] - t_s[i], edges_s - t_s[i]
    slope = (rate_rps[i + 1] - rate_rps[i]) / np.where(width > 0, width, 1.0)
    until = whole[i] + after * (rate_rps[i] + slope * after / 2)
    return np.asarray(np.diff(until) / np.diff(edges_s))


def _trajectory(
    t_s: Floats, rate_rps: Floats, fleet_rps: Callable[[int], float], fleet: Fleet
) -> Trajectory:
    fleet.ready_before(float(t_s[-1]))
    lost = shortfall(t_s, rate_rps, fleet_rps, fleet.changes)
    return Trajectory(
        lost.lost_requests,
        lost.short_s,
        lost.short_until_s,
        t_s=tuple(at for at, _ in fleet.changes),
        servers=tuple(count for _, count in fleet.changes),
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
