"""Little's law, L = λW, in every layer: the time average that is counted, and known sojourns.

A layer's L is the integral of how many were inside; λ comes from the counts of what entered, and W
from a closed form, or from what each call noted of itself.
"""

import math
from dataclasses import replace

import numpy as np
import pytest

from capplan.model.service_time import Deterministic, Exponential
from capplan.simulate.kernel.describe import (
    Cache,
    Downstream,
    Fleet,
    Gateway,
    Kind,
    Room,
    Setup,
)
from capplan.simulate.kernel.setup import simulate_until
from capplan.simulate.kernel.tally import LAYERS
from tests.simulate.builders import mean_inside, measure, measured, total, visits

MANY = 1000  # slots: nobody ever waits for one


def test_littles_law_holds_in_the_queue_in_service_and_for_the_clients():
    setup = Setup([Kind("request", Exponential(0.01))], np.full(500, 700.0), Fleet(slots=10))
    world = simulate_until(setup, 500.0)
    sums, rate = world.tables["sums"][0], total(world, "good") / 500
    # what is inside at the ends of the run is the only difference: 20 of 350,000 calls
    assert mean_inside(world, "queued", 500) == pytest.approx(sums["wait_s"] / 500, rel=1e-3)
    assert mean_inside(world, "waiting", 500) == pytest.approx(
        rate * sums["latency_s"] / sums["answers"], rel=1e-3
    )
    assert mean_inside(world, "served", 500) == pytest.approx(rate * 0.01, rel=0.01)


def test_littles_law_holds_for_each_class():
    """Two classes share a queue: the levels of each, read once a second, follow its own calls.

    The mean of the levels stands in for the integral. An M/M/c queue at 70 % of 10 slots forgets
    within a second, so n readings of a level with standard deviation s are off by s·√(2/n).
    """
    kinds = [Kind("short", Exponential(0.005), think_s=0.01), Kind("long", Exponential(0.02))]
    walk = np.array([[0.0, 0.5], [0.0, 0.0], [1.0, 0.0]])
    seconds = 2000
    world = simulate_until(
        Setup(kinds, np.full(seconds, 467.0), Fleet(slots=10), walk), float(seconds)
    )
    for number, name in enumerate(("short", "long")):
        sums, rate = world.tables["sums"][number], total(world, "good", number) / seconds
        for layer, sojourns in (
            ("queued", sums["wait_s"] / seconds),
            ("waiting", rate * sums["latency_s"] / sums["answers"]),
            ("served", rate * kinds[number].service.mean_s),
        ):
            area = world.tables["layers"]["area_s"][number, LAYERS.index(layer)] / seconds
            assert area == pytest.approx(sojourns, rel=0.02 if layer == "served" else 1e-3), name
            read = world.tables["levels"][:, number, LAYERS.index(layer)]
            assert abs(read.mean() - area) <= 4 * read.std() * math.sqrt(2 / seconds), (name, layer)
            assert area > 0.05


def test_littles_law_holds_for_those_who_think():
    kind = Kind("browse", Deterministic(0.01), think_s=3.0)
    walk = np.array([[0.8], [1.0]])
    setup = Setup([kind], np.full(2000, 40.0), Fleet(slots=MANY), walk)

    def per_episode(world):
        episodes = total(world, "offered") - visits(world, "begun")  # each ends with a request
        return mean_inside(world, "thinking", 2000) * 2000 / episodes

    assert measure(setup, per_episode, runs=8).agrees(3.0)


def test_littles_law_holds_for_those_who_pause():
    """Every answer is an error, and every pause lasts two seconds."""
    kind = Kind("x", Deterministic(0.01), attempts=3, pause_s=2.0, growth=1.0, fails=1.0)
    world = simulate_until(Setup([kind], np.full(1000, 50.0), Fleet(slots=MANY)), 1000.0)
    retries = (total(world, "attempts") - total(world, "offered")) / 1000
    # those who pause at the end are all the difference: 200 of 100,000
    assert mean_inside(world, "pausing", 1000) == pytest.approx(2.0 * retries, rel=3e-3)


