import numpy as np
import pytest

from capplan.estimate.inputs import ALIKE
from tests.estimate.builders import CERTAIN, SALE, USUAL, WHOLE, channel, demand_of, plan


def variance(low: float, high: float) -> float:
    """Of the logarithm of an amount with this 90 % interval."""
    return float((np.log(high / low) / (2 * 1.6448536)) ** 2)


def test_factors_of_the_peak_share_its_variance_as_their_logarithms_do():
    # even visits: the peak is reach · share · requests / 7,200 s, whatever lasts how long
    visit = {"requests": "20 to 60", "duration": "5 min"}
    found = demand_of(plan(channel(reach="500k to 900k"), visit=visit), 8000).sensitivity
    requests, reach = variance(20, 60), variance(500, 900)
    assert [entry.input for entry in found] == ["visit.requests", "ads: reach"]
    # without interaction both indices agree; 1,024 quasi-random points are good to .02
    for entry, expected in zip(found, (requests, reach), strict=True):
        assert entry.share == pytest.approx(expected / (requests + reach), abs=0.02)
        assert entry.total == pytest.approx(expected / (requests + reach), abs=0.02)


def test_what_channels_have_in_common_is_an_input_of_its_own():
    two = [channel(channel=name, visits="1% to 3%") for name in "ab"]
    names = {entry.input: entry.total or 0 for entry in demand_of(plan(*two), 8000).sensitivity}
    assert set(names) == {ALIKE, "a: visits", "b: visits"}
    # at correlation .5 the common half moves both at once, each own half only one of two
    assert names[ALIKE] == pytest.approx(2 / 3, abs=0.04)
    apart = demand_of(plan(*two, audience_correlation="0%"), 8000).sensitivity
    assert {entry.input for entry in apart} == {"a: visits", "b: visits"}
    # one channel alone has nothing in common with any other
    alone = demand_of(plan(channel(visits="1% to 3%")), 8000).sensitivity
    assert [entry.input for entry in alone] == ["ads: visits"]
    assert alone[0].share == pytest.approx(1, abs=0.01)


def test_which_estimate_counts_acts_together_with_both():
    usual = USUAL | {"orders_per_day": "9 to 36"}
    found = {
        entry.input: entry for entry in demand_of(plan(CERTAIN, usual=usual), 8000).sensitivity
    }
    orders = found["usual.orders_per_day"]
    # it matters in half of the draws only: alone less than together with the choice
    assert orders.total is not None
    assert orders.share < 0.75 * orders.total


def test_the_list_says_in_words_what_to_find_out():
    found = demand_of(plan(**WHOLE), 4000).sensitivity
    words = {entry.input: entry.advice for entry in found}
    assert words["visit.requests"] == "count the requests of a visit in your access logs"
    mail = channel(channel="e-mail", visits="1% to 3%")
    (entry,) = demand_of(plan(mail), 2000).sensitivity
    assert entry.advice == "find out the e-mail click rate"
    assert all(entry.advice for entry in found if entry.input != "gusts")


def test_the_shares_are_sorted_and_are_shares():
    found = demand_of(plan(**WHOLE, gusts="0% to 10%"), 8000).sensitivity
    totals = [entry.total or 0 for entry in found]
    assert totals == sorted(totals, reverse=True)
    assert all(0 <= entry.share <= (entry.total or 0) <= 1 for entry in found)
    # alone they explain at most all of it, with others at least all of it, but for what is cut off
    assert sum(entry.share for entry in found) < 1.05
    assert sum(totals) > 0.95


def test_waiting_for_the_start_makes_its_burst_matter():
    sale = SALE | {"duration": "2 h"}
    found = demand_of(plan(channel(arrive="at the start"), sale=sale, visit={"requests": "40",
                           "duration": "20 s"}), 4000).sensitivity  # fmt: skip
    assert [entry.input for entry in found] == ["ads: arrive"]
    assert "how fast ads comes" in found[0].advice
