"""How requests reach the servers, and how a server shares itself out."""

import pytest

from capplan.simulate.acts import SURPRISE, Script, stage
from capplan.simulate.fleet import bounded, fleet
from capplan.simulate.kernel.setup import advance, build
from capplan.simulate.play import play
from tests.simulate.builders import wait_s
from tests.simulate.test_play import sale

NAMES = ("one queue", "least connections", "round robin", "random")


def played(factor: float, protections: tuple[str, ...] = (), **saleday: str):
    scene = sale(saleday, planned="10")
    return next(play(scene, [Script(SURPRISE, factor, False, 10, protections)], 1))


def test_the_less_a_balancer_leaves_to_chance_the_shorter_the_wait():
    waits = []
    for name in NAMES:
        scene = sale({"balancing": name}, planned="10")
        world = build(stage(scene, Script(SURPRISE, 2.0, False, 10, ()), 1))
        advance(world, float(scene.seconds))
        waits.append(wait_s(world))
    assert waits == sorted(waits)
    assert waits[-1] > 2 * waits[0]


def test_the_slots_are_the_same_however_they_are_dealt_out():
    for name in NAMES:
        scene = sale({"balancing": name})
        found = fleet(scene, 7)
        assert found.count * found.slots == 7 * scene.server.slots


def test_where_all_share_the_processors_nobody_waits_and_all_are_slow():
    apart, shared = (played(6.0, discipline=name) for name in ("fifo", "processor sharing"))
    assert apart.peak_queue > 100
    assert shared.peak_queue == 0
    assert max(shared.series.in_service) > max(apart.series.in_service)
    # overload is overload: what is finished in time is lost in both
    assert (apart.outcome == "held", shared.outcome == "held") == (False, False)


def test_a_bound_limits_how_many_share_the_processors():
    scene = sale({"discipline": "processor sharing"})
    found = bounded(fleet(scene, 5), 40, 1.0)
    assert (found.slots, found.cores, found.bound) == (
        5 * scene.server.slots + 40, 5 * scene.server.slots, 0,
    )  # fmt: skip
    bare, bound = (played(6.0, some, discipline="processor sharing")
                   for some in ((), ("queue-bound",)))  # fmt: skip
    assert bound.paid > bare.paid


def test_workers_share_the_processors_whether_it_is_said_or_not():
    said, unsaid = (
        fleet(sale({"workers": "50"} | more), 5)
        for more in ({"discipline": "processor sharing"}, {})
    )
    assert said == unsaid
    assert (said.slots, said.cores) == (250, 5 * sale().server.slots)


def test_who_waits_downstream_takes_no_processor_whether_workers_are_bounded_or_not():
    """So the calls come on top of the measured time, and the capacity stays as measured."""
    database = {"name": "database", "service_time": "20 ms", "slots": "500"}
    apart, shared, workers = (
        sale({"downstream": [database]} | more)
        for more in ({}, {"discipline": "processor sharing"}, {"workers": "50"})
    )
    works_s = [
        stage(scene, Script(SURPRISE, 1.0, False, 5, ()), 1).kinds[0].service.mean_s
        for scene in (apart, shared, workers)
    ]
    service_s = apart.server.service_s
    assert works_s == pytest.approx([service_s - 0.02, service_s, service_s])
    assert shared.held_s(5) == workers.held_s(5) == pytest.approx(apart.held_s(5) + 0.02)


def test_a_bound_is_dealt_out_with_the_queues():
    scene = sale({"balancing": "random"})
    assert bounded(fleet(scene, 5), 100, 1.0).bound == 20


@pytest.mark.parametrize("saleday", [
    {"balancing": "least connections"}, {"discipline": "processor sharing"},
], ids=str)  # fmt: skip
def test_such_a_fleet_is_scaled_as_well(saleday):
    scene = sale(saleday | {"limits": {"prescale": {"servers": "30"}}}, planned="10")
    plain, more = (next(play(scene, [Script(SURPRISE, 6.0, False, 10, some)], 1))
                   for some in ((), ("prescale",)))  # fmt: skip
    assert max(more.series.servers) == 30
    assert more.outcome == "held"
    assert plain.outcome != "held"
    auto = next(play(scene, [Script(SURPRISE, 6.0, False, 10, ("autoscale",))], 1))
    assert max(auto.series.servers) > 10
