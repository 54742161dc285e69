"""The same small models in SimPy, written independently of the kernel: their means agree.

Both sides are independent runs with a standard error each; four standard errors of the difference
are accepted.
"""

from dataclasses import replace

import numpy as np
import pytest
import simpy

from capplan.model.service_time import Exponential, Lognormal
from capplan.simulate.kernel.describe import Downstream, Fleet, Kind, Setup
from capplan.simulate.kernel.setup import simulate_until
from tests.simulate.builders import SIGMAS, Measured, measure, measured, total

SECONDS = 120
PATIENCE_S, PAUSE_S, ATTEMPTS = 0.5, 0.3, 3
SERVICE = Lognormal(0.05, 0.8)
RATE_RPS, SLOTS, BOUND = 100.0, 4, 30


class Shop:
    """One pool with a bounded queue; clients hang up and try again, and nobody notices."""

    def __init__(self, seed: int, important: float) -> None:
        self.rng = np.random.default_rng([seed, 77])
        self.env = simpy.Environment()
        self.pool = simpy.PriorityResource(self.env, SLOTS)
        self.important = important
        self.good = self.attempts = self.refused = self.timed_out = self.important_good = 0
        self.env.process(self.arrivals())
        self.env.run(SECONDS)

    def arrivals(self):
        while True:
            yield self.env.timeout(self.rng.exponential(1 / RATE_RPS))
            priority = 0 if self.rng.random() < self.important else 1
            self.env.process(self.client(priority))

    def client(self, priority: int):
        for attempt in range(ATTEMPTS):
            self.attempts += 1
            if len(self.pool.queue) >= BOUND and self.pool.count == SLOTS:
                self.refused += 1
            else:
                done = self.env.process(self.served(priority))
                yield done | self.env.timeout(PATIENCE_S)
                if done.triggered:
                    self.good += 1
                    self.important_good += priority == 0
                    return
                self.timed_out += 1
            yield self.env.timeout(PAUSE_S * 2**attempt * (1 - 0.5 * self.rng.random()))

    def served(self, priority: int):
        with self.pool.request(priority) as turn:
            yield turn
            yield self.env.timeout(SERVICE.sample(self.rng, 1)[0])


def alike(kernel: Measured, simpy_runs: Measured) -> bool:
    error = np.hypot(kernel.error, simpy_runs.error)
    sharp = error < 0.05 * simpy_runs.mean
    return bool(sharp and abs(kernel.mean - simpy_runs.mean) < SIGMAS * error)


def same_shop(important: float) -> Setup:
    # without pushing out: SimPy's queue refuses the newcomer, whatever its priority
    kinds = [
        Kind(name, SERVICE, patience_s=PATIENCE_S, attempts=ATTEMPTS, pause_s=PAUSE_S, jitter=0.5,
             priority=priority)
        for priority, name in enumerate(("important", "other"))
    ]  # fmt: skip
    walk = np.zeros((3, 2))
    walk[-1] = important, 1 - important
    return Setup(kinds, np.full(SECONDS, RATE_RPS), Fleet(slots=SLOTS, bound=BOUND), walk)


@pytest.mark.parametrize("count", ["good", "attempts", "timed_out", "refused"])
def test_a_bounded_queue_with_timeouts_and_retries_agrees_with_simpy(count, simpy_shops):
    setup = same_shop(0.0)
    name = {"refused": "queue-bound"}.get(count, count)
    kernel = measure(setup, lambda w: total(w, name), runs=24)
    assert alike(kernel, measured([getattr(shop, count) for shop in simpy_shops]))


@pytest.fixture(scope="module")
def simpy_shops() -> list[Shop]:
    return [Shop(seed, 0.0) for seed in range(6)]


def test_priorities_agree_with_simpy():
    setup = same_shop(0.3)
    setup = replace(setup, fleet=replace(setup.fleet, pushes_out=False))
    shops = [Shop(seed, 0.3) for seed in range(6)]
    important = measure(setup, lambda w: total(w, "good", 0), runs=24)
    assert alike(important, measured([shop.important_good for shop in shops]))
    every = measure(setup, lambda w: total(w, "good"), runs=24)
    assert alike(every, measured([shop.good for shop in shops]))


OWN_S, CALL_S, CALLS, CALL_BOUND, TIMEOUT_S, HELD = 0.05, 0.2, 14, 8, 0.6, 24


class Tandem(Shop):
    """The servers hold a slot while they wait for a service with a queue and a timeout."""

    def __init__(self, seed: int) -> None:
        self.failed = 0
        super().__init__(seed, 1.0)

    def client(self, priority: int):
        for attempt in range(ATTEMPTS):
            self.attempts += 1
            if len(self.pool.queue) >= BOUND and self.pool.count == HELD:
                self.refused += 1
            else:
                done = self.env.process(self.served(priority))
                ended = yield done | self.env.timeout(PATIENCE_S)
                if done in ended and done.value:
                    self.good += 1
                    return
                self.failed += done in ended
                self.timed_out += done not in ended
            yield self.env.timeout(PAUSE_S * 2**attempt * (1 - 0.5 * self.rng.random()))

    def arrivals(self):
        self.pool = simpy.PriorityResource(self.env, HELD)
        self.behind = simpy.Resource(self.env, CALLS)
        yield from super().arrivals()

    def served(self, priority: int):
        with self.pool.request(priority) as turn:
            yield turn
            yield self.env.timeout(self.rng.exponential(OWN_S))
            if len(self.behind.queue) >= CALL_BOUND and self.behind.count == CALLS:
                return False
            wanted = self.behind.request()
            late = self.env.timeout(TIMEOUT_S)
            yield wanted | late
            if not wanted.triggered:
                wanted.cancel()
                return False
            done = self.env.process(self.call(wanted))
            yield done | late
            return done.triggered

    def call(self, turn):
        """Who has begun goes on, whoever waits."""
        yield self.env.timeout(self.rng.exponential(CALL_S))
        self.behind.release(turn)


def test_servers_that_wait_for_a_service_agree_with_simpy():
    kind = Kind("request", Exponential(OWN_S), patience_s=PATIENCE_S, attempts=ATTEMPTS,
                pause_s=PAUSE_S, jitter=0.5)  # fmt: skip
    service = Downstream(CALLS, {"request": CALL_S}, CALL_BOUND, TIMEOUT_S)
    setup = Setup([kind], np.full(SECONDS, RATE_RPS), Fleet(slots=HELD, bound=BOUND),
                  downstream=[service])  # fmt: skip
    kernels = [simulate_until(replace(setup, seed=seed), float(SECONDS)) for seed in range(24)]
    tandems = [Tandem(seed) for seed in range(6)]
    for name, count in (
        ("good", "good"), ("attempts", "attempts"), ("timed_out", "timed_out"),
        ("queue-bound", "refused"), ("downstream", "failed"),
    ):  # fmt: skip
        kernel = measured([total(world, name) for world in kernels])
        assert alike(kernel, measured([getattr(shop, count) for shop in tandems])), name
