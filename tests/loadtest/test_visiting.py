"""What the length of visits asks of a trial: pure, with numbers worked out by hand."""

import numpy as np
import pytest

from capplan.errors import UsageError
from capplan.loadtest.observed import observation
from capplan.loadtest.recording import VisitRows
from capplan.loadtest.visiting import Pace, pace, require_time, visit_stats
from tests.loadtest.test_validity import trial

TEN_S = Pace(mean_s=6.0, p95_s=10.0, p99_s=12.0)


def visits(lengths_s: list[float], requests: list[int] | None = None) -> VisitRows:
    """Visits that began a second apart."""
    count = len(lengths_s)
    return VisitRows(
        np.arange(count, dtype=float), np.array(lengths_s), np.array(requests or [1] * count)
    )


def test_a_trial_fills_the_shop_and_then_measures_three_long_visits():
    assert (TEN_S.prefill_s, TEN_S.measured_s, TEN_S.trial_s) == (12.0, 30.0, 42.0)


def test_the_pace_is_that_of_the_mix_not_of_the_visits_that_were_checked():
    """Both classes made as many visits, but of 100 arrivals 4 are slow: they are past the 95th."""
    lengths = {"Quick": [1.0] * 20, "Slow": [50.0] * 20}
    found = pace(lengths, {"Quick": 96.0, "Slow": 4.0})
    assert (found.p95_s, found.p99_s) == (1.0, 50.0)
    assert found.mean_s == pytest.approx(0.96 * 1 + 0.04 * 50)
    assert pace(lengths, {"Quick": 94.0, "Slow": 6.0}).p95_s == 50.0


def test_the_time_for_four_trials_is_the_least_and_for_ten_is_enough():
    with pytest.raises(UsageError, match=r"a trial lasts 42 s, and .* holds 3 trials") as refused:
        require_time(TEN_S, 4 * 42.0 - 1)
    assert refused.value.hint.startswith("say --time-budget 7min, or")
    (note,) = require_time(TEN_S, 4 * 42.0)
    assert (note.code, note.advice) == ("few_trials", "say --time-budget 7min")
    assert "about 4 trials fit" in note.message
    assert require_time(TEN_S, 10 * 42.0) == ()


def test_visits_that_had_no_time_to_end_are_not_counted():
    found = visit_stats(visits([2.0, 2.0, 4.0, 2.0, np.inf, np.inf], [3, 5, 4, 4, 1, 0]), 7.0, 3.0)
    assert found is not None
    assert (found.issued, found.counted, found.ended) == (6, 4, 4)
    assert found.requests_mean == 4.0
    assert found.requests_sd == pytest.approx(0.5**0.5)
    assert (found.length_s_mean, found.length_s_p50, found.length_s_p95) == (2.5, 2.0, 4.0)


def test_a_visit_that_should_have_ended_and_has_not_is_longer_than_all():
    found = visit_stats(visits([1.0, np.inf, 3.0, 2.0]), 12.0, 2.0)
    assert found is not None
    assert (found.counted, found.ended) == (4, 3)
    assert (found.length_s_mean, found.length_s_p50, found.length_s_p95) == (2.0, 2.0, None)


def test_there_are_no_visits_in_unit_task():
    assert visit_stats(visits([]), 10.0, 2.0) is None


def test_what_was_offered_are_the_visits_that_began_half_a_visit_earlier():
    """Twenty visits of 4 s, one a second, and of the twelfth second two more.

    Requests count from 6 s to 16 s, so visits do that began from 4 s to 14 s: ten, and the two.
    """
    starts_s = np.sort(np.append(np.arange(20.0), [12.2, 12.4]))
    rows = VisitRows(starts_s, np.full(22, 4.0), np.ones(22, np.int64))
    found = visit_stats(rows, 16.0, 6.0)
    assert found is not None
    assert found.offered_per_s == pytest.approx(1.2)
    # where nothing was held long enough nothing is known
    short = visit_stats(rows, 5.0, 6.0)
    assert short is not None
    assert short.offered_per_s is None


def test_the_search_sees_the_visits_that_came_not_what_they_could_send():
    """Held up by an overloaded target, 63 visits/s of four requests sent 194 requests/s."""
    found = visit_stats(visits([2.0] * 100), 100.0, 4.0)
    assert found is not None
    stats = found.model_copy(update={"offered_per_s": 63.0})
    overloaded = trial(rate=56.0).model_copy(
        update={"achieved_rps": 194.0, "requests_per_arrival": 4.0, "visits": stats}
    )
    assert observation(overloaded).offered == 63.0
    assert observation(overloaded.model_copy(update={"visits": None})).offered == 48.5
    # what was ended early had no time for chance to show
    early = overloaded.model_copy(update={"ended_early": True})
    assert observation(early).offered == early.arrivals_per_s
