"""From the plan's keys to services, breakers, back-pressure, connections and impatient clients."""

import io
import math
from typing import Any, cast

import pytest
from rich.console import Console

from capplan.errors import UsageError
from capplan.render import terminal
from capplan.results.simulation import Simulation
from capplan.simulate.acts import Script, stage
from capplan.simulate.kernel.describe import Breaker, Setup
from capplan.simulate.laws import laws
from capplan.simulate.play import play, simulation
from capplan.simulate.protections import settings
from capplan.simulate.scaled import shrink
from capplan.simulate.scene import Scene
from capplan.units import format_share
from tests.recommend import builders
from tests.simulate.test_play import sale

DATABASE = {"name": "database", "service_time": "20 ms", "slots": "16"}
PAYMENT = {"name": "payment", "service_time": "400 ms", "slots": "20", "calls": {"pay": "1"}}


def surprise(scene: Scene, *protections: str, factor: float = 2.0) -> Setup:
    return stage(scene, Script("surprise", factor, False, scene.planned, protections), 1)


def value(scene: Scene, protection: str, name: str) -> float:
    return next(
        one.value
        for one in settings(scene, scene.planned)
        if (one.protection, one.name) == (protection, name)
    )


def test_slots_follow_from_the_ceiling_of_the_same_name():
    """Little: calls per second times their time, whatever the ceiling is counted in."""
    for per, rate, slots in (
        ("request", "200/s", 200),
        ("visit", "10/s", 98),
        ("order", "10/s", 390),
    ):
        ceilings = [{"name": "database", "rate": rate, "per": per}]
        called = {"service_time": "500 ms", "calls": {"browse": "2", "cart": "1"}}
        day = {"workers": "90", "downstream": [{"name": "database"} | called]}
        (service,) = sale(day, ceilings=ceilings).services  # type: ignore[arg-type]
        # of 9.75 requests of a visit, and four visits to an order, 9 call it twice and 0.5 once
        calls_per_request = (2 * 9 + 0.5) / 9.75
        assert service.slots == math.ceil(slots * calls_per_request * 0.5)


def test_without_slots_and_without_a_ceiling_the_plan_is_refused():
    for ceilings in ([], [{"name": "database", "rate": "9/s", "per": "hot order"}]):
        unknown = sale({"downstream": [{"name": "database", "service_time": "5 ms"}]},
                       ceilings=ceilings)  # type: ignore[arg-type]  # fmt: skip
        with pytest.raises(UsageError, match="how many calls 'database' serves at once"):
            surprise(unknown)


def test_a_ceiling_that_takes_more_slots_than_a_plan_may_give_is_refused():
    called = {"service_time": "500 ms", "calls": {"browse": "1e9"}}
    absurd = sale(
        {"workers": "90", "downstream": [{"name": "database"} | called]},
        ceilings=[{"name": "database", "rate": "200/s", "per": "request"}],  # type: ignore[arg-type]
    )
    with pytest.raises(UsageError, match=r"'database' would serve 92,3.* calls at once"):
        surprise(absurd)


def test_the_measured_time_has_the_calls_in_it_unless_workers_wait_for_them():
    """The capacity stays as it was measured, either way."""
    held, waited_for = (
        sale({"downstream": [DATABASE]}),
        sale({"downstream": [DATABASE], "workers": "50"}),
    )
    service_s = held.server.service_s
    first, second = surprise(held), surprise(waited_for)
    assert first.kinds[0].service.mean_s == pytest.approx(service_s - 0.02)
    assert (first.fleet.slots, first.fleet.cores) == (5 * held.server.slots, math.inf)
    assert second.kinds[0].service.mean_s == pytest.approx(service_s)
    assert (second.fleet.slots, second.fleet.cores) == (250, 5 * held.server.slots)
    assert (
        held.capacity_rps(5)
        == waited_for.capacity_rps(5)
        == pytest.approx(5 * held.server.capacity_rps, rel=0.1)
    )


def test_calls_that_take_longer_than_the_request_as_measured_are_refused():
    with pytest.raises(UsageError, match="'pay' takes 27") as raised:
        surprise(sale({"downstream": [PAYMENT]}))
    assert "saleday.workers" in (raised.value.hint or "")


