"""What it costs to refuse at the WAF and at the gateway, against the law of costly rejection.

A desk that is always busy works on g calls that it lets through and λ - g that it refuses:
g + κ(λ - g) = μ. In t seconds n calls come, so that g·t = (μt - κn)/(1 - κ), up to the work that
lies before the desk: at most μ/2 calls, by half a second. Only n is random: Poisson.
"""

import math
from dataclasses import replace

import numpy as np
import pytest

from capplan.model.service_time import Deterministic
from capplan.simulate.kernel.describe import Bots, Edge, Fleet, Gateway, Kind, Setup
from capplan.simulate.kernel.desks import LONGEST_S
from capplan.simulate.kernel.setup import simulate_until
from capplan.simulate.kernel.world import World
from tests.simulate.builders import inside, mean_inside, measure, total

MU, SECONDS = 1000.0, 100
WIDE = Fleet(slots=5000)
QUICK = Deterministic(0.001)


def flood(rate_rps: float, **layers: object) -> World:
    setup = Setup([Kind("request", QUICK)], np.full(SECONDS, rate_rps), WIDE)
    return simulate_until(replace(setup, **layers), float(SECONDS))  # type: ignore[arg-type]


def law(world: World, cost: float) -> tuple[float, float]:
    """How many get through by the law, and what may be missing: the work before the desk."""
    n = total(world, "attempts")
    return max((MU * SECONDS - cost * n) / (1 - cost), 0.0), MU * LONGEST_S / (1 - cost) + 2


@pytest.mark.parametrize("factor", [1.2, 2.0, 4.0, 6.0])
@pytest.mark.parametrize("layer", ["gateway", "edge"])
def test_a_flood_eats_what_a_desk_lets_through_by_the_law(layer, factor):
    """Beyond μ/κ, five times what it carries, none gets through but the first half second's."""
    cost = 0.2
    one = {"gateway": Gateway, "edge": Edge}[layer](carries_rps=MU, refusal_cost=cost)
    world = flood(factor * MU, **{layer: one})
    expected, off = law(world, cost)
    assert total(world, "good") == pytest.approx(expected, abs=off)
    refused = total(world, "gateway-full" if layer == "gateway" else "waf-full")
    assert refused == total(world, "attempts") - total(world, "good") - inside(world, "waiting")


@pytest.mark.parametrize(("factor", "admitted"), [(2.0, 300.0), (4.5, 125.0)])
def test_a_limit_saves_the_gateway_until_its_refusals_alone_fill_it(factor, admitted):
    """A bucket of 300/s: 300 + 0.2·1700 < 1000; but (1000 - 0.2·4500)/0.8 = 125 of 4500/s."""
    cost = 0.2
    gateway = Gateway(token_rate=300.0, token_burst=30.0, carries_rps=MU, refusal_cost=cost)
    world = flood(factor * MU, gateway=gateway)
    n = total(world, "attempts")
    # four standard deviations of what came, by the law, and the work before the desk
    off = 4 * cost * math.sqrt(n) / (1 - cost) + MU * LONGEST_S / (1 - cost)
    assert total(world, "good") == pytest.approx(admitted * SECONDS, abs=off)
    assert (total(world, "gateway-full") > 0) == (factor > 4)


def test_bots_that_a_waf_refuses_take_from_people_what_refusing_costs():
    """g + κ(λ_bots + λ - g) = μ, where people alone would have been served."""
    kinds = [Kind("request", QUICK), Kind("flood", QUICK, bot=True)]
    cost, people, bots = 0.1, 800.0, 6000.0
    edge = Edge(waf_from_s=0.0, waf_catches=1.0, carries_rps=MU, refusal_cost=cost)
    setup = Setup(kinds, np.full(SECONDS, people), WIDE, edge=edge,
                  bots=[Bots("flood", np.full(SECONDS, bots))])  # fmt: skip
    attacked = simulate_until(setup, float(SECONDS))
    # a WAF that is full refuses whoever comes: bots and people alike
    expected, off = law(attacked, cost)
    assert total(attacked, "good") == pytest.approx(expected, abs=off)
    assert total(attacked, "waf") > 0.1 * total(attacked, "attempts", 1)
    alone = simulate_until(replace(setup, bots=[]), float(SECONDS))
    assert total(alone, "waf-full") == 0
    assert total(attacked, "good") < 0.6 * total(alone, "good")


def test_a_desk_is_a_queue_with_constant_work():
    """M/D/1, its service included: s + ρs/(2(1 - ρ)), by Little's law with what is inside."""
    mu, rho = 100.0, 0.7
    setup = Setup([Kind("request", QUICK)], np.full(2000, rho * mu), WIDE,
                  gateway=Gateway(carries_rps=mu))  # fmt: skip
    held = measure(setup, lambda w: mean_inside(w, "gateway", 1980), warm_s=20.0, runs=12)
    assert held.agrees(rho + rho**2 / (2 * (1 - rho)))
    setup = replace(setup, gateway=Gateway(), edge=Edge(carries_rps=mu))
    held = measure(setup, lambda w: mean_inside(w, "waf", 1980), warm_s=20.0, runs=12)
    assert held.agrees(rho + rho**2 / (2 * (1 - rho)))


def test_each_node_carries_its_part():
    one, four = (
        flood(3 * MU, gateway=Gateway(nodes, carries_rps=MU / nodes, refusal_cost=0.1))
        for nodes in (1, 4)
    )
    expected, off = law(one, 0.1)
    assert total(one, "good") == pytest.approx(expected, abs=off)
    assert total(four, "good") == pytest.approx(expected, abs=off)
    assert all(row["free_s"] >= SECONDS for row in four.tables["desks"][1:])


def test_where_deciding_is_free_nothing_changes():
    """A cost of refusals is a share of nothing; a desk that carries all adds its work alone."""
    limit = Gateway(most_inside=3, token_rate=400.0, token_burst=10.0)
    free, priced = (flood(2 * MU, gateway=replace(limit, refusal_cost=k)) for k in (0.0, 0.9))
    for name in ("counts", "visits", "latency", "sums"):
        assert free.tables[name].tobytes() == priced.tables[name].tobytes()
    assert inside(free, "gateway") == inside(free, "waf") == 0
