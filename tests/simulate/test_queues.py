"""The kernel against queueing theory: every law in its own small system.

Loads are 0.7 or less where a mean is compared: nearer to saturation a mean needs far longer runs.
"""

import math
from functools import partial

import numpy as np
import pytest

from capplan.model.finite_queue import met
from capplan.model.queueing import erlang_b, erlang_c, mmc_mean_wait_s, mmc_sojourn_quantile_s
from capplan.model.service_time import Deterministic, Exponential, Hyperexponential, Lognormal
from capplan.simulate.kernel.setup import Fleet, Kind, Setup, simulate_until
from capplan.simulate.kernel.tally import bin_ends_s
from tests.simulate.builders import (
    Measured,
    latency_s,
    mean_inside,
    measure,
    one_class,
    total,
    wait_s,
)

WARM_S = 500.0
MANY = 4000  # slots: more than are ever busy at these loads


@pytest.mark.parametrize(("servers", "load"), [(1, 0.5), (1, 0.7), (2, 1.4), (10, 7.0)])
def test_the_wait_in_mmc_is_erlangs(servers, load):
    setup = one_class(load, 20_000, fleet=Fleet(slots=servers))
    waits = measure(setup, wait_s, warm_s=WARM_S)
    assert waits.agrees(mmc_mean_wait_s(servers, load, 1.0), sharp=0.02)


@pytest.mark.parametrize(
    ("service", "cv2"),
    [(Deterministic(1.0), 0.0), (Lognormal(1.0, 0.5), 0.25), (Hyperexponential(1.0, 1.5), 2.25)],
    ids=["M/D/1", "lognormal", "hyperexponential"],
)
def test_the_wait_in_mg1_is_pollaczeks(service, cv2):
    load = 0.6
    waits = measure(one_class(load, 30_000, service), wait_s, warm_s=WARM_S)
    assert waits.agrees(load * (1 + cv2) / (2 * (1 - load)), sharp=0.02)


@pytest.mark.parametrize("service", [Deterministic(1.0), Hyperexponential(1.0, 2.0)], ids=str)
def test_processor_sharing_does_not_care_for_the_distribution(service):
    setup = one_class(0.6, 20_000, service, Fleet(slots=MANY, cores=1.0))
    assert measure(setup, latency_s, warm_s=WARM_S).agrees(1 / (1 - 0.6), sharp=0.02)


def test_one_queue_suffers_from_a_slow_share_and_shared_slots_do_not():
    slow = Hyperexponential(1.0, 2.0)
    queue = measure(one_class(0.6, 30_000, slow), latency_s, warm_s=WARM_S)
    assert queue.agrees(1 + 0.6 * (1 + 4) / (2 * 0.4), sharp=0.04)  # 4.75 against 2.5


@pytest.mark.parametrize(("places", "load"), [(4, 0.8), (4, 2.0), (0, 0.7)])
def test_a_bounded_queue_refuses_the_share_of_mmck(places, load):
    setup = one_class(load, 20_000, fleet=Fleet(bound=places))
    refused = measure(setup, lambda w: total(w, "queue-bound") / total(w, "offered"), warm_s=50.0)
    assert refused.agrees(float(met(1, places, load)[-1]), sharp=0.02)


def test_a_bounded_queue_holds_as_many_as_mmck():
    """The worked value: c = 1, K = 5, load 0.8: 1.868332 in the system."""
    setup = one_class(0.8, 20_000, fleet=Fleet(bound=4))
    held = measure(
        setup,
        lambda w: mean_inside(w, "queued", 19_950) + mean_inside(w, "served", 19_950),
        warm_s=50.0,
    )
    assert held.agrees(1.868332)


@pytest.mark.parametrize(("servers", "load"), [(10, 10.0), (100, 90.0)])
def test_without_a_queue_the_loss_is_erlang_b(servers, load):
    setup = one_class(load, 5_000, fleet=Fleet(slots=servers, bound=0))
    lost = measure(setup, lambda w: total(w, "queue-bound") / total(w, "offered"), warm_s=50.0)
    assert lost.agrees(erlang_b(servers, load), sharp=0.02)


