"""The work of the reference server, without a socket or a clock.

Decides for each arrival, from its time alone, whether it is refused and when it is finished; counts
what happened. It must not know HTTP: the protocol tells it the time and what became of an answer.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from capplan.model.ggc import Slots
from capplan.model.service_time import FloatArray
from capplan.refserver.config import RefServerConfig

_BLOCK = 4096  # random numbers drawn at a time
_NAMES = 1000  # endpoints counted apart; the rest is one, so that a scan of URLs costs no memory
OTHER = "(other)"


@dataclass(frozen=True, slots=True)
class Job:
    """A request that was admitted at ``arrival_s`` and is answered at ``finish_s``."""

    arrival_s: float
    service_s: float
    finish_s: float


class Work:
    """A G/G/c queue that refuses under too high a rate or when it is full, and its counters.

    Every arrival uses up one service time and one chance to be refused, whether it needs them or
    not: so the n-th arrival meets the same luck in every run with the same seed.
    """

    def __init__(self, config: RefServerConfig, started_s: float) -> None:
        self._config = config
        self._started_s = started_s
        self._queue = Slots(config.slots)
        services, chances = (np.random.default_rng([config.seed, stream]) for stream in (0, 1))
        self._services = _endless(lambda size: config.service.sample(services, size))
        self._chances = _endless(chances.random)
        self._last_second: deque[float] = deque()
        self._starts_s: deque[float] = deque()  # of the jobs that wait, in order
        self._endpoints: Counter[str] = Counter()
        self._received = self._served = self._failed = self._abandoned = self._garbage = 0
        self._first_arrival_s = self._last_arrival_s = self._last_finish_s = 0.0
        self._busy_s = self._sojourns_s = self._lateness_s = self._max_lateness_s = 0.0

    def arrive(self, now_s: float, endpoint: str) -> Job | None:
        """Admit the request that is complete at ``now_s``; None when it is refused at once."""
        service_s, chance = next(self._services), next(self._chances)
        if not self._received:
            self._first_arrival_s = now_s
        self._last_arrival_s = now_s
        self._received += 1
        known = endpoint in self._endpoints or len(self._endpoints) < _NAMES
        self._endpoints[endpoint if known else OTHER] += 1
        too_many = self._too_many(now_s) and chance < self._config.fail_share
        if too_many or self._is_full(now_s):
            self._failed += 1
            return None
        finish_s = self._queue.arrive(now_s, service_s)
        if self._config.queue is not None:
            self._starts_s.append(finish_s - service_s)
        return Job(now_s, service_s, finish_s)

    def finish(self, job: Job, now_s: float, delivered: bool) -> None:
        """Count a job that was answered at ``now_s``, or whose client had gone by then."""
        if delivered:
            self._served += 1
        else:
            self._abandoned += 1
        self._busy_s += job.service_s
        self._sojourns_s += job.finish_s - job.arrival_s
        self._last_finish_s = job.finish_s
        self._lateness_s += now_s - job.finish_s
        self._max_lateness_s = max(self._max_lateness_s, now_s - job.finish_s)

    def garbage(self) -> None:
        """Count bytes that were no request."""
        self._garbage += 1

    def report(self, now_s: float) -> dict[str, Any]:
        """Return the counters; times are seconds since the server started, null before any.

        ``received = served + failed + abandoned + in_flight``. ``busy_s`` is the service given so
        far, ``utilisation`` its share of what the slots could have given between the first arrival
        and the last finish. ``sojourn_s_mean`` is in virtual time, as theory counts; an answer left
        ``lateness_s`` after that.
        """
        finished = self._served + self._abandoned
        span_s = self._last_finish_s - self._first_arrival_s
        arrivals_s = self._last_arrival_s - self._first_arrival_s
        return {
            "received": self._received,
            "served": self._served,
            "failed": self._failed,
            "abandoned": self._abandoned,
            "in_flight": self._received - self._failed - finished,
            "garbage": self._garbage,
            "endpoints": dict(sorted(self._endpoints.items())),
            "first_arrival_s": self._since_start(self._first_arrival_s),
            "last_arrival_s": self._since_start(self._last_arrival_s),
            "arrival_rps": (self._received - 1) / arrivals_s if arrivals_s > 0 else None,
            "busy_s": self._busy_s,
            "utilisation": self._busy_s / (self._config.slots * span_s) if finished else None,
            "sojourn_s_mean": self._sojourns_s / finished if finished else None,
            "lateness_s_mean": self._lateness_s / finished if finished else None,
            "lateness_s_max": self._max_lateness_s if finished else None,
            "uptime_s": now_s - self._started_s,
            "config": self._config.as_data(),
        }

    def _too_many(self, now_s: float) -> bool:
        if self._config.fail_above_rps is None:
            return False
        arrivals = self._last_second
        arrivals.append(now_s)
        while arrivals[0] <= now_s - 1:
            arrivals.popleft()
        return len(arrivals) > self._config.fail_above_rps

    def _is_full(self, now_s: float) -> bool:
        if self._config.queue is None:
            return False
        starts_s = self._starts_s  # first come first served: they never decrease
        while starts_s and starts_s[0] <= now_s:
            starts_s.popleft()
        # an arrival that finds a free slot does not wait, also where no one may
        return len(starts_s) >= self._config.queue and self._queue.next_free_s > now_s

    def _since_start(self, at_s: float) -> float | None:
        return at_s - self._started_s if self._received else None


def _endless(draw: Callable[[int], FloatArray]) -> Iterator[float]:
    while True:
        yield from draw(_BLOCK).tolist()
