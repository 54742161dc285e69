"""Services behind the servers, their breakers and back-pressure, against closed forms."""

import math
from dataclasses import replace

import numpy as np
import pytest

from capplan.model.queueing import erlang_b, mmc_mean_wait_s
from capplan.model.service_time import Deterministic, Exponential
from capplan.simulate.kernel.describe import Breaker, Downstream, Fleet, Kind, Setup
from capplan.simulate.kernel.setup import simulate_until
from capplan.simulate.kernel.world import World
from tests.simulate.builders import (
    inside,
    latency_s,
    mean_inside,
    measure,
    measured,
    one_class,
    per_second,
    total,
    wait_s,
)

WIDE = Fleet(slots=5000)
QUICK = Deterministic(0.001)
FOREVER_S = 1e9


def behind(rate_rps: float, seconds: int, *services: Downstream, **changes: object) -> Setup:
    setup = replace(one_class(rate_rps, seconds, QUICK, WIDE), downstream=services)
    return replace(setup, **changes)  # type: ignore[arg-type]


def test_queues_in_tandem_wait_as_if_each_were_alone():
    """Departures of M/M/c are Poisson (P. Burke 1956), so what follows is M/M/c as well.

    The servers hold any number of requests on two processors, and release them when all is done.
    """
    services = [Downstream(3, {"request": 0.25}), Downstream(1, {"request": 0.08})]
    setup = behind(10.0, 10_000, *services)
    setup = replace(setup, kinds=[Kind("request", Exponential(0.15))],
                    fleet=Fleet(slots=5000, cores=2.0))  # fmt: skip
    worlds = [
        simulate_until(replace(setup, seed=seed), 10_000.0, warm_s=200.0) for seed in range(12)
    ]
    truths = mmc_mean_wait_s(3, 10.0, 0.25), mmc_mean_wait_s(1, 10.0, 0.08)
    for service, truth in enumerate(truths):
        found = measured([wait_s(world, 1 + service) for world in worlds])
        assert found.agrees(truth, sharp=0.03)


def test_a_slot_is_held_while_its_request_is_downstream():
    """Loss of M/G/c/c with the holding time of both (Erlang B; insensitive to its distribution)."""
    setup = behind(10.0, 2_000, Downstream(5000, {"request": 0.7}))
    setup = replace(
        setup, kinds=[Kind("request", Exponential(0.3))], fleet=Fleet(slots=12, bound=0)
    )
    lost = measure(setup, lambda w: total(w, "queue-bound") / total(w, "offered"), warm_s=50.0)
    assert lost.agrees(erlang_b(12, 10.0), sharp=0.05)


def test_classes_that_need_no_service_do_not_go_there():
    kinds = [Kind("browse", QUICK), Kind("pay", QUICK)]
    walk = np.zeros((3, 2))
    walk[-1] = 0.7, 0.3
    setup = Setup(kinds, np.full(500, 20.0), WIDE, walk,
                  downstream=[Downstream(5000, {"pay": 0.5})])  # fmt: skip
    world = simulate_until(setup, 500.0)
    assert latency_s(world, 0) == pytest.approx(QUICK.mean_s)
    # 3,000 exponential times
    assert latency_s(world, 1) == pytest.approx(0.501, rel=4 / math.sqrt(3000))


@pytest.mark.parametrize("finishes", [True, False])
def test_a_call_is_given_up_at_its_timeout_in_the_queue_or_in_service(finishes):
    """No request holds a slot of its server for longer than its own work and the timeout."""
    service = Downstream(2, {"request": FOREVER_S}, timeout_s=0.5, finishes=finishes)
    world = simulate_until(behind(10.0, 200, service), 200.0)
    assert total(world, "good") == 0
    assert total(world, "downstream") == total(world, "attempts") - inside(world, "waiting")
    held = mean_inside(world, "queued downstream", 200) + mean_inside(
        world, "served downstream", 200
    )
    assert held == pytest.approx(total(world, "attempts") / 200 * 0.5, rel=0.005)
    # who finishes what it has begun serves the first two for ever
    assert inside(world, "unawaited downstream") == (2 if finishes else 0)


def test_a_full_service_refuses_at_once():
    """M/M/c/c downstream: Erlang B."""
    service = Downstream(12, {"request": 1.0}, bound=0)
    lost = measure(
        behind(10.0, 2_000, service),
        lambda w: total(w, "downstream") / total(w, "offered"),
        warm_s=50.0,
    )
    assert lost.agrees(erlang_b(12, 10.0), sharp=0.05)


