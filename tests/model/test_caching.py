"""Caches: published values, limits, and an independent simulation."""

from collections import OrderedDict

import numpy as np
import pytest

from capplan.model.caching import (
    hit_ratio,
    lru_hit_ratio,
    ttl_hit_ratio,
    zipf,
)


def test_ches_approximation_gives_the_worked_value():
    assert lru_hit_ratio(zipf(100_000, 0.8), 10_000) == pytest.approx(0.4687, abs=5e-5)


def test_ches_approximation_is_close_to_a_cache_written_down():
    rng, popularity, places = np.random.default_rng(1), zipf(2_000, 0.9), 200
    held: OrderedDict[int, None] = OrderedDict()
    hits = 0
    asked = rng.choice(2_000, 220_000, p=popularity)
    for number, item in enumerate(asked.tolist()):
        if item in held:
            held.move_to_end(item)
            hits += number >= 20_000
            continue
        held[item] = None
        if len(held) > places:
            held.popitem(last=False)
    # binomial error 0.001, and hits come in runs
    assert hits / 200_000 == pytest.approx(lru_hit_ratio(popularity, places), abs=0.005)


@pytest.mark.parametrize(("places", "ratio"), [(0, 0.0), (50, 1.0), (80, 1.0)])
def test_nothing_fits_into_no_cache_and_everything_into_a_large_one(places, ratio):
    assert lru_hit_ratio(zipf(50, 1.0), places) == ratio


def test_of_equally_popular_objects_as_many_are_hit_as_fit():
    assert lru_hit_ratio(np.full(400, 1 / 400), 100) == pytest.approx(0.25)


def test_an_object_is_fetched_once_per_time_to_live_and_wait():
    """A cycle is T and then the time to the next request, 1/λ."""
    popularity = zipf(30, 1.0)
    fetched = sum(1 / (2.0 + 1 / (50 * p)) for p in popularity)
    assert ttl_hit_ratio(popularity, 50.0, 2.0) == pytest.approx(1 - fetched / 50)


def test_size_or_time_is_the_limit():
    popularity = zipf(1_000, 0.8)
    assert hit_ratio(popularity, 100, 1e9, 10.0) == lru_hit_ratio(popularity, 100)
    assert hit_ratio(popularity, 999, 10.0, 1.0) == ttl_hit_ratio(popularity, 10.0, 1.0)
    assert hit_ratio(popularity, 100, 10.0, np.inf) == lru_hit_ratio(popularity, 100)