def test_the_capacity_is_that_of_the_tightest_layer():
    tight = sale({"workers": "50", "downstream": [PAYMENT | {"slots": "2"}]})
    # 2 slots of 400 ms carry 5 payments/s, one to 39 requests
    assert tight.capacity_rps(5) == pytest.approx(5 * 39)
    assert tight.sustained_rps(5) == pytest.approx(5 * 39)


def test_a_part_of_a_sale_has_its_part_of_what_is_behind():
    whole = sale({"workers": "50", "connections": "100", "downstream": [
        PAYMENT | {"queue": "50"}, DATABASE]})  # fmt: skip
    part, script = shrink(whole, Script("x", 2.0, False, 5, ("back-pressure",)), 0.2)
    setup = stage(part, script, 1)
    assert [one.slots for one in setup.downstream] == [4, 3]
    assert (setup.downstream[0].bound, setup.connections) == (10, 20)
    # 16 slots have no fifth: 3 quicker ones carry as much as 3.2
    assert setup.downstream[1].mean_s["browse"] == pytest.approx(0.02 * 3 / 3.2)
    assert part.behind_rps == pytest.approx(0.2 * whole.behind_rps)


def test_breakers_and_marks_follow_from_what_was_measured():
    scene = sale({"workers": "50", "downstream": [DATABASE, PAYMENT]})
    setup = surprise(scene, "circuit-breaker", "back-pressure")
    rate_rps = scene.sustained_rps(5)
    free = 250 - rate_rps * scene.held_s(5)
    # so many calls/s fill the free slots
    assert value(scene, "circuit-breaker", "slow database") == pytest.approx(free / rate_rps)
    # a payment in 39 requests: slower than clients wait
    assert value(scene, "circuit-breaker", "slow payment") == 3.0
    assert setup.breaker == Breaker(slow_s=3.0, least=100)
    first = setup.downstream[0].breaker
    assert first is not None
    assert first.slow_s == pytest.approx(free / rate_rps)
    # X x (T - p99 of S), and half of it
    high = int(16 / 0.02 * (3.0 - 0.02 * math.log(100)))
    assert setup.downstream[0].full_at == (high, int(high / 2))
    assert setup.full_at == (
        value(scene, "queue-bound", "places"), int(value(scene, "queue-bound", "places") / 2)
    )  # fmt: skip
    bare = surprise(scene)
    assert (bare.breaker, bare.full_at, bare.downstream[0].breaker) == (None, None, None)


def test_the_plan_sets_breakers_and_marks():
    limits = {"breaker": {"failures": "30%", "slow": "1 s", "window": "5 s", "least": "7",
                          "pause": "2 s", "probes": "3"},
              "back_pressure": {"high": "80", "low": "25%"}}  # fmt: skip
    scene = sale({"workers": "50", "limits": limits, "downstream": [DATABASE | {"queue": "9"}]})
    setup = surprise(scene, "circuit-breaker", "back-pressure")
    assert setup.downstream[0].breaker == setup.breaker == Breaker(1.0, 0.3, 5.0, 7, 2.0, 3)
    assert setup.full_at == (80, 20)
    assert setup.downstream[0].full_at == (9, 2)


def test_multiplex_takes_the_order_away():
    scene = sale({"connections": "40"})
    assert surprise(scene).connections == 40
    assert surprise(scene, "multiplex").connections == 0


def test_clients_reload_and_hold_back_as_the_plan_says():
    day = {"refreshers": {"share": "20%", "after": "1 s", "times": "3"}, "throttle": "1.5x",
           "slow": {"share": "5%", "factor": "20x"}}  # fmt: skip
    setup = surprise(sale(day))
    kind = setup.kinds[0]
    assert (kind.eager, kind.reload_s, kind.reloads, setup.throttle) == (0.2, 1.0, 3, 1.5)
    assert kind.service.mean_s == pytest.approx(sale().server.service_s)
    assert kind.service.cv > 2


def played(day: dict[str, Any], *protections: str, factor: float = 1.0) -> Any:
    scene = sale(day)
    script = Script("surprise", factor, False, scene.planned, protections)
    return scene, next(play(scene, [script], 1))


