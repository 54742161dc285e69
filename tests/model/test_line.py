"""A straight line through weighted points."""

import numpy as np
import pytest
from scipy import stats

from capplan.model.line import through


def test_the_line_and_its_interval_are_those_of_scipy_where_all_weights_are_the_same():
    rng = np.random.default_rng(1)
    x = np.linspace(10.0, 200.0, 12)
    y = 0.1 + 0.004 * x + rng.normal(0.0, 0.01, 12)
    line, known = through(list(x), list(y), [3.0] * 12), stats.linregress(x, y)
    assert line.slope == pytest.approx(known.slope, rel=1e-9)
    assert line.intercept == pytest.approx(known.intercept, rel=1e-9)
    # at x = 0 the interval is that of the intercept
    wide = stats.t.ppf(0.975, 10) * known.intercept_stderr
    assert line.reach(0.0, 0.95) == pytest.approx(wide, rel=1e-9)


def test_a_point_with_twice_the_weight_counts_like_two_points():
    once = through([1.0, 2.0, 4.0], [1.0, 3.0, 4.0], [1.0, 2.0, 1.0])
    twice = through([1.0, 2.0, 2.0, 4.0], [1.0, 3.0, 3.0, 4.0], [1.0] * 4)
    assert (once.slope, once.intercept) == pytest.approx((twice.slope, twice.intercept))


def test_points_at_one_place_make_a_line_through_the_origin_without_an_interval():
    line = through([50.0, 50.0], [0.2, 0.4], [1.0, 1.0])
    assert line.at(100.0) == pytest.approx(0.6)
    assert line.reach(50.0, 0.95) is None


def test_two_points_make_a_line_without_an_interval():
    line = through([10.0, 20.0], [0.3, 0.5], [1.0, 5.0])
    assert (line.at(0.0), line.at(30.0)) == pytest.approx((0.1, 0.7))
    assert line.reach(15.0, 0.95) is None


def test_the_interval_covers_the_true_height_as_often_as_it_says():
    rng = np.random.default_rng(7)
    x, covered = np.array([50.0, 80.0, 100.0, 102.0, 105.0]), 0
    for _ in range(400):
        y = 0.05 + 0.006 * x + rng.normal(0.0, 0.02, 5)
        line = through(list(x), list(y), [1.0] * 5)
        reach = line.reach(100.0, 0.9)
        assert reach is not None
        covered += abs(line.at(100.0) - 0.65) <= reach
    # 400 draws at 0.9: standard error 0.015
    assert covered / 400 == pytest.approx(0.9, abs=0.045)