def test_errors_of_a_service_come_at_its_share_and_in_an_outage_at_another():
    service = Downstream(
        5000, {"request": 0.01}, fails=0.1, ill_from_s=100.0, ill_until_s=200.0, slower=20.0,
        ill_fails=0.5,
    )  # fmt: skip
    world = simulate_until(behind(100.0, 300, service), 300.0)
    failed = per_second(world, "downstream")
    for first, share in ((0, 0.1), (101, 0.5), (202, 0.1)):
        asked = per_second(world, "attempts")[first : first + 98].sum()
        off = 4 * math.sqrt(asked * share * (1 - share)) + 40  # and those on their way
        assert failed[first : first + 98].sum() == pytest.approx(asked * share, abs=off)
    latency = world.tables["latency"].sum(axis=1)
    assert np.argmax(latency[110:190].sum(axis=0)) > np.argmax(latency[:90].sum(axis=0)) + 20


def dead(breaker: Breaker, rate_rps: float = 20.0) -> World:
    service = Downstream(
        5000, {"request": FOREVER_S}, timeout_s=1.0, finishes=False, breaker=breaker
    )
    return simulate_until(behind(rate_rps, 3_000, service), 3_000.0)


@pytest.mark.parametrize("probes", [1, 4])
def test_an_open_breaker_lets_through_one_round_of_probes_per_pause(probes):
    """Cycle: the pause, the wait for the first call 1/λ, its timeout; meanwhile n probes go.

    The n-th call comes before the first one times out: 20/s against 1 s.
    """
    breaker = Breaker(least=10, open_s=4.0, probes=probes)
    world = dead(breaker)
    cycle_s = 4.0 + 1 / 20 + 1.0
    tried = total(world, "attempts") - total(world, "circuit-breaker")
    # at first all calls of one second, until ten have failed
    assert tried == pytest.approx(probes * 3000 / cycle_s + 20 + 10, rel=0.03)
    assert int(world.tables["guards"]["opened"][1, 0]) == pytest.approx(3000 / cycle_s, abs=4)


@pytest.mark.parametrize(("stations", "callers"), [(4, 1), (1, 4)])
def test_each_server_has_a_breaker_of_its_own(stations, callers):
    """The cycle of one, with a quarter of the calls: 1/λ is four times as long, and so is n·probes.

    At first each of them sends calls until ten have failed, two seconds' and one on their way.
    """
    breaker = Breaker(least=10, open_s=4.0, probes=1)
    service = Downstream(
        5000, {"request": FOREVER_S}, timeout_s=1.0, finishes=False, breaker=breaker
    )
    setup = behind(20.0, 3_000, service, fleet=Fleet(stations, 5000), callers=callers)
    world = simulate_until(setup, 3_000.0)
    cycle_s = 4.0 + 4 / 20 + 1.0
    opened = world.tables["guards"]["opened"][1]
    assert len(opened) == 4
    # the waits for a call are exponential, and vary by their mean: sqrt(577)·0.2/5.2 is 1
    assert opened == pytest.approx(3000 / cycle_s, abs=6)
    tried = total(world, "attempts") - total(world, "circuit-breaker")
    assert tried == pytest.approx(opened.sum() + 4 * 15, abs=4 * 8)


def test_a_window_with_too_few_calls_opens_no_breaker():
    """20 calls/s fail; a server of eight sees 2.5/s of them, and 25 in ten seconds."""
    shared, few, longer = (
        simulate_until(
            behind(
                20.0, 300,
                Downstream(5000, {"request": 0.01}, fails=1.0,
                           breaker=Breaker(least=20, window_s=window_s)),
                callers=callers,
            ), 300.0,
        )
        for callers, window_s in ((0, 2.0), (8, 2.0), (8, 30.0))
    )  # fmt: skip
    assert total(shared, "circuit-breaker") > 0.5 * total(shared, "attempts")
    assert total(few, "circuit-breaker") == 0
    assert (longer.tables["guards"]["opened"][1] > 0).all()


def test_the_breaker_of_one_server_is_that_of_the_fleet():
    service = Downstream(5, {"request": 0.1}, timeout_s=0.5, breaker=Breaker(slow_s=0.2))
    alone, shared = (
        simulate_until(behind(80.0, 200, service, callers=callers), 200.0) for callers in (1, 0)
    )
    assert total(alone, "circuit-breaker") > 100
    for name in ("counts", "visits", "latency", "sums"):
        assert alone.tables[name].tobytes() == shared.tables[name].tobytes()


def test_without_a_breaker_every_call_waits_for_the_timeout():
    with_one, without = dead(Breaker(least=10, open_s=4.0)), dead(Breaker(least=10**9))
    assert total(without, "circuit-breaker") == 0
    assert mean_inside(without, "served downstream", 3000) == pytest.approx(20.0, rel=0.02)
    assert mean_inside(with_one, "served downstream", 3000) < 5


