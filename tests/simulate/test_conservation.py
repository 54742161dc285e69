"""Nothing is lost and nothing is made, whatever the layer; Little's law; determinism."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capplan.model.service_time import Exponential, Lognormal
from capplan.simulate.kernel.describe import (
    Bots,
    Breaker,
    Downstream,
    Edge,
    Fleet,
    Gateway,
    Kind,
    Room,
    Setup,
)
from capplan.simulate.kernel.setup import advance, build, simulate_until
from capplan.simulate.kernel.tally import COUNTS, LAYERS, REASONS
from capplan.simulate.kernel.world import World
from tests.simulate.builders import inside, total, visits

SECONDS = 60
INSIDE = (
    "queued", "served", "bucket", "gateway", "wire", "queued downstream", "served downstream"
)  # fmt: skip
"""Layers of calls that the gateway has admitted."""
BEFORE = ("waf", "limiter")
"""Layers of calls about which it has not decided."""


def shop(**changes: object) -> Setup:
    """Visits through three classes, two priorities, bots, an overload and everything that fails."""
    kinds = [
        Kind("browse", Lognormal(0.02, 1.0), think_s=2.0, patience_s=1.0, attempts=3, pause_s=0.2,
             jitter=0.5, priority=1),
        Kind("cart", Exponential(0.03), think_s=1.0, patience_s=1.0, attempts=2, pause_s=0.1,
             fails=0.05),
        Kind("pay", Exponential(0.04), think_s=3.0, patience_s=2.0, restless_s=5.0, attempts=4,
             pause_s=0.1, memoryless=True, paid=True),
        Kind("flood", Exponential(0.01), priority=1, bot=True),
    ]  # fmt: skip
    walk = np.zeros((5, 4))
    walk[0, :2], walk[1, 2], walk[4, 0] = (0.7, 0.1), 0.8, 1.0
    rates = np.full(SECONDS, 30.0)
    rates[20:30] = 150.0
    setup = Setup(
        kinds, rates, Fleet(count=2, slots=4, cores=2.0, bound=60, balance="least connections"),
        walk, [Bots("flood", np.where(np.arange(SECONDS) > 25, 80.0, 0.0), sources=30)],
    )  # fmt: skip
    return replace(setup, **changes)  # type: ignore[arg-type]


def conserved(world: World) -> None:
    offered, attempts = total(world, "offered"), total(world, "attempts")
    refused = sum(total(world, reason) for reason in REASONS)
    # an attempt ends in one way, as its client sees it
    good, gone, waiting = total(world, "good"), total(world, "timed_out"), inside(world, "waiting")
    assert attempts == good + refused + gone + waiting
    # a request ends well or is given up, or its client still waits or pauses
    pausing = inside(world, "pausing")
    assert offered == good + total(world, "given_up") + waiting + pausing
    # a station serves what it takes, refuses it, or drops it when its client has gone
    before_service = refused - total(world, "failed") + total(world, "dropped")
    kept = sum(inside(world, layer) for layer in (*INSIDE, *BEFORE))
    assert attempts == total(world, "served") + before_service + kept
    # a shopper is somewhere; what is not a shopper's is a bot's
    bots = total(world, "offered", 3) - total(world, "good", 3) - total(world, "given_up", 3)
    ended = sum(visits(world, end) for end in ("paid", "left", "abandoned", "tired"))
    elsewhere = inside(world, "thinking") + inside(world, "room")
    assert visits(world, "begun") == ended + waiting + pausing + elsewhere - bots
    # the table of calls holds those in the system and no one else
    assert waiting + pausing <= int(world.record["calls_used"]) <= waiting + pausing + kept


@pytest.mark.parametrize("drops_gone", [False, True])
@pytest.mark.parametrize("queue_patience_s", [np.inf, 0.5])
def test_every_attempt_request_and_visit_is_accounted_for(drops_gone, queue_patience_s):
    fleet = replace(shop().fleet, drops_gone=drops_gone, patience_s=queue_patience_s, bound=120)
    world = simulate_until(shop(fleet=fleet), float(SECONDS))
    conserved(world)
    # something of everything happened
    assert total(world, "timed_out") > (100 if queue_patience_s > 1 else 0)
    assert total(world, "failed") > 10
    assert total(world, "queue-bound" if queue_patience_s > 1 else "queue-timeout") > 100
    assert total(world, "dropped") > 0 or not drops_gone or queue_patience_s < 1
    assert visits(world, "paid") > 100


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    count=st.integers(1, 5),
    slots=st.integers(1, 6),
    cores=st.floats(0.5, 6),
    bound=st.integers(0, 200),
    cost=st.floats(0, 0.5),
    balance=st.sampled_from(["random", "round robin", "least connections"]),
    edge=st.builds(
        Edge,
        waf_from_s=st.floats(0, 90),
        waf_catches=st.floats(0, 1),
        waf_mistakes=st.floats(0, 0.1),
        source_limit=st.integers(0, 20),
        source_window_s=st.floats(0.1, 60),
        source_mistakes=st.floats(0, 0.1),
    ),
    gateway=st.builds(
        Gateway,
        nodes=st.integers(1, 4),
        most_inside=st.integers(0, 60),
        token_rate=st.sampled_from([0.0, 5.0, 50.0]),
        token_burst=st.floats(1, 100),
        leak_rate=st.sampled_from([0.0, 5.0, 50.0]),
        leak_wait_s=st.floats(0, 3),
    ),
    room=st.none() | st.builds(Room, st.floats(1, 100), st.floats(1, 100)),
    retry_budget=st.none() | st.floats(0, 1),
    until_s=st.floats(0.5, SECONDS),
)
def test_whatever_the_fleet_and_its_protections_nothing_is_lost(
    seed, count, slots, cores, bound, cost, balance, edge, gateway, room, retry_budget, until_s
):
    fleet = Fleet(count, slots, cores, bound, refusal_cost=cost, balance=balance)
    setup = shop(
        fleet=fleet, seed=seed, edge=edge, gateway=gateway, room=room, retry_budget=retry_budget
    )
    world = simulate_until(setup, until_s)
    conserved(world)
    # every place at the gateway is taken by a call that is inside, and by no other
    kept = sum(inside(world, layer) for layer in INSIDE)
    assert int(world.tables["nodes"]["inside"].sum()) == kept


BREAKERS = st.none() | st.builds(
    Breaker,
    slow_s=st.floats(0.01, 3),
    share=st.floats(0.1, 1),
    window_s=st.floats(0.5, 10),
    least=st.integers(1, 30),
    open_s=st.floats(0.1, 10),
    probes=st.integers(1, 5),
)
MARKS = st.none() | st.tuples(st.integers(5, 50), st.integers(0, 4))


@st.composite
def services(draw: st.DrawFn) -> Downstream:
    classes = draw(st.sets(st.sampled_from(["browse", "cart", "pay", "flood"]), min_size=1))
    return Downstream(
        slots=draw(st.integers(1, 8)),
        mean_s={name: draw(st.floats(0.001, 0.5)) for name in classes},
        bound=draw(st.integers(0, 50)),
        timeout_s=draw(st.floats(0.01, 3)),
        finishes=draw(st.booleans()),
        fails=draw(st.floats(0, 0.3)),
        ill_from_s=10.0,
        ill_until_s=draw(st.sampled_from([10.0, 30.0])),
        slower=draw(st.floats(1, 50)),
        ill_fails=draw(st.floats(0, 1)),
        breaker=draw(BREAKERS),
        full_at=draw(MARKS),
    )


@settings(max_examples=100, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    fleet=st.builds(
        Fleet,
        count=st.integers(1, 3),
        slots=st.integers(1, 20),
        cores=st.floats(0.5, 6),
        bound=st.integers(0, 200),
        patience_s=st.sampled_from([0.5, np.inf]),
        drops_gone=st.booleans(),
    ),
    downstream=st.lists(services(), max_size=3),
    connections=st.sampled_from([0, 1, 7]),
    gateway=st.builds(
        Gateway, most_inside=st.integers(0, 60), leak_rate=st.sampled_from([0.0, 50.0]),
        leak_wait_s=st.just(0.5), round_trip_s=st.sampled_from([0.0, 0.01]),
        nodes=st.integers(1, 3), carries_rps=st.sampled_from([20.0, 100.0, np.inf]),
        refusal_cost=st.floats(0, 1),
    ),
    edge=st.builds(
        Edge, waf_from_s=st.just(30.0), waf_catches=st.just(0.9), refusal_cost=st.floats(0, 1),
        carries_rps=st.sampled_from([50.0, np.inf]),
    ),
    callers=st.sampled_from([0, 1, 4]),
    breaker=BREAKERS,
    full_at=MARKS,
    throttle=st.none() | st.floats(1, 3),
    eager=st.floats(0, 1),
    degraded=st.none() | st.floats(0.1, 1),
    until_s=st.floats(0.5, SECONDS),
)  # fmt: skip
def test_whatever_is_behind_the_servers_nothing_is_lost(
    seed, fleet, downstream, connections, gateway, edge, callers, breaker, full_at, throttle,
    eager, degraded, until_s,
):  # fmt: skip
    first, *others = shop().kinds
    kinds = [replace(first, eager=eager, reload_s=0.3, reloads=4, degraded=degraded), *others]
    setup = shop(
        kinds=kinds, fleet=fleet, seed=seed, downstream=downstream, connections=connections,
        gateway=gateway, edge=edge, callers=callers, breaker=breaker, full_at=full_at,
        throttle=throttle,
    )  # fmt: skip
    world = simulate_until(setup, until_s)
    conserved(world)
    kept = sum(inside(world, layer) for layer in INSIDE)
    assert int(world.tables["nodes"]["inside"].sum()) == kept
    # a slot is held by a call that is downstream, and by no other
    away = inside(world, "queued downstream") + inside(world, "served downstream")
    assert int(world.tables["stations"]["held"].sum()) == away
    assert int(world.tables["stations"]["busy"][fleet.count :].sum()) == (
        inside(world, "served downstream") + inside(world, "unawaited downstream")
    )
    if connections:
        assert int(world.tables["wires"]["queued"].sum()) == inside(world, "wire")
        assert int(world.tables["wires"]["busy"].sum()) <= kept


def test_every_class_is_accounted_for_second_by_second():
    """What enters a class in a second is what leaves it, and what more is inside at its end."""
    service = Downstream(3, {"cart": 0.05, "pay": 0.1}, bound=20, timeout_s=0.4, fails=0.05,
                         breaker=Breaker(slow_s=0.1, share=0.2, window_s=5.0, least=5, open_s=1.0,
                                         probes=2))  # fmt: skip
    first, *others = shop().kinds
    setup = shop(
        kinds=[replace(first, eager=0.3, reload_s=0.3, reloads=4, degraded=0.3), *others],
        fleet=replace(shop().fleet, patience_s=0.5, drops_gone=True),
        edge=Edge(waf_from_s=20.0, waf_catches=0.5, source_limit=20),
        gateway=Gateway(2, most_inside=40, leak_rate=50.0, leak_wait_s=0.5, round_trip_s=0.01),
        downstream=[service], connections=7, throttle=2.0,
    )  # fmt: skip
    world = simulate_until(setup, float(SECONDS))
    counts, levels = world.tables["counts"], world.tables["levels"]

    def count(*names):
        return sum(counts[:, :, COUNTS.index(name)] for name in names)

    def more(*layers):
        """How many more were inside at the end of each second than at the end of the one before."""
        held = sum(levels[:, :-1, LAYERS.index(layer)] for layer in layers)
        return np.diff(held, axis=0, prepend=0)

    ended = count("received", "timed_out", *REASONS)
    assert (count("attempts") == ended + more("waiting")).all()
    assert (count("offered") == count("received", "given_up") + more("waiting", "pausing")).all()
    reasons = [reason for reason in REASONS if reason != "failed"]
    left = count("served", "dropped", *reasons)
    assert (count("attempts") == left + more(*INSIDE, *BEFORE)).all()
    # every class had a part in it, and a good answer is counted once, early or late
    assert (count("timed_out", *REASONS).sum(axis=0) > 20).all()
    assert (count("good").sum(axis=0) == count("received").sum(axis=0)).all()
    assert (count("good") != count("received")).any()
    # the last row of levels is of no class: nobody here waits to be let in
    away = [LAYERS.index(name) for name in LAYERS if name != "unawaited downstream"]
    assert not levels[:, -1, away].any()
    told = world.tables["behind"][:, 0]
    # a call fails for its client as well, unless that has gone
    assert told["refused"].sum() + told["failed"].sum() >= count("downstream").sum() > 0
    assert told["cut_off"].sum() >= count("circuit-breaker").sum() > 0
    assert set(told["breakers_open"]) >= {0, 1}


def test_the_same_seed_gives_the_same_bytes_and_another_seed_does_not():
    first, same, other = (simulate_until(shop(seed=seed), 40.0) for seed in (1, 1, 2))
    for name in ("counts", "visits", "latency", "sums", "levels", "behind"):
        assert first.tables[name].tobytes() == same.tables[name].tobytes()
    assert first.tables["counts"].tobytes() != other.tables["counts"].tobytes()


def test_a_run_in_pieces_is_the_run_in_one():
    whole = simulate_until(shop(), 40.0)
    pieces = build(shop())
    for until_s in (0.1, 7.77, 21.0, 39.999, 40.0):
        advance(pieces, until_s)
    assert pieces.tables["counts"].tobytes() == whole.tables["counts"].tobytes()


def test_the_visits_of_two_variants_arrive_at_the_same_moments():
    """Common random numbers: a smaller fleet does not change who comes."""
    small = simulate_until(shop(fleet=Fleet(slots=1, bound=5)), float(SECONDS))
    large = simulate_until(shop(fleet=Fleet(slots=50)), float(SECONDS))
    assert (small.tables["visits"][:, 0] == large.tables["visits"][:, 0]).all()
    assert visits(small, "paid") < visits(large, "paid")


def test_memory_grows_with_those_in_the_system_and_not_with_those_who_were():
    setup = Setup([Kind("request", Exponential(0.001))], np.full(100, 5000.0), Fleet(slots=10))
    world = simulate_until(setup, 100.0)
    assert total(world, "offered") > 490_000
    assert len(world.tables["calls"]) <= 2048
