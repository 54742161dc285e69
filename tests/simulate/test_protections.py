"""Each protection in the kernel does what its definition says, in every second."""

from dataclasses import replace

import numpy as np
import pytest

from capplan.model.queueing import erlang_b
from capplan.model.service_time import Deterministic, Exponential
from capplan.simulate.kernel.setup import (
    Bots,
    Edge,
    Fleet,
    Gateway,
    Kind,
    Room,
    Setup,
    simulate_until,
)
from capplan.simulate.kernel.tally import COUNTS, bin_ends_s
from capplan.simulate.kernel.world import World
from tests.simulate.builders import (
    inside,
    latency_s,
    mean_inside,
    measure,
    one_class,
    per_second,
    total,
    visits,
)

QUICK = Deterministic(0.001)
WIDE = Fleet(slots=2000)
WAF, SERVED = COUNTS.index("waf"), COUNTS.index("served")


def gated(rate_rps: float, gateway: Gateway, seconds: int = 200, **client: object) -> Setup:
    return replace(one_class(rate_rps, seconds, QUICK, WIDE, **client), gateway=gateway)


def admitted(world: World) -> np.ndarray:
    refused = per_second(world, "token-bucket") + per_second(world, "leaky-bucket")
    return np.asarray(per_second(world, "attempts") - refused)


def test_a_token_bucket_never_admits_more_than_its_burst_and_its_rate():
    """At most b + r·t in any time t, and nearly that under overload."""
    rate, burst = 50.0, 200.0
    world = simulate_until(gated(120.0, Gateway(token_rate=rate, token_burst=burst)), 200.0)
    inside = admitted(world)
    sums = np.concatenate([[0], np.cumsum(inside)])
    for span in (1, 3, 10, 60, 200):
        assert (sums[span:] - sums[:-span]).max() <= burst + rate * span
    # the bucket is empty after a few seconds, and every token is taken as it comes
    assert inside.sum() == pytest.approx(burst + rate * 200, abs=1.5)


def test_limits_on_nodes_add_up_only_where_the_load_is_even():
    """Two nodes with half the rate each: chance makes one of them idle now and then."""
    one = simulate_until(gated(50.0, Gateway(token_rate=50.0, token_burst=5.0)), 200.0)
    two = simulate_until(gated(50.0, Gateway(2, token_rate=25.0, token_burst=2.5)), 200.0)
    assert total(two, "token-bucket") > 1.2 * total(one, "token-bucket")


@pytest.mark.parametrize("wait_s", [0.5, 2.0])
def test_a_leaky_bucket_lets_through_its_rate_and_waits_at_most_its_bound(wait_s):
    rate = 40.0
    gateway = Gateway(leak_rate=rate, leak_wait_s=wait_s)
    world = simulate_until(gated(80.0, gateway), 200.0, warm_s=10.0)
    assert total(world, "served") == pytest.approx(rate * 190, rel=0.001)
    # always full: whoever is let in waits for the bound, less than one turn apart
    assert wait_s - 2 / rate <= latency_s(world) - QUICK.mean_s <= wait_s
    latest = np.flatnonzero(world.tables["latency"].sum(axis=(0, 1))).max()
    assert bin_ends_s()[latest - 1] <= wait_s + QUICK.mean_s


def test_leaky_buckets_on_several_nodes_keep_their_order_and_lose_nobody():
    gateway = Gateway(4, leak_rate=20.0, leak_wait_s=1.0)
    world = simulate_until(gated(100.0, gateway, patience_s=0.8), 200.0)
    inside = world.tables["layers"]["inside"].sum(axis=0)
    assert total(world, "attempts") == (
        total(world, "served") + total(world, "leaky-bucket") + total(world, "dropped")
        + int(inside[1]) + int(inside[5])
    )  # fmt: skip
    assert total(world, "dropped") > 0


@pytest.mark.parametrize("most", [5, 12])
def test_a_concurrency_limit_loses_what_erlang_b_says(most):
    setup = replace(
        one_class(10.0, 2_000, Exponential(1.0), WIDE), gateway=Gateway(most_inside=most)
    )
    lost = measure(
        setup, lambda w: total(w, "concurrency-limit") / total(w, "offered"), warm_s=50.0
    )
    assert lost.agrees(erlang_b(most, 10.0), sharp=0.05)


