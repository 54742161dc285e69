"""The edge cache against Che's approximation, the law of a time to live, and by hand."""

from dataclasses import replace

import numpy as np
import pytest

from capplan.model.caching import lru_hit_ratio, ttl_hit_ratio, zipf
from capplan.model.service_time import Deterministic, Exponential, ServiceTime
from capplan.simulate.kernel.setup import Cache, Fleet, Setup, simulate_until
from capplan.simulate.kernel.world import World
from tests.simulate.builders import inside, measure, one_class, per_second, total

AT_ONCE = Deterministic(1e-7)
WIDE = Fleet(slots=500)


def cached(
    cache: Cache, rate_rps: float = 1000.0, seconds: int = 100, service: ServiceTime = AT_ONCE,
    fleet: Fleet = WIDE, **client: object,
) -> Setup:  # fmt: skip
    setup = one_class(rate_rps, seconds, service, fleet, **{"cacheable": 1.0, **client})
    return replace(setup, cache=cache)


def hits(world: World) -> float:
    return total(world, "cached") / total(world, "attempts")


@pytest.mark.parametrize(
    ("catalogue", "exponent", "places"), [(100_000, 0.8, 10_000), (2_000, 1.0, 100)]
)
def test_a_bounded_cache_hits_as_che_says(catalogue, exponent, places):
    """Within 0.0012, the accuracy of the approximation, and four standard errors."""
    setup = cached(Cache(places, catalogue=catalogue, zipf=exponent, warm=True), 10_000.0, 60)
    found = measure(setup, hits, warm_s=20.0, runs=4)
    truth = lru_hit_ratio(zipf(catalogue, exponent), places)
    assert found.error < 0.001
    assert abs(found.mean - truth) < 0.0012 + 4 * found.error


@pytest.mark.parametrize("ttl_s", [0.1, 2.0])
def test_a_cache_of_limited_time_fetches_each_object_once_per_cycle(ttl_s):
    setup = cached(Cache(2**20, ttl_s, catalogue=500))
    found = measure(setup, hits, warm_s=20.0, runs=6)
    assert found.agrees(ttl_hit_ratio(zipf(500, 0.8), 1000.0, ttl_s))


def test_a_cold_cache_sends_everything_on_and_a_warm_one_does_not():
    cold = simulate_until(cached(Cache(1_000, catalogue=10_000)), 60.0)
    warm = simulate_until(cached(Cache(1_000, catalogue=10_000, warm=True)), 60.0)
    found = per_second(cold, "cached")
    assert found[0] < 0.7 * found[40:60].mean()
    # the most popular thousand together, which is the most that any cache of that size can hit
    most = 1000 * zipf(10_000, 0.8)[:1000].sum()
    assert per_second(warm, "cached")[0] == pytest.approx(most, rel=0.1)


def test_collapsed_requests_are_fetched_once_and_answered_together():
    """One object, a second to fetch, never stale: a thousand requests, one of which is served."""
    setup = cached(Cache(1, catalogue=1), service=Deterministic(1.0))
    together = simulate_until(setup, 3.0)
    assert total(together, "served") == 1
    assert total(together, "cached") == total(together, "attempts") - 1
    apart = simulate_until(replace(setup, cache=replace(setup.cache, collapses=False)), 3.0)
    # all that came until the first answer was there
    assert total(apart, "served") == pytest.approx(per_second(apart, "attempts")[0], abs=2)


def test_who_waits_for_an_answer_that_fails_fails_too_and_nobody_is_lost():
    setup = cached(
        Cache(5, 0.2, catalogue=20), 300.0, 60, Exponential(0.05), Fleet(slots=2, bound=1),
        cacheable=0.6, patience_s=0.3, attempts=2, pause_s=0.1, fails=0.1,
    )  # fmt: skip
    setup = replace(setup, fleet=replace(setup.fleet, drops_gone=True))
    world = simulate_until(setup, 60.0)
    kept = sum(inside(world, layer) for layer in ("queued", "served", "collapsed"))
    assert total(world, "attempts") == (
        total(world, "served") + total(world, "cached") + total(world, "queue-bound")
        + total(world, "dropped") + kept
    )  # fmt: skip
    assert total(world, "failed") > 0.1 * total(world, "served")  # and those who waited for them
    assert int(world.tables["objects"]["fetching"].max()) <= 1
    assert int(world.tables["objects"]["held"].sum()) == int(world.record["cache_held"]) == 5


def test_the_cache_holds_what_was_asked_for_last():
    world = simulate_until(cached(Cache(50, catalogue=400)), 30.0)
    objects = world.tables["objects"]
    chain, place = [], int(world.record["cache_first"])
    while place != -1:
        chain.append(place)
        place = int(objects["after"][place])
    assert sorted(chain) == np.flatnonzero(objects["held"]).tolist()
    assert len(chain) == 50
    assert chain[-1] == int(world.record["cache_last"])
