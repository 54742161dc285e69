"""What an autoscaler decides: from the load of its servers, how many there should be.

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
from dataclasses import dataclass

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


class Fleet:
    """Servers that are ready, servers that start, and when each number of them was ready."""

    def __init__(self, now: float, servers: int) -> None:
        self.ready = servers
        self.starting: deque[tuple[float, int]] = deque()
        self.changes = [(now, servers)]

    @property
    def total(self) -> int:
        """Return how many are there or on their way."""
        return self.ready + sum(count for _, count in self.starting)

    def ready_before(self, now: float) -> int:
        """Return how many were ready before ``now``, and note when they became so."""
        while self.starting and self.starting[0][0] < now - _ROUNDING:
            at, count = self.starting.popleft()
            self.ready += count
            self.changes.append((at, self.ready))
        return self.ready

    def serving(self, now: float) -> int:
        """Return how many serve from ``now`` on."""
        return self.ready + sum(n for at, n in self.starting if at <= now + _ROUNDING)

    def next_s(self, now: float) -> float:
        """Return when the next ones become ready after ``now``; infinite for never."""
        return min((at for at, _ in self.starting if at > now + _ROUNDING), default=math.inf)

    def order(self, wanted: int, now: float, start_s: float) -> None:
        """Let there be ``wanted`` in all: the new ones after ``start_s``."""
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


class Autoscaler:
    """An autoscaler with its fleet, which begins at ``begins_s`` with ``least`` servers.

    A server is ready ``start_s`` seconds after it was ordered; one that is no longer wanted is gone
    at once. ``target`` is the load to keep, in the unit of the loads that :meth:`sync` is told.
    """

    def __init__(
        self,
        rule: Rule,
        target: float,
        start_s: float,
        least: int,
        most: int,
        begins_s: float = 0.0,
    ) -> None:
        self.rule, self.fleet = rule, Fleet(begins_s, least)
        self._target, self._start_s, self._least, self._most = target, start_s, least, most
        self._asked = deque([(begins_s, least)])  # at rest until then

    def raise_to(self, least: int, now_s: float) -> None:
        """From now on have ``least`` servers or more; they were started in time."""
        self._least, self._most = least, max(least, self._most)
        if least > self.fleet.total:
            self.fleet.order(least, now_s, 0.0)

    def sync(self, now_s: float, load: float) -> None:
        """Order servers, or let some go, by the mean load of the ready ones since the last sync."""
        rule, asked, total = self.rule, self._asked, self.fleet.total
        # one that became ready at this very moment has shown no load yet
        ready = self.fleet.ready_before(now_s)
        one = wanted(ready, total - ready, load, self._target, rule.above, rule.below)
        asked.append((now_s, min(self._most, max(self._least, one))))
        while asked[0][0] < now_s - max(rule.up_after_s, rule.down_after_s) - _ROUNDING:
            asked.popleft()
        up = min(count for at, count in asked if at >= now_s - rule.up_after_s - _ROUNDING)
        down = max(count for at, count in asked if at >= now_s - rule.down_after_s - _ROUNDING)
        if up > total:
            self.fleet.order(rule.grown(total, up), now_s, self._start_s)
        elif down < total:
            self.fleet.order(down, now_s, self._start_s)
