"""Servers over time: started ahead by a schedule, or by an autoscaler that looks at their load.

The kernel stops at each moment at which the number of servers may change and goes on with another
number of slots. So nothing of this has to be compiled, and the decisions are those of
:mod:`capplan.model.autoscaler`, whose rules are known and tested apart from any simulation.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from capplan.model.autoscaler import Autoscaler, Rule
from capplan.simulate.kernel.machine import resize
from capplan.simulate.kernel.tally import IN_SERVICE
from capplan.simulate.kernel.world import World


@dataclass(frozen=True, slots=True)
class Scaling:
    """A fleet that begins as it is, with ``servers``, and is scaled by a rule or a schedule.

    The rule ``by`` compares the share of the slots that work (``"cpu"``), or the requests per
    second and server (``"requests"``), with ``target``, and orders between ``servers`` and ``most``
    servers, which are ready after ``start_s``. From ``ready_s`` on there are at least ``prescaled``
    servers. ``slots`` says how many slots so many servers have; None: in proportion. All processors
    work when the share ``full`` of the slots is taken. Processors and
    places in the queue grow and shrink with the fleet, and so do the fields of the world in
    ``follow``.
    """

    servers: int
    most: int
    prescaled: int = 0
    ready_s: float = 0.0
    by: Rule | None = None
    metric: Literal["cpu", "requests"] = "cpu"
    target: float = 0.6
    start_s: float = 60.0
    slots: Callable[[int], int] | None = None
    full: float = 1.0
    follow: tuple[str, ...] = ()


def slots(scaling: Scaling, at_first: int, servers: int) -> int:
    """Return how many slots so many servers have together."""
    if scaling.slots:
        return scaling.slots(servers)
    return max(round(at_first * servers / scaling.servers), 1)


class Scaler:
    """Changes the number of servers of a world while it is simulated."""

    def __init__(self, scaling: Scaling, world: World, stations: int, slots: int) -> None:
        self._of, self._stations, self._slots = scaling, stations, slots
        self._limits = {name: world.record[name] for name in scaling.follow}
        rule = scaling.by
        self._auto: Autoscaler | None = None
        if rule:
            self._auto = Autoscaler(
                rule, scaling.target, scaling.start_s, scaling.servers, scaling.most
            )
        self._sync_s = rule.sync_s if rule else math.inf
        self._ahead_s = scaling.ready_s if scaling.prescaled > scaling.servers else math.inf
        self._seen = self._now_s = 0.0
        self._ready = scaling.servers
        self.change(world, 0.0)

    def next_s(self) -> float:
        """Return when something happens next."""
        booted_s = self._auto.fleet.next_s(self._now_s) if self._auto else math.inf
        return min(self._sync_s, self._ahead_s, booted_s)

    def change(self, world: World, now_s: float) -> None:
        """Do what is due now."""
        self._now_s, least = now_s, 0
        if now_s >= self._ahead_s:
            self._ahead_s, least = math.inf, self._of.prescaled
        if self._auto is None:
            self._set(world, now_s, max(least, self._ready, self._of.servers))
            return
        if least:
            self._auto.raise_to(least, now_s)
        if now_s >= self._sync_s:
            self._auto.sync(now_s, self._load(world, self._auto.rule))
            self._sync_s += self._auto.rule.sync_s
        self._set(world, now_s, self._auto.fleet.serving(now_s))

    def _load(self, world: World, rule: Rule) -> float:
        """Return the mean load of a ready server since the last sync.

        A server that becomes ready at this very moment has not been counted in yet.
        """
        if self._of.metric == "cpu":
            total = float(world.tables["layers"]["area_s"][:, IN_SERVICE].sum())
            each = self._of.full * slots(self._of, self._stations * self._slots, self._ready)
        else:
            total, each = float(world.record["offered_to_servers"]), float(self._ready)
        since, self._seen = total - self._seen, total
        load = since / rule.sync_s / each
        return min(load, 1.0) if self._of.metric == "cpu" else load

    def _set(self, world: World, now_s: float, servers: int) -> None:
        world.tables["servers"][int(now_s) :] = servers
        if servers == self._ready:
            return
        self._ready = servers
        if self._stations > 1:
            resize(world, servers, self._slots)
        else:
            resize(world, 1, slots(self._of, self._slots, servers))
            if world.record["callers"]:
                world.set(callers=servers)
        share = servers / self._of.servers
        for name, limit in self._limits.items():
            world.record[name] = limit * share
