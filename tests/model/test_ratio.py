import math

import numpy as np
import pytest

from capplan.model.ratio import Ratio, independent, paired, unpaired


def covered(found: Ratio, truth: float) -> bool:
    assert found.low is not None
    assert found.high is not None
    return found.low <= truth <= found.high


def test_what_a_pair_has_in_common_cancels():
    common = [0.3, -0.2, 0.1, 0.0]
    found = paired(common, [c + math.log(0.8) for c in common], 0.95)
    assert (found.low, found.mid, found.high) == pytest.approx((0.8, 0.8, 0.8))


def test_the_paired_interval_is_that_of_students_t():
    # differences 0.1, 0.2, 0.3: mean 0.2, standard error 0.1/√3, and t of 2 degrees is 4.302653
    found = paired([0.0, 0.0, 0.0], [0.1, 0.2, 0.3], 0.95)
    assert found.mid == pytest.approx(math.exp(0.2))
    assert found.high == pytest.approx(math.exp(0.2 + 4.302653 * 0.1 / math.sqrt(3)), rel=1e-6)


def test_the_unpaired_interval_is_that_of_welch():
    # equal variances and sizes: the pooled 4 degrees of freedom, whose t is 2.776445
    found = unpaired([0.0, 0.1, 0.2], [0.3, 0.4, 0.5], 0.95)
    error = math.sqrt(2 * 0.1**2 / 3)
    assert found.mid == pytest.approx(math.exp(0.3))
    assert found.low == pytest.approx(math.exp(0.3 - 2.776445 * error), rel=1e-6)


def test_both_contain_the_truth_as_often_as_they_say():
    rng, truth = np.random.default_rng(1), 0.85
    inside = {"paired": 0, "unpaired": 0}
    for _ in range(2000):
        common = 0.1 * rng.standard_normal(8)
        base = common + 0.05 * rng.standard_normal(8)
        head = common + math.log(truth) + 0.05 * rng.standard_normal(8)
        inside["paired"] += covered(paired(base, head, 0.95), truth)
        fresh = 0.1 * rng.standard_normal(8) + math.log(truth) + 0.05 * rng.standard_normal(8)
        inside["unpaired"] += covered(unpaired(base, fresh, 0.95), truth)
    # the standard error of such a share is half a point
    assert inside["paired"] / 2000 == pytest.approx(0.95, abs=0.015)
    assert inside["unpaired"] / 2000 == pytest.approx(0.95, abs=0.015)


def test_independent_normal_errors_add_up_as_squares():
    # logs with the standard errors 0.03 and 0.04 differ with one of 0.05
    old = Ratio(100 * math.exp(-1.96 * 0.03), 100, 100 * math.exp(1.96 * 0.03))
    new = Ratio(90 * math.exp(-1.96 * 0.04), 90, 90 * math.exp(1.96 * 0.04))
    found = independent(old, new)
    assert found.mid == pytest.approx(0.9)
    assert found.low == pytest.approx(0.9 * math.exp(-1.96 * 0.05))
    assert found.high == pytest.approx(0.9 * math.exp(1.96 * 0.05))


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (Ratio(95, 100, 105), Ratio(210, None, None), Ratio(2.0, None, None)),
        (Ratio(100, None, None), Ratio(45, 48, 50), Ratio(None, None, 0.5)),
        (Ratio(100, None, None), Ratio(100, None, None), Ratio(None, None, None)),
        (Ratio(95, 100, 105), Ratio(None, None, 1.9), Ratio(None, None, 0.02)),
    ],
)
def test_bounds_that_are_not_known_leave_bounds_of_the_ratio_open(old, new, expected):
    found = independent(old, new)
    assert (found.low, found.mid, found.high) == pytest.approx(
        (expected.low, expected.mid, expected.high)
    )


def test_too_few_values_are_refused():
    with pytest.raises(ValueError, match="1 pairs"):
        paired([0.0], [0.1], 0.95)
    with pytest.raises(ValueError, match="one value"):
        unpaired([0.0], [0.1, 0.2], 0.95)