def test_separate_queues_wait_as_mm1_where_a_pool_waits_as_mmc():
    load = 0.7
    apart = measure(
        one_class(10 * load, 4_000, fleet=Fleet(count=10, balance="random")), latency_s,
        warm_s=WARM_S,
    )  # fmt: skip
    pooled = measure(one_class(10 * load, 4_000, fleet=Fleet(slots=10)), latency_s, warm_s=WARM_S)
    assert apart.agrees(1 / (1 - load), sharp=0.02)
    assert pooled.agrees(1 + erlang_c(10, 10 * load) / (10 * (1 - load)))


def test_the_less_a_balancer_leaves_to_chance_the_shorter_the_wait():
    def wait(balance: str) -> Measured:
        fleet = Fleet(count=10, balance=balance)
        return measure(one_class(7.0, 4_000, fleet=fleet), wait_s, warm_s=WARM_S, runs=8)

    chance, turns, least = (wait(name) for name in ("random", "round robin", "least connections"))
    pool = measure(one_class(7.0, 4_000, fleet=Fleet(slots=10)), wait_s, warm_s=WARM_S, runs=8)
    assert chance.mean > 1.2 * turns.mean > 1.2 * 1.2 * least.mean
    assert least.mean > pool.mean


@pytest.mark.parametrize(
    ("each", "truths"),
    [
        (0.2, (0.6 / 0.8, 0.6 / (0.8 * 0.6), 0.6 / (0.6 * 0.4))),
        # together 1.2: the server never rests, and the residual is that of the service in progress
        (0.4, (1 / 0.6, 1 / (0.6 * 0.2), None)),
    ],
    ids=["stable", "overloaded"],
)
def test_priorities_wait_as_cobham_says(each, truths):
    kinds = [Kind(name, Exponential(1.0), priority=p) for p, name in enumerate("abc")]
    walk = np.zeros((4, 3))
    walk[-1] = 1 / 3
    setup = Setup(kinds, np.full(30_000, 3 * each), walk=walk)
    for kind, truth in enumerate(truths):
        if truth is not None:
            waits = measure(setup, partial(wait_s, kind=kind), warm_s=2_000.0, runs=12)
            assert waits.agrees(truth, sharp=0.06 if truth > 5 else 0.02)


def test_percentiles_come_from_the_histogram_within_a_bin():
    setup = one_class(0.7, 400_000)
    world = simulate_until(setup, 400_000.0, warm_s=WARM_S)
    cumulative = world.tables["latency"].sum(axis=(0, 1)).cumsum()
    for quantile in (0.5, 0.95, 0.99):
        end_s = bin_ends_s()[np.searchsorted(cumulative, quantile * cumulative[-1])]
        truth_s = mmc_sojourn_quantile_s(1, 0.7, 1.0, quantile)
        # a bin is a ninth wide; 3 % more for the sampling error of a p99 at this load and length
        assert truth_s / 1.03 <= end_s <= truth_s * 2 ** (1 / 6.5) * 1.03


@pytest.mark.parametrize("patience_s", [2.0, 5.0])
def test_clients_of_fixed_patience_time_out_as_often_as_mm1_is_slower(patience_s):
    """Nobody notices that they left, so the queue is M/M/1 and P(T > t) = e^{-(μ-λ)t}."""
    setup = one_class(0.6, 20_000, patience_s=patience_s)
    late = measure(setup, lambda w: total(w, "timed_out") / total(w, "offered"), warm_s=WARM_S)
    assert late.agrees(math.exp(-0.4 * patience_s), sharp=0.04)


def test_restless_clients_leave_as_the_transform_of_the_sojourn_says():
    """P(Exp(θ) < T) = 1 - E[e^{-θT}] = θ/(μ - λ + θ), with T exponential of rate μ - λ."""
    setup = one_class(0.6, 20_000, restless_s=4.0)
    left = measure(setup, lambda w: total(w, "timed_out") / total(w, "offered"), warm_s=WARM_S)
    assert left.agrees(0.25 / (0.4 + 0.25), sharp=0.02)


def test_the_orbit_of_mm1_with_retrials_is_known():
    """E[orbit] = ρ²/(1-ρ)·(1 + μ/θ) (G. Falin, J. Templeton 1997); here ρ = 0.5, θ = 0.5."""
    setup = one_class(
        0.5, 20_000, fleet=Fleet(bound=0), attempts=10**6, pause_s=2.0, growth=1.0, memoryless=True
    )
    orbit = measure(setup, lambda w: mean_inside(w, "pausing", 19_500), warm_s=WARM_S)
    assert orbit.agrees(0.25 / 0.5 * (1 + 2), sharp=0.03)
