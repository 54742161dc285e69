import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from capplan.model.tabulated import Tabulated, table

TABLES = st.lists(
    st.tuples(st.sampled_from([1.0, 2.0, 5.0]), st.floats(0, 100)), min_size=2, max_size=30
).filter(lambda rows: any(weight > 1e-3 for _, weight in rows)).map(
    lambda rows: table(np.cumsum([step for step, _ in rows]) - 20, [weight for _, weight in rows])
)  # fmt: skip


@given(TABLES)
def test_a_curve_rises_from_none_to_all(rows):
    begun = Tabulated(rows).begun(np.linspace(-30, 300, 2000))
    assert begun[0] == 0
    assert begun[-1] == pytest.approx(1)
    assert (np.diff(begun) >= 0).all()


@given(TABLES)
def test_between_two_times_comes_what_the_table_says(rows):
    curve = Tabulated(rows)
    steps = np.append(np.diff(rows.t_s), rows.t_s[-1] - rows.t_s[-2])
    expected = np.asarray(rows.weights) * steps
    edges = np.append(rows.t_s, rows.t_s[-1] + steps[-1])
    # all steps are multiples of the shortest one, unless it is 2 and another one 5
    if len(set(steps) & {2.0, 5.0}) < 2 or 1.0 in steps:
        assert np.diff(curve.begun(edges)) == pytest.approx(
            expected / expected.sum(), rel=1e-6, abs=1e-9
        )


@given(TABLES, st.floats(-30, 300))
def test_the_integral_is_that_of_the_curve(rows, until_s):
    curve = Tabulated(rows)
    fine = np.linspace(-40, until_s, 20_001)
    values = curve.begun(fine)
    area = ((values[1:] + values[:-1]) / 2 * np.diff(fine)).sum()
    assert float(curve.begun_integral(np.array(until_s))) == pytest.approx(area, abs=1e-2)


def test_the_busiest_stretches_are_found():
    weights = np.ones(3600)
    weights[1200:1230] = 40
    ends = Tabulated(table(np.arange(3600.0), weights)).busy_s
    assert any(1201 <= end <= 1230 for end in ends)
    assert all(0 < end <= 3600 for end in ends)


@pytest.mark.parametrize(
    ("times", "weights", "complaint"),
    [
        ([0], [1], "two times or more"),
        ([0, 1], [1], "a value for each"),
        ([0, 0], [1, 1], "must rise"),
        ([0, 1], [0, 0], "not all zero"),
        ([0, 1], [1, -1], "not be negative"),
        ([0, np.inf], [1, 1], "finite"),
    ],
)
def test_a_table_that_is_no_curve_is_refused(times, weights, complaint):
    with pytest.raises(ValueError, match=complaint):
        table(times, weights)