@pytest.mark.parametrize(("layer", "rate"), [("bucket", 0.7), ("room", 0.8)])
def test_a_bucket_and_a_room_that_let_through_a_constant_rate_hold_as_many_as_md1(layer, rate):
    """One per second goes on: the wait is that of M/D/1, ρ/(2(1 - ρ)) (Pollaczek, Khinchine)."""
    gateway = Gateway(leak_rate=1.0, leak_wait_s=1e9) if layer == "bucket" else Gateway()
    setup = Setup(
        [Kind("request", Deterministic(0.001))], np.full(40_000, rate), Fleet(slots=MANY),
        gateway=gateway, room=Room(1.0) if layer == "room" else None,
    )  # fmt: skip
    held = measure(setup, lambda w: mean_inside(w, layer, 39_000), warm_s=1000.0)
    assert held.agrees(rate * rate / (2 * (1 - rate)), sharp=0.02)


def test_as_many_are_held_back_for_the_same_answer_as_ask_while_it_is_fetched():
    """One object: fetched for S, exponential, held for τ, and asked for anew after 1/λ.

    While it is fetched λ per second join: λS² is the mean integral, of a cycle of S + τ + 1/λ.
    """
    rate, fetch_s, ttl_s = 20.0, 0.5, 2.0
    setup = Setup(
        [Kind("page", Exponential(fetch_s), cacheable=1.0)], np.full(5000, rate),
        Fleet(slots=MANY), cache=Cache(places=1, ttl_s=ttl_s, catalogue=1),
    )  # fmt: skip
    held = measure(setup, lambda w: mean_inside(w, "collapsed", 5000), runs=30)
    assert held.agrees(rate * fetch_s**2 / (fetch_s + ttl_s + 1 / rate), sharp=0.02)


def test_a_shared_limiter_holds_calls_for_its_round_trip():
    setup = Setup([Kind("request", Deterministic(0.01))], np.full(1000, 50.0), Fleet(slots=MANY),
                  gateway=Gateway(round_trip_s=0.02))  # fmt: skip
    world = simulate_until(setup, 1000.0)
    assert mean_inside(world, "limiter", 1000) == pytest.approx(
        0.02 * total(world, "attempts") / 1000, rel=1e-3
    )


def test_connections_that_answer_in_order_hold_as_many_as_separate_queues():
    """Five of M/M/1: ρ²/(1 - ρ) wait on each."""
    setup = Setup([Kind("request", Exponential(0.1))], np.full(4000, 40.0), Fleet(slots=MANY),
                  connections=5)  # fmt: skip
    held = measure(setup, lambda w: mean_inside(w, "wire", 3900), warm_s=100.0, runs=10)
    assert held.agrees(5 * 0.8**2 / 0.2, sharp=0.03)


def test_littles_law_holds_in_the_queue_of_a_service_and_in_its_slots():
    """Both together, those who are served for nobody included, are as many as are always busy."""
    service = Downstream(4, {"request": 0.1}, bound=40, timeout_s=0.6)
    setup = Setup([Kind("request", Deterministic(0.001))], np.full(2000, 44.0), Fleet(slots=MANY),
                  downstream=[service])  # fmt: skip
    world = simulate_until(setup, 2000.0)
    queued = mean_inside(world, "queued downstream", 2000)
    assert queued == pytest.approx(world.tables["sums"][1]["wait_s"] / 2000, rel=1e-3)
    assert total(world, "downstream") > 1000


def test_a_call_is_served_for_its_server_up_to_the_timeout_and_for_nobody_after_it():
    """E min(S, τ) = D(1 - e^{-τ/D}) and E (S - τ)⁺ = De^{-τ/D} of an exponential S."""
    rate, mean_s, timeout_s = 50.0, 0.4, 0.3
    service = Downstream(MANY, {"request": mean_s}, timeout_s=timeout_s)
    setup = Setup([Kind("request", Deterministic(0.001))], np.full(3000, rate), Fleet(slots=MANY),
                  downstream=[service])  # fmt: skip
    after = rate * mean_s * np.exp(-timeout_s / mean_s)
    worlds = [simulate_until(replace(setup, seed=seed), 3000.0) for seed in range(10)]
    for layer, truth in (
        ("served downstream", rate * mean_s - after), ("unawaited downstream", after),
    ):  # fmt: skip
        assert measured([mean_inside(world, layer, 3000) for world in worlds]).agrees(truth)


def test_no_layer_is_left_out():
    here = {"queued", "served", "waiting", "thinking", "pausing", "bucket", "room", "collapsed",
            "limiter", "wire", "queued downstream", "served downstream",
            "unawaited downstream", "waf", "gateway"}  # fmt: skip
    assert set(LAYERS) == here
