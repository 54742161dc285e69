"""Simulated servers whose true sustained rate is known, for benchmarks of the search.

Each is a queue of equal slots, first come first served, in virtual time. What makes it hard to
measure is added one by one: long or varied services, a speed that differs from trial to trial,
pauses, a slow start, refusals above a load, or where a queue is full.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy.optimize import brentq

from capplan.model.queueing import mmc_sustained_rps
from capplan.model.service_time import Exponential, FloatArray, ServiceTime, service_time
from capplan.plan.sla import Sla, parse_sla

_LONG_RUN = 600_000  # arrivals of one replication behind a simulated truth
_REPLICATIONS = 6

BETWEEN_TRIALS_S = 0.4  # to start the schedule, and to send and judge what was recorded


@dataclass(frozen=True, slots=True)
class Pauses:
    """The server stops for ``length_s``, as for a garbage collection, every ``every_s`` or so.

    Between two pauses it works for an exponential time of mean ``every_s``.
    """

    length_s: float
    every_s: float


@dataclass(frozen=True, slots=True)
class Answers:
    """What became of each arrival: seconds from arrival to answer, and whether it was refused."""

    sojourn_s: FloatArray
    refused: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Server:
    """A server of ``slots`` equal threads, and the SLA it has to keep.

    ``noise`` is the standard deviation of the logarithm of its speed from trial to trial; the truth
    is that of the usual speed. A cold server begins at the speed ``cold`` (1 is its usual one) and
    comes nearer to the usual one by a factor e every 10 s of load. Above ``refuse_above``
    arrivals within the last second every second arrival is refused at once; so is one that finds
    all ``places`` taken, those of the slots included. ``stalls`` are pauses that are none of its
    own, such as those of its host: the truth is without them.
    """

    name: str
    slots: int
    service: ServiceTime
    sla: Sla
    noise: float = 0.0
    pauses: Pauses | None = None
    cold: float = 1.0
    refuse_above: float | None = None
    places: int | None = None
    stalls: Pauses | None = None

    @property
    def nominal_rps(self) -> float:
        """The rate at which all slots are always busy."""
        return self.slots / self.service.mean_s

    def answer(
        self, arrivals_s: FloatArray, loaded_s: float, speed: float, rng: np.random.Generator
    ) -> Answers:
        """Serve arrivals of one trial, after ``loaded_s`` seconds of load in earlier trials."""
        slow = (self.cold - 1) * np.exp(-(arrivals_s + loaded_s) / 10)
        services_s = self.service.sample(rng, len(arrivals_s)) / (speed * (1 + slow))
        refused = self._refused(arrivals_s, rng)
        taken_s = arrivals_s[~refused]
        sojourn_s = np.zeros(len(arrivals_s))
        clock = _Clock.draw(self.pauses or self.stalls, arrivals_s, rng)
        begun_s = clock.working_s(taken_s)
        if self.places is None:
            busy_s = _fifo_sojourns_s(begun_s, services_s[~refused], self.slots)
        else:
            busy_s = _bounded_sojourns_s(begun_s, services_s[~refused], self.slots, self.places)
        sojourn_s[~refused] = clock.wall_s(begun_s + busy_s) - taken_s
        return Answers(np.nan_to_num(sojourn_s), refused | np.isnan(sojourn_s))

    def _refused(self, arrivals_s: FloatArray, rng: np.random.Generator) -> NDArray[np.bool_]:
        if self.refuse_above is None:
            return np.zeros(len(arrivals_s), dtype=bool)
        index = np.arange(len(arrivals_s))
        within = index - np.searchsorted(arrivals_s, arrivals_s - 1.0, side="right") + 1
        return (within > self.refuse_above) & (rng.random(len(arrivals_s)) < 0.5)

    @property
    def truth_rps(self) -> float:
        """The largest Poisson rate at which the SLA holds in steady state."""
        return _truth_rps(self)

    def missed(self, answers: Answers, start: int = 0) -> float:
        """Return the largest share of misses over what the SLA allows, of all its criteria.

        The first ``start`` arrivals are left out. 1 is exactly what is allowed.
        """
        refused = answers.refused[start:]
        served_s = answers.sojourn_s[start:][~refused]
        late = [np.mean(served_s > at.limit_s) / (1 - at.quantile) for at in self.sla.latency]
        return float(max([*late, np.mean(refused) / self.sla.failures]))


@njit(cache=True)
def _fifo_sojourns_s(
    arrivals_s: FloatArray, services_s: FloatArray, slots: int
) -> FloatArray:  # pragma: no cover
    """Do as ``capplan.model.ggc.fifo_sojourns_s``, compiled, for truths take 10⁸ steps."""
    free_at_s = np.full(slots, -np.inf)
    sojourns_s = np.empty(len(arrivals_s))
    for i in range(len(arrivals_s)):
        first = 0
        for slot in range(1, slots):
            if free_at_s[slot] < free_at_s[first]:
                first = slot
        free_at_s[first] = max(free_at_s[first], arrivals_s[i]) + services_s[i]
        sojourns_s[i] = free_at_s[first] - arrivals_s[i]
    return sojourns_s


@njit(cache=True)
def _bounded_sojourns_s(
    arrivals_s: FloatArray, services_s: FloatArray, slots: int, places: int
) -> FloatArray:  # pragma: no cover
    """Do the same where who finds all places taken is refused: not a number."""
    free_at_s, leaves_s = np.full(slots, -np.inf), np.full(places, -np.inf)
    sojourns_s = np.full(len(arrivals_s), np.nan)
    for i in range(len(arrivals_s)):
        place, slot = np.argmin(leaves_s), np.argmin(free_at_s)
        if leaves_s[place] <= arrivals_s[i]:
            free_at_s[slot] = max(free_at_s[slot], arrivals_s[i]) + services_s[i]
            leaves_s[place] = free_at_s[slot]
            sojourns_s[i] = free_at_s[slot] - arrivals_s[i]
    return sojourns_s


@dataclass
class Bench:
    """A server under test. ``spent_s`` is the load time so far, draining included."""

    server: Server
    rng: np.random.Generator
    spent_s: float = 0.0

    def arrivals(self, rate: float, duration_s: float) -> FloatArray:
        """Draw the arrivals of one trial at a Poisson rate."""
        expected = rate * duration_s
        gaps_s = self.rng.exponential(1 / rate, int(expected + 10 * math.sqrt(expected) + 10))
        arrivals_s = np.cumsum(gaps_s)
        return np.asarray(arrivals_s[arrivals_s < duration_s])

    def answer(self, arrivals_s: FloatArray) -> Answers:
        """Serve one trial, at the speed that the server happens to have in it."""
        speed = math.exp(self.server.noise * self.rng.standard_normal())
        return self.server.answer(arrivals_s, self.spent_s, speed, self.rng)

    def spend(self, arrivals_s: FloatArray, answers: Answers, held_s: float) -> None:
        """Count a trial's time until its last answer."""
        last_s = float((arrivals_s + answers.sojourn_s).max(initial=held_s))
        self.spent_s += max(held_s, last_s) + BETWEEN_TRIALS_S

    def missed(self, rate: float, duration_s: float) -> float:
        """Hold one load from its first to its last second; 1 is the most the SLA allows."""
        arrivals_s = self.arrivals(rate, duration_s)
        answers = self.answer(arrivals_s)
        self.spend(arrivals_s, answers, duration_s)
        return self.server.missed(answers) if len(arrivals_s) else 0.0


