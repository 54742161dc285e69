import numpy as np
import pytest

from capplan.estimate import forecast
from capplan.estimate.follow import traffic_of
from capplan.estimate.waiting_room import admission
from tests.estimate.builders import CERTAIN, SALE, USUAL, WHOLE, channel, demand_of, plan


def levers(some):
    return {lever.name: lever for lever in demand_of(some, 2000).levers}


def test_the_first_is_what_happens_without_any():
    demand = demand_of(plan(**WHOLE), 2000)
    assert demand.levers[0].name == "as planned"
    assert demand.levers[0].peak_rps == demand.peak_rps
    assert all(lever.servers is None for lever in demand.levers)


def test_a_cache_takes_its_share_of_the_peak():
    found = levers(plan(**WHOLE))
    for name, left in (("cache for 30% of requests", 0.7), ("cache for 60% of requests", 0.4)):
        assert found[name].peak_rps.p95 == pytest.approx(left * found["as planned"].peak_rps.p95)


def test_to_send_slowly_is_worth_what_the_plan_says_when_it_does_so():
    mail = channel(arrive="within 10 min", visits="0.5% to 2%")
    found = levers(plan(mail))
    for over in ("10 min", "30 min", "1 h"):
        adopted = demand_of(plan(mail | {"send_over": over}), 2000)
        lever = found[f"send over {over}"].peak_rps
        # the same draws: only the search for the peak, good to 1 %, differs
        assert (lever.p5, lever.p50, lever.p99) == pytest.approx(
            (adopted.peak_rps.p5, adopted.peak_rps.p50, adopted.peak_rps.p99), rel=0.01
        )


def test_to_send_slowly_never_raises_the_peak_whatever_the_second_estimate_says():
    # sent over an hour, fewer come within usual.within: that brings nobody else in their place
    some = plan(
        channel(channel="countdown", arrive="at the start"),
        channel(arrive="like an e-mail", visits="0.5% to 2%"),
        usual=USUAL | {"within": "30 min", "orders_per_day": "20"},
    )
    found = levers(some)
    before = found["as planned"].peak_rps
    for over in ("10 min", "30 min", "1 h"):
        # the peak of each draw is found to 1 %
        assert found[f"send over {over}"].peak_rps.p95 <= 1.01 * before.p95


def test_where_nothing_is_sent_there_is_no_such_lever():
    assert not [name for name in levers(plan(CERTAIN)) if name.startswith("send")]
    # and one that is sent over an hour already gains nothing
    slow = channel(arrive="within 10 min", send_over="60 min")
    assert not [name for name in levers(plan(slow)) if name.startswith("send")]


def test_a_waiting_room_holds_its_promise_and_lets_everybody_in():
    # 7,200 come at once, in effect; to let them in within 5 min takes 24 a second
    burst = plan(channel(arrive="within 1 s"), visit={"requests": "40", "duration": "10 min"})
    found = forecast(burst, 1, 10)
    traffic = traffic_of(found.inputs, slice(None))
    rates, highest = admission(found.inputs, traffic, 7200.0, 300.0)
    # what comes within one step of 5 s begins to wait at its end: 5 of 300 s
    assert rates == pytest.approx([24.0] * 10, rel=5 / 300)
    # admission lasts 5 min, visits 10: half of the requests a second of a steady state
    assert highest == pytest.approx([24 * 40 / 2] * 10, rel=0.03)


def test_a_waiting_room_changes_nothing_for_those_who_come_evenly():
    even = plan(CERTAIN)
    found = forecast(even, 1, 5)
    rates, highest = admission(found.inputs, traffic_of(found.inputs, slice(None)), 7200.0, 300.0)
    # 7,200 in 7,200 s, the last of whom may wait: V(T)/(T + D)
    assert rates == pytest.approx([7200 / 7500] * 5, rel=0.01)
    assert highest == pytest.approx([40 * 7200 / 7500] * 5, rel=0.02)


@pytest.mark.parametrize("longest_s", [60.0, 600.0])
def test_the_line_is_that_of_a_simulation_second_by_second(longest_s):
    found = forecast(plan(**WHOLE | {"sale": SALE | {"duration": "1 h"}}), 4, 20)
    traffic = traffic_of(found.inputs, slice(None))
    rates, _ = admission(found.inputs, traffic, 3600.0, longest_s)
    t_s = np.arange(0.0, 3600.0 + longest_s)
    coming = np.diff(traffic.begun(t_s), axis=1)
    for each, rate in zip(coming, rates, strict=True):
        longest, line = 0.0, 0.0
        for arrivals in each:
            line = max(line + arrivals - rate, 0.0)
            longest = max(longest, line / rate)
        # steps of 2.4 to 2.8 s against seconds
        assert longest == pytest.approx(longest_s, rel=0.02, abs=3.0)


def test_to_wait_longer_needs_less():
    found = levers(plan(**WHOLE))
    short, long = (found[f"waiting room of up to {wait} min"].peak_rps for wait in (5, 15))
    assert long.p95 < short.p95 < found["as planned"].peak_rps.p95
