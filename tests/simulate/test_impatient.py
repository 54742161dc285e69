"""Clients that reload, and clients that hold back what would not be answered."""

import math
from dataclasses import replace

import numpy as np
import pytest

from capplan.model.service_time import Deterministic
from capplan.simulate.kernel.describe import Bots, Fleet, Gateway, Kind, Setup
from capplan.simulate.kernel.setup import simulate_until
from tests.simulate.builders import inside, one_class, total

WIDE = Fleet(slots=5000)


def test_who_reloads_asks_as_often_as_the_answer_lasts_longer_than_he_waits():
    """Each of n reloads comes with q = 1 - e^{-S/r}: q + q² + ... + qⁿ of them on average."""
    service_s, reload_s, times, share = 1.0, 1.5, 3, 0.3
    setup = one_class(100.0, 1000, Deterministic(service_s), WIDE, patience_s=20.0, eager=share,
                      reload_s=reload_s, reloads=times)  # fmt: skip
    world = simulate_until(setup, 1000.0)
    q = 1 - math.exp(-service_s / reload_s)
    more = share * sum(q**n for n in range(1, times + 1))
    offered = total(world, "offered")
    extra = total(world, "attempts") - offered
    # variance of one request's reloads is below n·mean
    assert extra == pytest.approx(more * offered, abs=4 * math.sqrt(times * more * offered))
    # a reload is no retry: all are answered in the end, also with one attempt
    assert total(world, "good") == offered - inside(world, "waiting") - inside(world, "pausing")
    # the servers work on what nobody waits for
    assert total(world, "served") > 1.1 * total(world, "good")


def test_nobody_reloads_where_nobody_has_to_wait():
    setup = one_class(100.0, 100, Deterministic(0.0001), WIDE, eager=1.0, reload_s=2.0, reloads=5)
    world = simulate_until(setup, 100.0)
    assert total(world, "attempts") == pytest.approx(total(world, "offered"), abs=5)


@pytest.mark.parametrize("factor", [1.1, 2.0])
def test_clients_that_hold_back_send_their_factor_times_what_is_accepted(factor):
    """In balance requests x (1 - p) = K x accepts (Site Reliability Engineering, ch. 21)."""
    accepted_rps, asked_rps = 20.0, 200.0
    setup = replace(
        one_class(asked_rps, 1500, Deterministic(0.01), WIDE),
        gateway=Gateway(token_rate=accepted_rps, token_burst=1.0), throttle=factor, throttle_s=30.0,
    )  # fmt: skip
    world = simulate_until(setup, 1500.0, warm_s=300.0)
    sent = total(world, "attempts") - total(world, "client-throttle")
    accepts = total(world, "good")
    # a Poisson stream leaves a part of the tokens unused at a low factor, so accepts are measured
    assert sent / accepts == pytest.approx(factor, rel=0.03)
    assert sent / 1200 < 0.5 * asked_rps


def test_clients_hold_back_nothing_while_they_are_answered():
    setup = replace(one_class(100.0, 300, Deterministic(0.01), WIDE), throttle=2.0)
    assert total(simulate_until(setup, 300.0), "client-throttle") == 0


def test_bots_hold_back_nothing():
    kinds = [Kind("browse", Deterministic(0.01)), Kind("flood", Deterministic(0.01), bot=True)]
    walk = np.zeros((3, 2))
    walk[-1, 0] = 1.0
    setup = Setup(kinds, np.full(200, 20.0), WIDE, walk, [Bots("flood", np.full(200, 200.0))],
                  gateway=Gateway(token_rate=20.0), throttle=1.5)  # fmt: skip
    world = simulate_until(setup, 200.0)
    assert total(world, "client-throttle", 0) > 0
    assert total(world, "client-throttle", 1) == 0