@dataclass(frozen=True, slots=True)
class _Clock:
    """Turns wall time into the time that the server worked, and back.

    Pause k stops the server at the working time ``stops_s[k]`` for ``length_s`` seconds.
    """

    stops_s: FloatArray
    length_s: float

    @classmethod
    def draw(
        cls, pauses: Pauses | None, arrivals_s: FloatArray, rng: np.random.Generator
    ) -> _Clock:
        if pauses is None or not len(arrivals_s):
            return cls(np.empty(0), 0.0)
        expected = arrivals_s[-1] / pauses.every_s
        gaps_s = rng.exponential(pauses.every_s, int(2 * expected) + 20)
        return cls(np.cumsum(gaps_s), pauses.length_s)

    def working_s(self, wall_s: FloatArray) -> FloatArray:
        paused = self.stops_s + self.length_s * np.arange(len(self.stops_s))
        begun = np.searchsorted(paused, wall_s, side="right")
        stopped_s = np.concatenate([[-math.inf], self.stops_s])[begun]
        return np.asarray(np.maximum(wall_s - self.length_s * begun, stopped_s))

    def wall_s(self, working_s: FloatArray) -> FloatArray:
        before = np.searchsorted(self.stops_s, working_s, side="left")
        return np.asarray(working_s + self.length_s * before)