def test_a_slow_payment_provider_takes_the_shop_down_and_a_breaker_saves_it():
    """As planned, but payments hang for two minutes: browsing fails, too, for lack of slots."""
    outage = {"start": "1 min", "duration": "2 min", "slower": "1000x"}
    day = {"workers": "6", "downstream": [PAYMENT | {"outage": outage, "finishes": "no"}]}
    _, healthy = played({"workers": "6", "downstream": [PAYMENT]})
    _, bare = played(day)
    _, saved = played(day, "circuit-breaker")
    browse = [act.classes["browse"].served_ratio for act in (healthy, bare, saved)]
    assert browse[0] > 0.99
    assert browse[1] < 0.95
    assert browse[2] > 0.99
    assert saved.peak_queue < 0.1 * bare.peak_queue
    assert saved.paid > bare.paid
    assert saved.classes["pay"].rejected_by["circuit-breaker"] > 0


def test_what_a_guard_does_is_in_the_result():
    day = {"workers": "50", "downstream": [DATABASE | {"slots": "4"}], "classes": [
        {"name": "browse", "per_visit": "9", "degraded": "20%", "priority": "1"},
        {"name": "pay", "per_visit": "0.25", "priority": "0"}]}  # fmt: skip
    scene, act = played(day, "back-pressure", factor=3.0)
    assert act.classes["browse"].degraded > 100
    assert act.classes["pay"].degraded == 0
    result = simulation(scene, [act], builders.demand(), builders.provenance())
    assert "back-pressure" in {one.protection for one in result.settings}
    assert max(act.series.queue_downstream["database"]) > 0


def test_how_busy_a_service_was_is_in_the_result():
    outage = {"start": "1 min", "duration": "1 min", "failures": "100%"}
    day = {"workers": "50", "downstream": [DATABASE | {"slots": "4", "outage": outage}]}
    _, act = played(day, "circuit-breaker", factor=0.5)
    database = act.downstream["database"]
    assert (database.slots, database.service_s) == (4, 0.02)
    assert database.capacity_rps == pytest.approx(200)
    # at most 150 rps of 200; 10 s of Poisson arrivals scatter by a tenth at most
    assert 0.6 < database.busy < 0.95
    # of each of five servers once in the outage, and again each five seconds of its minute at most:
    # the breaker of the gateway opens as well, and then not every server gets a call to try
    assert 5 <= database.breaker_opened <= 5 * 13
    shared = day | {"limits": {"breaker": {"per": "fleet"}}}
    _, act = played(shared, "circuit-breaker", factor=0.5)
    assert 8 <= act.downstream["database"].breaker_opened <= 13
    assert max(act.series.in_service_downstream["database"]) <= 4


def test_breakers_of_servers_decide_by_what_a_server_sees():
    """A payment in 39 requests: a fifth of ten seconds' at each of five servers is 5 at least."""
    scene = sale({"workers": "50", "downstream": [DATABASE, PAYMENT]})
    setup = surprise(scene, "circuit-breaker")
    assert setup.callers == 5
    database, payment = (one.breaker for one in setup.downstream)
    assert database
    assert payment
    assert setup.breaker
    assert (database.least, database.probes) == (20, 1)
    seen = scene.sustained_rps(5) / 39 / 5 * 10
    assert 5 <= payment.least == max(int(seen / 5), 5) < 20
    assert (setup.breaker.least, setup.breaker.probes) == (100, 5)
    few = sale({"workers": "50", "downstream": [PAYMENT], "limits": {"breaker": {"least": "200"}}})
    (least,) = [one for one in settings(few, 5) if one.name == "least payment"]
    assert least.value == 200
    assert least.why.endswith("too few, so that it hardly ever opens")
    together = surprise(sale({"workers": "50", "downstream": [PAYMENT], "limits": {
        "breaker": {"per": "fleet"}}}), "circuit-breaker")  # fmt: skip
    assert together.callers == 0
    one = together.downstream[0].breaker
    assert one
    assert (one.least, one.probes) == (20, 5)


