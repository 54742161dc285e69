from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from capplan.model.arrivals import Decay, Even, Mixed, opening, within

SECONDS = st.floats(min_value=0.1, max_value=1e5)
CURVES = st.one_of(
    SECONDS.map(within), SECONDS.map(Even), SECONDS.map(opening),
    st.builds(Mixed, st.floats(0, 1).map(np.asarray), SECONDS.map(within), SECONDS.map(Even)),
)  # fmt: skip


@given(CURVES)
def test_a_curve_begins_at_the_start_and_brings_everyone(curve):
    t_s = np.concatenate([[-100.0, -1.0, 0.0], np.geomspace(1e-3, 1e9, 500)])
    begun = curve.begun(t_s)
    assert (begun[:3] == 0).all()
    assert (np.diff(begun) >= 0).all()
    assert begun[-1] == pytest.approx(1.0)


@given(CURVES)
def test_a_curve_never_rises_in_density_after_the_start(curve):
    # the search for the peak relies on this
    density = np.diff(curve.begun(np.linspace(0, 3e5, 1000)))
    assert (np.diff(density) <= 1e-12).all()


@given(CURVES, SECONDS)
def test_the_integral_is_that_of_the_curve(curve, until_s):
    # Simpson's rule between the corners of the curve, where it is smooth
    corners = [0.0, *(c for c in curve.corners_s if 0 < c < until_s), until_s]
    total = 0.0
    for begin, end in pairwise(corners):
        fine = begin + (end - begin) * np.linspace(0, 1, 4001) ** 3
        middle = (fine[1:] + fine[:-1]) / 2
        values = curve.begun(fine[:-1]) + 4 * curve.begun(middle) + curve.begun(fine[1:])
        total += float((np.diff(fine) * values).sum() / 6)
    assert float(curve.begun_integral(np.array(until_s))) == pytest.approx(
        total, rel=1e-4, abs=1e-9
    )
    assert curve.begun_integral(np.array([-5.0, 0.0])).tolist() == [0, 0]


def test_within_brings_nine_in_ten_by_then():
    assert float(within(600.0).begun(np.array(600.0))) == pytest.approx(0.9)


def test_an_even_curve_is_a_straight_line():
    assert Even(100.0).begun(np.array([-1, 0, 25, 100, 200])).tolist() == [0, 0, 0.25, 1, 1]
    assert Even(100.0).begun_integral(np.array([50.0, 100.0, 130.0])).tolist() == [12.5, 50.0, 80.0]


def test_the_opening_has_the_published_rush():
    # 11.11 of 2019: the first 96 s at 33.5 times the mean of the day; the fit is good to 3 %
    rush = float(opening(86_400.0).begun(np.array(96.0))) * 86_400 / 96
    assert rush == pytest.approx(33.5, rel=0.03)


def test_a_curve_can_differ_by_draw():
    curve = Mixed(np.asarray(0.5), Decay(np.array([[10.0], [20.0], [30.0]])), Even(60.0))
    t_s = np.array([[5.0, 50.0]])
    assert curve.begun(t_s).shape == (3, 2)
    assert curve.part(slice(1, 3)).begun(t_s).tolist() == curve.begun(t_s)[1:].tolist()
