"""Connections that answer in order, and what a slow request does to those behind it."""

from dataclasses import replace

import numpy as np
import pytest

from capplan.model.queueing import mmc_mean_wait_s
from capplan.model.service_time import Exponential, ServiceTime, TwoSpeeds
from capplan.simulate.kernel.describe import Fleet, Kind, Setup
from capplan.simulate.kernel.setup import simulate_until
from tests.simulate.builders import inside, latency_s, measure, one_class, total, wait_s

SLOW = TwoSpeeds(0.02, slow=0.05, factor=30.0)
WIDE = Fleet(slots=1000)


def pk_wait_s(rate_rps: float, service: ServiceTime) -> float:
    """M/G/1: ρ(1 + cv²)S / (2(1 - ρ)) (F. Pollaczek 1930, A. Khinchine 1932)."""
    rho = rate_rps * service.mean_s
    return rho * (1 + service.cv**2) * service.mean_s / (2 * (1 - rho))


@pytest.mark.parametrize("service", [Exponential(0.02), SLOW], ids=["exponential", "two speeds"])
def test_k_connections_in_order_are_k_queues_with_one_server_each(service):
    """Dealt out at random a Poisson stream is Poisson on each; servers are always to be had."""
    connections, rate_rps = 4, 120.0
    setup = replace(one_class(rate_rps, 3000, service, WIDE), connections=connections)
    waits = measure(setup, wait_s, warm_s=100.0, runs=12)
    assert waits.agrees(pk_wait_s(rate_rps / connections, service), sharp=0.03)


def test_multiplexed_the_same_servers_keep_nobody_waiting():
    setup = one_class(120.0, 500, SLOW, WIDE)
    assert wait_s(simulate_until(setup, 500.0)) == 0
    in_order = simulate_until(replace(setup, connections=4), 500.0)
    assert latency_s(in_order) > 3 * SLOW.mean_s


def test_the_ways_to_share_servers_stand_in_their_known_order():
    """With slow requests: in order on few connections, a queue per server, one queue, sharing.

    M/G/1-PS of a fleet as one processor is not held up at all: S/(1 - ρ) whatever the variance.
    """
    rate_rps, servers = 120.0, 4
    fifo = one_class(rate_rps, 2000, SLOW, Fleet(slots=servers))
    ways = [
        replace(fifo, connections=servers),
        replace(fifo, fleet=Fleet(count=servers, slots=1)),
        fifo,
        replace(fifo, fleet=Fleet(slots=1000, cores=float(servers))),
    ]
    mean_s = [measure(way, latency_s, warm_s=100.0, runs=6).mean for way in ways]
    # as many connections as servers, dealt out at random, are a queue per server
    assert mean_s[0] == pytest.approx(mean_s[1], rel=0.1)
    assert mean_s[1] > 2 * mean_s[2] > 2 * mean_s[3]
    assert mean_s[3] == pytest.approx(
        SLOW.mean_s + mmc_mean_wait_s(servers, rate_rps, SLOW.mean_s), rel=0.05
    )


def test_two_speeds_keep_the_mean_and_make_it_scatter():
    sample = SLOW.sample(np.random.default_rng(1), 400_000)
    assert sample.mean() == pytest.approx(SLOW.mean_s, rel=4 * SLOW.cv / 400_000**0.5)
    assert sample.std() / sample.mean() == pytest.approx(SLOW.cv, rel=0.03)
    assert SLOW.tail(0.1) == pytest.approx((sample > 0.1).mean(), abs=0.002)


def test_a_bound_is_that_of_all_connections_and_a_timeout_counts_there_too():
    fleet = Fleet(slots=1000, bound=40, patience_s=1.0)
    setup = replace(one_class(100.0, 300, Exponential(0.1), fleet), connections=4)
    world = simulate_until(setup, 300.0)
    assert world.tables["levels"][:, :, 9].sum(axis=1).max() <= 40
    assert total(world, "queue-bound") > 0.4 * total(world, "attempts")
    # 10 places behind 100 ms each: now and then it takes a second
    assert total(world, "queue-timeout") > 0
    assert inside(world, "queued") == 0


def test_the_path_does_not_change_who_comes():
    """Common random numbers: the choice of a connection draws from a stream of its own."""
    kind = Kind("request", Exponential(0.01))
    setup = Setup([kind], np.full(100, 50.0), Fleet(count=3, slots=1))
    plain, wired = (simulate_until(replace(setup, connections=n), 100.0) for n in (0, 500))
    assert (plain.tables["visits"][:, 0] == wired.tables["visits"][:, 0]).all()