def test_a_gateway_with_a_capacity_is_a_layer_like_the_others():
    limits = {"gateway_nodes": "2", "gateway_capacity": "100 rps", "gateway_refusal_cost": "10%",
              "waf": {"capacity": "900 rps", "refusal_cost": "20%"}}  # fmt: skip
    scene = sale({"limits": limits})
    assert scene.capacity_rps(5) == scene.sustained_rps(5) == 200
    found = {one.name: one for one in laws(scene, ())}
    assert found["capacity, always busy"].formula == "μ of the gateway's 2 nodes"
    assert found["nothing passes the gateway"].value == 2000
    bare, walled = surprise(scene), surprise(scene, "waf")
    assert (bare.gateway.carries_rps, bare.gateway.refusal_cost) == (100, 0.1)
    assert (bare.edge.carries_rps, walled.edge.carries_rps) == (math.inf, 900)
    assert walled.edge.refusal_cost == 0.2
    part, _ = shrink(scene, Script("surprise", 5.0, False, 5, ()), 0.4)
    assert part.gateway_rps == pytest.approx(80)
    assert part.plan.saleday.limits.waf.capacity == pytest.approx(360)


def shown(result: Simulation) -> str:
    console = Console(file=io.StringIO(), width=80)
    console.print(terminal.show(result, "sale.yaml"))
    return cast("io.StringIO", console.file).getvalue()


def test_the_services_are_shown_below_the_acts_that_have_them():
    scene, act = played({"workers": "50", "downstream": [DATABASE]}, "circuit-breaker")
    result = simulation(scene, [act], builders.demand(), builders.provenance())
    lines = shown(result).splitlines()
    (row,) = [line for line in lines if line.startswith("surprise, protected")]
    assert row.split()[2:] == ["database", format_share(act.downstream["database"].busy), "0", "0"]
    assert "database: 16 slots of 20 ms carry 800 rps of the mix" in lines
    assert max(map(len, lines[1:])) <= 80
    scene, act = played({})
    bare = simulation(scene, [act], builders.demand(), builders.provenance())
    assert "Behind the servers" not in shown(bare)


def test_the_law_names_the_service_that_carries_least():
    scene = sale({"workers": "50", "downstream": [DATABASE, PAYMENT | {"slots": "2"}]})
    first = laws(scene, ())[0]
    assert first.formula == "μ = 2/10.3 ms of payment"
    assert first.value == pytest.approx(195)
    assert laws(sale(), ())[0].formula == "μ = N·c/S"


def test_limits_that_nodes_share_are_those_of_one_and_a_round_trip_away():
    limits = {"gateway_nodes": "4", "token_rate": "100 rps"}
    apart, shared = sale({"limits": limits}), sale({"limits": limits | {"shared": "5 ms"}})
    assert surprise(apart, "token-bucket").gateway.token_rate == 25
    found = surprise(shared, "token-bucket").gateway
    assert (found.nodes, found.token_rate, found.round_trip_s) == (1, 100, 0.005)
    assert surprise(shared, "queue-bound").gateway.round_trip_s == 0  # nobody asks there


def test_too_few_connections_are_noted():
    scene, act = played({"connections": "2"})
    result = simulation(scene, [act], builders.demand(), builders.provenance())
    (note,) = [one for one in result.notes if one.code == "few_connections"]
    assert "2 connections that answer in order carry 73.6 rps" in note.message
    scene, act = played({"connections": "200"})
    result = simulation(scene, [act], builders.demand(), builders.provenance())
    assert "few_connections" not in {one.code for one in result.notes}


def test_fewer_workers_than_were_at_work_when_it_was_measured_are_refused():
    with pytest.raises(UsageError, match="with 2 at once a server cannot finish what was measured"):
        surprise(sale({"workers": "2"}))


def test_workers_wait_for_a_place_where_the_queue_is_bounded():
    setup = surprise(sale({"workers": "50"}), "queue-bound")
    assert (setup.fleet.slots, setup.fleet.cores) == (250, 5 * sale().server.slots)
    assert 0 < setup.fleet.bound < 10_000


def test_multiplexing_without_connections_is_noted():
    scene, act = played({}, "multiplex")
    result = simulation(scene, [act], builders.demand(), builders.provenance())
    assert "nothing_to_multiplex" in {note.code for note in result.notes}