def _truth_rps(server: Server) -> float:
    # a cold server is warm in the end, and the usual speed of a noisy one is the speed meant
    return _steady_truth_rps(replace(server, name="", noise=0.0, cold=1.0, stalls=None))


@cache
def _steady_truth_rps(server: Server) -> float:
    plain = server.pauses is None and server.refuse_above is None and server.places is None
    if plain and isinstance(server.service, Exponential):
        limit = server.sla.latency[0]
        return mmc_sustained_rps(server.slots, server.service.mean_s, limit.quantile, limit.limit_s)
    # the luck of each long run is the same at every rate
    unit_s = [
        np.cumsum(np.random.default_rng([seed, 0]).exponential(1.0, _LONG_RUN))
        for seed in range(_REPLICATIONS)
    ]

    def excess(rate: float) -> float:
        runs = [
            server.answer(unit / rate, 1e6, 1.0, np.random.default_rng([seed, 1]))
            for seed, unit in enumerate(unit_s)
        ]
        missed = np.mean([server.missed(run, _LONG_RUN // 10) for run in runs])
        return math.log(max(float(missed), 1e-3))

    return float(brentq(excess, server.nominal_rps / 20, server.nominal_rps, rtol=5e-4))


def _server(
    name: str, slots: int, service: ServiceTime, sla: str, **difficulty: float | Pauses
) -> Server:
    return Server(name, slots, service, parse_sla(sla), **difficulty)  # type: ignore[arg-type]


_EIGHT = 8, service_time("lognormal", 0.020, 1.0), "p99<200ms"
SERVERS = (
    _server("M/M/4", 4, service_time("exponential", 0.020), "p95<150ms"),
    _server("M/D/3", 3, service_time("deterministic", 0.010), "p99<50ms"),
    _server("M/G/8, cv 1", *_EIGHT),
    _server("M/G/10, cv 2", 10, service_time("lognormal", 0.015, 2.0), "p95<200ms"),
    _server("M/H/8, cv 1.5", 8, service_time("hyperexponential", 0.020, 1.5), "p95<200ms"),
    _server("M/G/8, 5 % noise", *_EIGHT, noise=0.05),
    _server("M/G/8, pauses", *_EIGHT[:2], "p95<200ms", pauses=Pauses(0.05, 1.0)),
    _server("M/G/8, cold start", *_EIGHT, cold=0.7),
    _server("M/G/8, refusals", *_EIGHT, refuse_above=350.0),
    _server("M/G/8, standstills", *_EIGHT, stalls=Pauses(4.0, 60.0)),
    _server("M/M/8, 28 places", 8, service_time("exponential", 0.020), "p99<200ms", places=28),
    _server("M/M/40, no queue", 40, service_time("exponential", 0.020), "p99<200ms", places=40),
)
