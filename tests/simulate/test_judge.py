"""Recovered and metastable, by the definitions, on series made by hand."""

import numpy as np
import pytest

from capplan.simulate.judge import judge

MU = np.full(1000, 100.0)
PATIENCE_S = 2.0


def series(*parts: tuple[int, int]) -> np.ndarray:
    """So many seconds of so many requests."""
    return np.concatenate([np.full(seconds, rate) for seconds, rate in parts])


def test_an_act_whose_goodput_keeps_up_holds():
    offered = series((300, 80))
    assert judge(offered, offered * 96 // 100, offered, MU, PATIENCE_S).outcome == "held"


def test_it_recovers_with_the_first_window_after_which_all_are_well():
    offered = series((300, 80))
    good = series((100, 80), (50, 10), (150, 80))
    judged = judge(offered, good, offered, MU, PATIENCE_S)
    assert (judged.outcome, judged.lost_at_s) == ("recovered", 100)
    # 5 % of a window of 30 s are 1.5 s: less than two bad seconds are allowed in it
    assert judged.recovered_at_s == pytest.approx(150, abs=2)


def test_without_a_good_end_it_never_recovers():
    offered = series((300, 80))
    judged = judge(offered, series((100, 80), (200, 10)), offered, MU, PATIENCE_S)
    assert (judged.outcome, judged.recovered_at_s) == ("never", None)


@pytest.mark.parametrize(
    ("bad_s", "load", "metastable"),
    [
        (50, 80, False),  # over before a minute has passed
        (120, 80, True),  # a minute below capacity, and still lost
        (120, 120, False),  # the load itself is too much
    ],
)
def test_metastable_is_lost_for_a_minute_although_the_load_is_bearable(bad_s, load, metastable):
    offered = series((20, 80), (20, 300), (400, 80))
    everyone = series((20, 80), (20, 300), (400, load))
    good = series((20, 80), (20, 100), (bad_s, 8), (400 - bad_s, 80))
    assert judge(offered, good, everyone, MU, PATIENCE_S).metastable == metastable


def test_with_great_patience_it_takes_ten_times_as_long_to_be_metastable():
    offered = series((20, 80), (20, 300), (400, 80))
    good = series((20, 80), (20, 100), (120, 8), (280, 80))
    assert not judge(offered, good, offered, MU, 20.0).metastable


def test_an_overload_that_begins_after_a_calm_is_not_the_calm():
    """Goodput is judged within the calm, and not in the seconds after it."""
    offered = series((300, 80), (60, 300))
    good = series((300, 80), (60, 20))
    assert not judge(offered, good, offered, MU, PATIENCE_S).metastable


def test_what_may_still_be_answered_when_the_run_ends_is_not_judged():
    offered = series((300, 80))
    good = series((297, 80), (3, 0))
    assert judge(offered, good, offered, MU, 3.0).outcome == "held"


def test_hardly_any_requests_say_nothing():
    offered = series((300, 0))
    offered[100] = 5
    assert judge(offered, series((300, 0)), offered, MU, PATIENCE_S).outcome == "held"