def attack(edge: Edge, sources: int = 20) -> World:
    kinds = [Kind("browse", QUICK), Kind("flood", QUICK, bot=True)]
    walk = np.zeros((3, 2))
    walk[-1, 0] = 1.0
    flood = np.where(np.arange(120) >= 20, 100.0, 0.0)
    setup = Setup(kinds, np.full(120, 50.0), WIDE, walk, [Bots("flood", flood, sources)], edge)
    return simulate_until(setup, 120.0)


def test_a_waf_refuses_its_shares_once_it_has_learned():
    world = attack(Edge(waf_from_s=50.0, waf_catches=0.9, waf_mistakes=0.02))
    counts = world.tables["counts"]
    refused = counts[:, :, WAF].sum(axis=0)
    assert counts[:50, :, WAF].sum() == 0
    # binomial: 7,000 bots and 3,500 people after second 50, four standard deviations
    assert refused[1] == pytest.approx(0.9 * 7000, abs=4 * np.sqrt(7000 * 0.9 * 0.1) + 4 * 0.9 * 84)
    assert refused[0] == pytest.approx(0.02 * 3500, abs=4 * np.sqrt(3500 * 0.02))


def test_a_rule_per_source_lets_each_source_make_its_requests_and_no_more():
    sources, limit, window_s = 20, 30, 20.0
    world = attack(Edge(source_limit=limit, source_window_s=window_s), sources)
    served = world.tables["counts"][:, 1, SERVED]
    # 100 requests per source and window: every source uses up what it may, in 5 windows
    assert served.sum() == 5 * sources * limit
    assert total(world, "per-source-limit", 0) == 0


def test_a_rule_per_source_is_no_use_against_many_sources():
    world = attack(Edge(source_limit=30, source_window_s=20.0), sources=5000)
    assert total(world, "per-source-limit") == 0


def test_a_retry_budget_bounds_the_load_at_its_share_above_the_requests():
    setup = one_class(100.0, 300, QUICK, WIDE, fails=0.8, attempts=5, pause_s=0.01)
    storm = simulate_until(setup, 300.0)
    tamed = simulate_until(replace(setup, retry_budget=0.1), 300.0)
    # without: (1 - 0.8^5)/(1 - 0.8) = 3.36 attempts
    assert total(storm, "attempts") == pytest.approx(3.36 * total(storm, "offered"), rel=0.02)
    assert total(tamed, "attempts") <= 1.1 * total(tamed, "offered")
    assert total(tamed, "attempts") == pytest.approx(1.1 * total(tamed, "offered"), rel=0.01)


def test_a_waiting_room_lets_in_its_rate_and_loses_the_rest_to_their_patience():
    """In balance as many tire as come too much: n/patience = v - r, whatever the order."""
    rate, coming, patience_s = 20.0, 50.0, 30.0
    setup = replace(one_class(coming, 600, QUICK, WIDE), room=Room(rate, patience_s))
    waiting = measure(setup, lambda w: mean_inside(w, "room", 400), warm_s=200.0, runs=10)
    assert waiting.agrees((coming - rate) * patience_s, sharp=0.02)
    world = simulate_until(setup, 600.0, warm_s=200.0)
    assert total(world, "offered") == pytest.approx(rate * 400, rel=0.002)
    tired = measure(setup, lambda w: visits(w, "tired") / 400, warm_s=200.0, runs=10)
    assert tired.agrees(coming - rate, sharp=0.02)


def test_a_waiting_room_that_nobody_needs_keeps_nobody():
    setup = replace(one_class(5.0, 300, QUICK, WIDE), room=Room(100.0))
    world = simulate_until(setup, 300.0)
    assert visits(world, "begun") == total(world, "offered") + inside(world, "room")
    assert mean_inside(world, "room", 300) < 0.01


@pytest.mark.parametrize(
    "gateway",
    [
        Gateway(most_inside=20),
        Gateway(token_rate=40.0, token_burst=40.0),
        Gateway(leak_rate=40.0, leak_wait_s=1.0),
    ],
    ids=["concurrency", "tokens", "leak"],
)
def test_what_a_limit_reserves_for_a_class_it_gives_to_no_other(gateway):
    """The higher class asks for less than is reserved, so it is hardly ever refused."""
    kinds = [Kind("pay", Exponential(0.5)), Kind("browse", Exponential(0.5), reserve=0.4)]
    walk = np.zeros((3, 2))
    walk[-1] = 0.05, 0.95
    setup = Setup(kinds, np.full(300, 100.0), WIDE, walk, gateway=gateway)
    world = simulate_until(setup, 300.0, warm_s=20.0)
    assert total(world, "good", 0) > 0.99 * total(world, "offered", 0)
    assert total(world, "good", 1) < 0.5 * total(world, "offered", 1)
