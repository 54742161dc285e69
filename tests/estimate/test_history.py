import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from capplan.estimate.history import PRIOR_SALES, PRIOR_SD, Learned, correct, learn
from capplan.model.streams import stream
from capplan.plan.schema import PastSale
from tests.estimate.builders import channel, demand_of, plan

PEAKS = np.exp(np.linspace(-1, 1, 2001)) * 1000
NOISE = stream(1, "noise").standard_normal(100_000)


def sales(*ratios):
    return [
        PastSale(name=f"sale {i}", forecast=1000.0, actual=1000.0 * ratio)
        for i, ratio in enumerate(ratios)
    ]


def learned_from(*ratios) -> Learned:
    learned = learn(sales(*ratios), PEAKS)
    assert learned is not None
    return learned


def test_without_history_nothing_is_learned_and_nothing_changes():
    assert learn([], PEAKS) is None
    assert correct(PEAKS, None, NOISE) is PEAKS


def test_one_good_forecast_narrows_the_range_a_little():
    # by hand: s² = k·s₀²/(k+1), of which the next sale spreads by 1 + 1/(k+1), s₀² by 1 + 1/k
    k = PRIOR_SALES
    learned = learned_from(1.0)
    ratio = k / (k + 1) * (1 + 1 / (k + 1)) / (1 + 1 / k)
    assert learned.sd == pytest.approx(learned.range_sd * np.sqrt(ratio))
    assert learned.shift == 0
    assert 0.75 < learned.sd / learned.range_sd < 1


def test_one_sale_far_outside_the_range_moves_and_widens_it():
    learned = learned_from(10.0)
    assert learned.shift == pytest.approx(np.log(10) / (PRIOR_SALES + 1))
    assert learned.sd > 1.3 * learned.range_sd


def test_many_sales_outweigh_the_range():
    # 400 sales that came twice as large as forecast, with a spread of .05
    ratios = 2 * np.exp(0.05 * NOISE[:400])
    learned = learned_from(*ratios)
    assert np.exp(learned.shift) == pytest.approx(2.0, rel=0.01)
    assert 0.05 < learned.sd < 0.1


def test_a_history_that_spreads_like_the_range_keeps_it():
    sd = learned_from(1.0).range_sd
    # the standard error of a standard deviation of 2,000 sales is 1.6 %
    learned = learned_from(*np.exp(sd * NOISE[:2000]))
    assert learned.sd == pytest.approx(sd, rel=0.05)
    assert learned.shift == pytest.approx(0.0, abs=0.05)


@given(st.lists(st.floats(0.05, 20), min_size=1, max_size=5), st.floats(1.1, 5))
def test_the_larger_the_outcomes_the_higher_the_estimate(ratios, more):
    assert learned_from(*(r * more for r in ratios)).shift > learned_from(*ratios).shift


@given(st.lists(st.floats(0.05, 20), min_size=1, max_size=5))
def test_the_order_of_the_sales_does_not_matter(ratios):
    forwards, backwards = learned_from(*ratios), learned_from(*reversed(ratios))
    assert forwards.sd == pytest.approx(backwards.sd, rel=1e-9)
    assert forwards.shift == pytest.approx(backwards.shift, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("sd", [0.1, 0.4, 0.9])
def test_corrected_values_spread_as_learned(sd):
    values = np.exp(0.5 * stream(1, "values").standard_normal(len(NOISE)))
    corrected = np.log(correct(values, Learned(3, 0.2, sd, 0.5), NOISE))
    # at 100,000 draws the standard error is .2 % of the spread, .004 of the median
    assert corrected.std() == pytest.approx(sd, rel=0.01)
    assert np.median(corrected) == pytest.approx(0.2, abs=0.012)


def test_a_narrow_range_is_believed_only_after_many_sales():
    narrow = np.exp(0.1 * np.linspace(-1, 1, 2001)) * 1000

    def spread(sales_so_far: int) -> float:
        found = learn(sales(*[1.0] * sales_so_far), narrow)
        assert found is not None
        return found.sd

    # by hand, as for the one good forecast, with the wide prior in the place of the range
    k = PRIOR_SALES
    assert spread(1) == pytest.approx(
        PRIOR_SD * np.sqrt(k / (k + 1) * (1 + 1 / (k + 1)) / (1 + 1 / k))
    )
    found = [spread(count) for count in (1, 3, 10, 100)]
    assert found == sorted(found, reverse=True)
    assert found[-1] < 0.1 < found[1]


def test_the_result_says_which_distribution_was_applied_and_from_what():
    past = [
        {"name": "Spring", "forecast": "900 rps", "actual": "1450 rps"},
        {"name": "May", "forecast": "70 rps", "actual": "90 rps"},
    ]
    email = channel(reach="30k to 90k", arrive="within 10 min")
    before, after = demand_of(plan(email), 20_000), demand_of(plan(email, history=past), 20_000)
    found = after.history
    assert before.history is None
    assert found is not None
    assert [(one.name, round(one.ratio, 3)) for one in found.outcomes] == [
        ("Spring", 1.611),
        ("May", 1.286),
    ]
    # what is shown is what was applied: the peak is that of the ranges alone times the error
    for name in ("p5", "p50", "p95"):
        expected = before.peak_rps.p50 * getattr(found.error, name)
        assert getattr(after.peak_rps, name) == pytest.approx(expected, rel=0.03)
    assert found.factor == pytest.approx(found.error.p95 / found.error.p50)
    assert found.factor_before == pytest.approx(
        np.sqrt(before.peak_rps.p95 / before.peak_rps.p5), rel=1e-6
    )
    assert (found.prior_sales, found.prior_factor) == (PRIOR_SALES, 2.0)


def test_a_certain_plan_spreads_as_its_history():
    learned = learn(sales(1.0, 2.0), np.full(100, 500.0))
    assert learned is not None
    assert learned.range_sd == 0
    assert learned.sd > 0.2
    assert np.ptp(correct(np.full(100, 500.0), learned, NOISE[:100])) > 0
