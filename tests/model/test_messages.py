import numpy as np
import pytest
from scipy.integrate import quad

from capplan.model.arrivals import Decay, within
from capplan.model.messages import (
    EMAIL_QUICK,
    PUSH_QUICK_S,
    PUSH_SLOW_S,
    Message,
    email,
    push,
)

HOURS = np.array([1.0, 3.0, 24.0]) * 3600
PUBLISHED = np.asarray(0.4653)


def test_the_clicks_of_an_email_are_those_published():
    # GetResponse 2020: 33.6 % within an hour, 51.4 % within three, 81 % within a day
    assert email(PUBLISHED).begun(HOURS) == pytest.approx([0.336, 0.514, 0.81], abs=5e-4)


def test_the_range_of_quick_clicks_holds_the_published_ones_in_its_middle():
    low, high = (email(np.asarray(q)).begun(HOURS[:1])[0] for q in
                 (EMAIL_QUICK.low, EMAIL_QUICK.high))  # fmt: skip
    assert low == pytest.approx(0.23, abs=0.01)
    assert high == pytest.approx(0.44, abs=0.01)


def test_half_of_the_phones_of_each_kind_react_within_the_published_median():
    assert float(Decay(np.asarray(PUSH_QUICK_S)).begun(np.array(420.0))) == pytest.approx(0.5)
    assert float(Decay(np.asarray(PUSH_SLOW_S)).begun(np.array(2880.0))) == pytest.approx(0.5)
    # 1.77 % and 3.48 % of as many phones of each kind: all of them together by 24 min
    half_s = push(np.asarray(1.77 / 5.25)).begun(np.array([24 * 60.0]))
    assert half_s == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize("over_s", [60.0, 600.0, 3600.0])
def test_a_message_sent_over_a_time_is_the_mean_of_messages_sent_at_once(over_s):
    slow, at_once = push(np.asarray(0.4), over_s), push(np.asarray(0.4))
    sent_s = (np.arange(20_000) + 0.5) / 20_000 * over_s
    for t_s in (1.0, 30.0, 500.0, 5000.0):
        expected = at_once.begun(t_s - sent_s).mean()
        # at 1 s only a few of the 20,000 have been sent
        assert float(slow.begun(np.array(t_s))) == pytest.approx(expected, rel=1e-5, abs=2e-9)


@pytest.mark.parametrize("until_s", [0.5, 300.0, 20_000.0])
def test_the_integral_of_a_slow_message_is_that_of_its_curve(until_s):
    slow = Message(np.asarray(1.0), within(600.0), within(600.0), 900.0)
    area, _ = quad(lambda t: float(slow.begun(np.array(t))), 0, until_s, points=[min(900, until_s)])
    assert float(slow.begun_integral(np.array(until_s))) == pytest.approx(area, rel=1e-6)


def test_a_message_can_differ_by_draw():
    curve = push(np.array([[0.2], [0.5], [0.8]]), 60.0)
    t_s = np.array([[50.0, 500.0]])
    assert curve.begun(t_s).shape == (3, 2)
    assert curve.part(slice(1, 3)).begun(t_s).tolist() == curve.begun(t_s)[1:].tolist()


def test_the_second_integral_is_smooth_where_its_series_ends():
    # 1e-2 means: the closed form takes over from the series
    t_s = np.linspace(9.9, 10.1, 2001)
    twice = Decay(np.asarray(1000.0)).begun_twice(t_s)
    assert twice == pytest.approx(t_s**3 / 6000 * (1 - t_s / 4000 + t_s**2 / 2e7), rel=1e-6)
