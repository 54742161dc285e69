import math
from typing import get_args
from unittest.mock import Mock

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from capplan.model.streams import stream
from capplan.model.uncertainty import Kind, common_factor, quantile, uniforms
from capplan.units import Range

U = np.linspace(1e-12, 1 - 1e-12, 201)
SHARES = st.floats(min_value=1e-6, max_value=1 - 1e-6)
AMOUNTS = st.floats(min_value=1e-9, max_value=1e12)


def ends(interval, kind):
    return quantile(interval, kind, np.array([0.05, 0.95])).tolist()


@given(AMOUNTS, AMOUNTS)
def test_an_amount_has_the_range_as_its_percentiles(a, b):
    interval = Range(min(a, b), max(a, b))
    assert ends(interval, "amount") == pytest.approx([interval.low, interval.high], rel=1e-9)


@given(SHARES, SHARES)
def test_a_share_has_the_range_as_its_percentiles(a, b):
    interval = Range(min(a, b), max(a, b))
    assert ends(interval, "share") == pytest.approx([interval.low, interval.high], rel=1e-9)


@given(SHARES)
def test_a_share_that_touches_an_end_keeps_its_other_end_exact(share):
    assert ends(Range(0.0, share), "share")[1] == pytest.approx(share, rel=1e-9)
    assert ends(Range(share, 1.0), "share")[0] == pytest.approx(share, rel=1e-9)


def test_a_share_of_which_nothing_is_known_is_uniform():
    assert quantile(Range(0.0, 1.0), "share", U).tolist() == U.tolist()


@pytest.mark.parametrize("kind", get_args(Kind))
@pytest.mark.parametrize("value", [0.0, 1e-300, 0.3, 1.0])
def test_a_certain_value_is_exact(kind, value):
    assert set(quantile(Range(value, value), kind, U)) == {value}


@given(st.sampled_from(get_args(Kind)), st.data())
def test_quantiles_rise_and_stay_possible(kind, data):
    numbers = AMOUNTS if kind == "amount" else st.floats(0, 1)
    a, b = data.draw(numbers), data.draw(numbers)
    values = quantile(Range(min(a, b), max(a, b)), kind, U)
    # neighbouring quantiles of a narrow range may differ by the rounding of exp and logit
    assert (np.diff(values) >= -1e-13 * values[1:]).all()
    assert values.min() >= 0
    assert np.isfinite(values).all()
    if kind == "share":
        assert values.max() <= 1


def test_the_mean_of_an_amount_is_that_of_the_lognormal():
    # mean exp(m + s²/2); 200,000 draws at cv .3 have a standard error of .07 %
    sd = math.log(20 / 8) / (2 * 1.6448536)
    draws = quantile(Range(8, 20), "amount", uniforms(stream(1, "a"), 200_000))
    assert draws.mean() == pytest.approx(math.sqrt(8 * 20) * math.exp(sd**2 / 2), rel=0.003)


@pytest.mark.parametrize("interval", [Range(0.0, 1.0), Range(-1.0, 1.0)])
def test_an_amount_that_may_be_nothing_is_refused(interval):
    with pytest.raises(ValueError, match="must be positive"):
        quantile(interval, "amount", U)


@pytest.mark.parametrize("interval", [Range(-0.1, 0.5), Range(0.5, 1.1)])
def test_a_share_beyond_its_bounds_is_refused(interval):
    with pytest.raises(ValueError, match="between 0 and 1"):
        quantile(interval, "share", U)


@pytest.mark.parametrize("correlation", [0.0, 0.3, 0.5, 1.0])
def test_a_common_factor_correlates_and_leaves_uniforms(correlation):
    common, *own = (uniforms(stream(1, name), 100_000) for name in ("common", "a", "b"))
    a, b = (common_factor(common, one, correlation) for one in own)
    # rank correlation of a Gaussian copula: 6/π·asin(r/2); four standard errors are .013
    expected = 6 / math.pi * math.asin(correlation / 2)
    assert np.corrcoef(a, b)[0, 1] == pytest.approx(expected, abs=0.013)
    # the largest distance of an empirical distribution: 1.95/√n at 1 in 1,000
    steps = np.arange(1, len(a) + 1) / len(a)
    assert np.abs(np.sort(a) - steps).max() < 1.95 / math.sqrt(len(a))


def test_without_correlation_the_own_numbers_stay():
    own = uniforms(stream(1, "a"), 100)
    moved = common_factor(uniforms(stream(1, "common"), 100), own, 0.0)
    assert moved == pytest.approx(own, rel=1e-9)


def test_uniforms_leave_out_both_ends():
    rng = Mock(spec=np.random.Generator)
    rng.random.return_value = np.array([0.0, 1.0])
    assert np.isfinite(quantile(Range(1, 2), "amount", uniforms(rng, 2))).all()