def test_a_breaker_of_a_healthy_service_stays_closed_and_of_a_healed_one_closes():
    service = Downstream(
        5000, {"request": 0.01}, timeout_s=1.0, ill_from_s=50.0, ill_until_s=100.0, ill_fails=1.0,
        breaker=Breaker(slow_s=0.2),
    )  # fmt: skip
    world = simulate_until(behind(50.0, 200, service), 200.0)
    cut = per_second(world, "circuit-breaker")
    assert cut[:50].sum() == 0
    assert cut[55:100].sum() > 0.9 * per_second(world, "attempts")[55:100].sum()
    # at most a pause after the end of the outage, and the second in which it is tried
    assert cut[106:].sum() == 0
    assert per_second(world, "good")[106:].sum() == per_second(world, "attempts")[106:].sum()


def test_a_breaker_that_counts_slow_calls_opens_when_they_are_half_of_all():
    """Exponential times: P(S > slow) = e^{-slow/mean}, 0.61 opens, 0.37 does not."""
    for slow_s, opens in ((0.05, True), (0.1, False)):
        service = Downstream(5000, {"request": 0.1}, breaker=Breaker(slow_s=slow_s, least=200))
        world = simulate_until(behind(100.0, 100, service), 100.0)
        assert (total(world, "circuit-breaker") > 0) is opens


def test_the_breaker_of_the_gateway_gives_full_servers_time_to_drain():
    fleet = Fleet(slots=10)
    setup = replace(one_class(150.0, 120, Exponential(0.1), fleet, patience_s=2.0))
    opened = simulate_until(replace(setup, breaker=Breaker(slow_s=2.0)), 120.0)
    endured = simulate_until(setup, 120.0)
    assert total(endured, "good") < 0.1 * total(endured, "offered")
    assert total(opened, "good") > 4 * total(endured, "good")
    assert total(opened, "cut_off") == total(opened, "circuit-breaker") > 0


def test_back_pressure_keeps_a_queue_between_its_marks():
    """Turned away in front, no call waits in vain; the queue exceeds the mark by none.

    The servers take a millisecond, so that what is under way meanwhile is at most a few calls.
    """
    service = Downstream(5, {"request": 0.1}, full_at=(40, 20))
    world = simulate_until(behind(100.0, 300, service), 300.0, warm_s=50.0)
    levels = world.tables["levels"][60:, :, 10].sum(axis=1)
    assert 15 <= levels.min() <= levels.max() <= 43
    assert total(world, "back-pressure") / 250 == pytest.approx(50.0, rel=0.05)
    assert total(world, "good") / 250 == pytest.approx(50.0, rel=0.03)


def test_the_highest_class_is_turned_away_only_above_the_high_mark():
    kinds = [Kind("pay", QUICK), Kind("browse", QUICK, priority=1)]
    walk = np.zeros((3, 2))
    walk[-1] = 0.2, 0.8
    service = Downstream(5, {"pay": 0.1, "browse": 0.1}, full_at=(40, 20))
    setup = Setup(kinds, np.full(300, 100.0), WIDE, walk, downstream=[service])
    world = simulate_until(setup, 300.0)
    turned_away = [total(world, "back-pressure", kind) for kind in (0, 1)]
    assert turned_away[0] < 0.1 * total(world, "offered", 0)
    assert turned_away[1] > 0.5 * total(world, "offered", 1)


@pytest.mark.parametrize("guard", ["breaker", "pressure"])
def test_a_class_with_a_cheap_answer_gets_it_instead_of_a_refusal(guard):
    """Nothing is refused for a guard; the cheap answer costs its share of the service."""
    kind = Kind("browse", Deterministic(0.1), degraded=0.25)
    service = Downstream(
        5, {"browse": FOREVER_S}, timeout_s=0.5, finishes=False,
        breaker=Breaker(least=5, probes=1) if guard == "breaker" else None,
        full_at=(1, 0) if guard == "pressure" else None,
    )  # fmt: skip
    world = simulate_until(
        Setup([kind], np.full(200, 50.0), WIDE, downstream=[service]), 200.0, warm_s=20.0
    )
    assert total(world, "circuit-breaker") == total(world, "back-pressure") == 0
    assert total(world, "degraded") > 0.6 * total(world, "attempts")
    assert total(world, "good") == pytest.approx(total(world, "degraded"), abs=60)
    # by a breaker it is known only when the server has done its work
    cost = 0.1 if guard == "breaker" else 0.025
    assert latency_s(world) == pytest.approx(cost, rel=1e-6)
