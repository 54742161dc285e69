"""Servers over time: the trajectory of the autoscaler, schedules, and that nobody is lost."""

from dataclasses import replace

import numpy as np
import pytest

from capplan.model.autoscaler import HPA, TARGET_TRACKING
from capplan.model.service_time import Exponential
from capplan.simulate.kernel.scaling import Scaling
from capplan.simulate.kernel.setup import Fleet, Setup, simulate_until
from capplan.simulate.kernel.world import World
from tests.simulate.builders import mean_inside, one_class, per_second, total

POD_RPS, SLOTS = 100.0, 10
SERVICE = Exponential(SLOTS / POD_RPS)


def jump(scaling: Scaling, to_rps: float = 10_000.0, seconds: int = 300) -> Setup:
    """600 requests/s, at which ten pods are 60 % busy; from second 15 on more."""
    rates = np.full(seconds, to_rps)
    rates[:15] = 600.0
    setup = one_class(0.0, seconds, SERVICE, Fleet(slots=10 * SLOTS, bound=200))
    return replace(setup, visits_per_s=rates, scaling=scaling)


def servers(world: World) -> list[tuple[int, int]]:
    """From which second on there were how many."""
    series = world.tables["servers"].tolist()
    return [(t, n) for t, n in enumerate(series) if t == 0 or n != series[t - 1]]


def test_the_autoscaler_takes_225_s_for_the_jump_and_loses_1_41_million_requests():
    """The worked case: 30 s to start a pod, 60 % of CPU, which cannot exceed 100 %."""
    scaling = Scaling(10, 1000, by=HPA, target=0.6, start_s=30.0)
    world = simulate_until(jump(scaling), 300.0)
    # the pods work at 99.9 % in the simulation: a count may be one less than that of the formula
    found = servers(world)
    assert [t for t, _ in found[:6]] == [0, 60, 105, 150, 195, 240]
    for (_, count), truth in zip(found[:6], (10, 17, 29, 49, 82, 137), strict=True):
        assert count == pytest.approx(truth, abs=1)
    # Poisson: 3,000,000 requests vary by 1,700; the queue holds some back
    assert total(world, "queue-bound") == pytest.approx(1_408_500, rel=0.01)


def test_scaling_on_requests_sees_the_whole_jump_and_is_there_sooner():
    by_cpu = Scaling(10, 1000, by=HPA, target=0.6, start_s=30.0)
    by_requests = replace(by_cpu, metric="requests", target=0.6 * POD_RPS)
    slow, quick = (simulate_until(jump(one), 300.0) for one in (by_cpu, by_requests))
    # at most doubled per sync, but asked for again while the last ones still start
    assert [n for _, n in servers(quick)][:3] == [10, 20, 40]
    assert total(quick, "queue-bound") < 0.6 * total(slow, "queue-bound")


def test_target_tracking_needs_three_minutes_of_load_and_then_goes_all_the_way():
    scaling = Scaling(10, 1000, by=TARGET_TRACKING, metric="requests", target=60.0, start_s=30.0)
    world = simulate_until(jump(scaling, seconds=420), 420.0)
    first, second = servers(world)[:2]
    assert first == (0, 10)
    assert 180 + 30 <= second[0] <= 240 + 30
    # the smallest of what three looks want: the first one saw 15 s of the old load
    assert second[1] == pytest.approx((600 * 15 + 10_000 * 45) / 60 / 60, rel=0.02)


def test_servers_that_are_started_ahead_are_there_at_their_time():
    world = simulate_until(jump(Scaling(10, 10, prescaled=110, ready_s=15.0)), 60.0)
    assert servers(world) == [(0, 10), (15, 110)]
    # 10,000 rps are 91 % of 110 pods
    assert total(world, "queue-bound") < 0.001 * total(world, "offered")


def test_a_fleet_that_shrinks_finishes_what_it_has_begun():
    rates = np.full(900, 100.0)
    rates[:300] = 2_000.0
    scaling = Scaling(10, 40, by=HPA, target=0.6, start_s=30.0)
    setup = replace(jump(scaling, seconds=900), visits_per_s=rates)
    world = simulate_until(setup, 900.0)
    assert max(n for _, n in servers(world)) > 30
    assert servers(world)[-1][1] == 10
    kept = world.tables["layers"]["inside"][:, :2].sum()
    assert total(world, "attempts") == total(world, "served") + total(world, "queue-bound") + kept


@pytest.mark.parametrize("count", [1, 10])
def test_a_fleet_of_one_queue_or_of_many_has_its_servers(count):
    """Load 0.6 of the fleet after it has grown to 20; Erlang's mean number in service."""
    fleet = Fleet(count, slots=50 // count, balance="round robin")
    scaling = Scaling(10, 10, prescaled=20, ready_s=50.0)
    setup = replace(one_class(60.0, 450, Exponential(1.0), fleet), scaling=scaling)
    world = simulate_until(setup, 450.0, warm_s=100.0)
    assert mean_inside(world, "served", 350) == pytest.approx(60.0, rel=0.03)
    assert (per_second(world, "served")[100:].mean()) == pytest.approx(60.0, rel=0.03)


def test_limits_that_follow_the_fleet_grow_with_it():
    scaling = Scaling(10, 10, prescaled=30, ready_s=10.0, follow=("token_rate",))
    setup = jump(scaling)
    setup = replace(setup, gateway=replace(setup.gateway, token_rate=900.0, token_burst=10.0))
    world = simulate_until(setup, 60.0)
    assert per_second(world, "served")[30:60].mean() == pytest.approx(2_700, rel=0.02)
