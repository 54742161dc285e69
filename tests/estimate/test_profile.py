"""Every second's band against the closed forms, one draw at a time."""

import numpy as np
import pytest
from scipy.integrate import trapezoid

from capplan.estimate import by_second, forecast
from capplan.estimate.follow import traffic_of
from tests.estimate.builders import SALE, WHOLE, channel, demand_of, plan

SHORT = WHOLE | {"sale": SALE | {"duration": "20 min"}}


def test_every_second_has_the_band_of_the_exact_rates():
    found = forecast(plan(**SHORT), 3, 400)
    shown = by_second(found)
    assert np.diff(shown.t_s).tolist() == [1.0] * (len(shown.t_s) - 1)
    some = np.array(shown.t_s)[5::37]
    exact = traffic_of(found.inputs, slice(None)).rate(some, 10.0) * found.calm_scale[:, None]
    top = max(shown.rps_p95)
    for level, band in ((0.05, shown.rps_p5), (0.5, shown.rps_p50), (0.95, shown.rps_p95)):
        # between two seconds what was sent is interpolated: good to a part in a thousand of the
        # peak where a burst begins, and much better elsewhere
        expected = np.quantile(exact, level, axis=0)
        assert band[5::37] == pytest.approx(expected, rel=2e-3, abs=1e-3 * top)


def test_it_begins_before_those_who_come_early_and_ends_when_all_have_left():
    waiting = plan(channel(arrive="at the start", early="100%"), sale=SALE | {"duration": "10 min"})
    found = forecast(waiting, 1, 300)
    shown = by_second(found)
    assert shown.t_s[0] < -600
    assert shown.t_s[-1] >= 600 + 300
    # 7,200 come early and again, with 40 requests each; 1 % come even earlier than shown
    total = trapezoid(shown.rps_p50, shown.t_s)
    assert total == pytest.approx(2 * 7200 * 40, rel=0.03)


def test_a_window_that_is_no_whole_number_of_seconds_is_kept():
    found = forecast(plan(**SHORT, policy={"window": "2.5 s"}), 3, 200)
    shown = by_second(found)
    some = np.array(shown.t_s)[5::53]
    exact = traffic_of(found.inputs, slice(None)).rate(some, 2.5) * found.calm_scale[:, None]
    expected = np.quantile(exact, 0.5, axis=0)
    assert shown.rps_p50[5::53] == pytest.approx(expected, rel=1e-2, abs=0.01 * max(shown.rps_p50))


def test_when_nobody_is_left_the_rate_is_none_and_no_residue_of_rounding():
    """Sums of 1e9 requests are known to 1e-7, and a rate is the difference of two of them."""
    many = plan(channel(reach="200M", visits="50% to 100%", arrive="at the start"), sale=SALE)
    for shown in (by_second(forecast(many, 1, 200)), demand_of(many, 200).profile):
        for band in (shown.rps_p5, shown.rps_p50, shown.rps_p95):
            assert min((rate for rate in band if rate), default=1.0) > 1e-9 * max(band)
