"""The phases' analysis on made-up series, where the truth is known."""

from array import array
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from capplan.loadtest import schedule
from capplan.loadtest.phases import opening, overload
from capplan.loadtest.phases.asked import Surge, parse_overload, parse_soak
from capplan.loadtest.phases.drift import drift
from capplan.loadtest.phases.overload import Definitions
from capplan.loadtest.phases.watch import SurgeWatch, moment
from capplan.loadtest.protocol import (
    ANSWERED,
    ATTEMPT_COLUMNS,
    CONNECT_COLUMNS,
    FAILED,
    FAILURE,
    SHED,
    SUCCESS,
    TIMED_OUT,
    TIMEOUT,
    Retry,
    pack,
)
from capplan.loadtest.recording import Recording
from capplan.loadtest.search.policy import Bounds
from capplan.plan.sla import parse_sla
from capplan.results.phases import OverloadSeries
from tests.loadtest.harness import recording, spec

SLA = parse_sla("p95<300ms, failures<1%")
SHORT = Definitions(recovered_s=3, metastable_s=6)


def wire(made: Recording, kind: str, **columns: list[float]) -> Recording:
    codes = {"attempts": ATTEMPT_COLUMNS, "connects": CONNECT_COLUMNS}[kind]
    made.add_wire({kind: pack({name: array(codes[name], columns[name]) for name in codes})})
    return made


def series(good: Sequence[float], overload_s: int = 2, offered: int = 100) -> OverloadSeries:
    """Seconds -2 to …, of which ``good`` is the share of good requests."""
    none = (0,) * len(good)
    return OverloadSeries(
        t_s=tuple(float(i - 2) for i in range(len(good))),
        offered=(offered,) * len(good),
        goodput=tuple(round(share * offered) for share in good),
        lost=none,
        attempts=none,
        shed=none,
        timed_out=none,
        failed=none,
    )


# what is asked for


@pytest.mark.parametrize(
    ("text", "load"),
    [
        ("1.5x for 20s", Surge(1.5, 20.0, 0.8)),
        ("  2x  for 1 min ", Surge(2.0, 60.0, 0.8)),
        ("3x for 500 s then 0.5x", Surge(3.0, 500.0, 0.5)),
        ("3x for 90s, then 0.5x", Surge(3.0, 90.0, 0.5)),
    ],
)
def test_an_overload_is_read_with_its_units(text, load):
    assert parse_overload(text) == load


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("1.5x", "not of the form"),
        ("0.9x for 20s", "no overload"),
        ("100x for 20s", "no overload"),
        ("1.5x for 20", "unit"),
        ("1.5x for 0.5s", "from 1 s"),
        ("1.5x for 20s then 1x", "less than 1x"),
    ],
)
def test_what_is_no_overload_is_refused_with_the_reason(text, complaint):
    with pytest.raises(ValueError, match=complaint):
        parse_overload(text)


def test_a_soak_too_short_to_show_a_drift_is_refused():
    with pytest.raises(ValueError, match="no drift can be told"):
        parse_soak("5s")


# the load


def test_arrivals_follow_the_steps_and_each_worker_draws_its_share():
    whole = replace(spec(100.0, 60.0), steps=((20.0, 0.8), (20.0, 1.5), (5.0, 0.5)))
    for part, rate in ((whole, 100.0), (whole.share(1, 4), 25.0)):
        came = np.array(list(schedule.arrivals(part)))
        # the last step goes on to the end; a Poisson count has the variance of its mean
        for begin, end, factor in ((0, 20, 0.8), (20, 40, 1.5), (40, 60, 0.5)):
            expected = rate * factor * (end - begin)
            count = np.count_nonzero((came >= begin) & (came < end))
            assert abs(count - expected) < 4 * expected**0.5


def test_patience_adds_up_attempts_and_doubling_pauses():
    assert Retry(3, timeout_s=2.0, backoff_s=0.5, jitter=0.5).patience_s == 3 * 2.0 + 0.5 + 1.0
    assert Retry(1, timeout_s=2.0, backoff_s=0.5, jitter=0.5).patience_s == 2.0


# overload


def test_each_request_counts_in_the_second_it_was_meant_to_start_and_each_attempt_in_its_own():
    made = recording(
        [0.1, 0.1, 0.5, 0.1],
        [SUCCESS, FAILURE, SUCCESS, TIMEOUT],
        intended_s=[0.5, 1.5, 1.6, 2.2],
        duration_s=3.0,
    )
    wire(
        made,
        "attempts",
        start_s=[0.5, 1.5, 2.1, 2.2],
        ordinal=[0, 0, 1, 0],
        last=[1, 0, 1, 1],
        ending=[ANSWERED, SHED, FAILED, TIMED_OUT],
    )
    found = overload.per_second(made.rows(), made.attempts(), 0.3, 1.0, 3.0)
    assert found.t_s == (-1.0, 0.0, 1.0)
    assert found.offered == (1, 2, 1)
    assert found.goodput == (1, 0, 0)  # the success after half a second came too late
    assert found.lost == (0, 1, 1)
    assert found.attempts == (1, 1, 2)
    assert (found.shed, found.failed, found.timed_out) == ((0, 1, 0), (0, 0, 1), (0, 0, 1))


def test_a_target_recovers_where_goodput_is_back_for_as_long_as_the_definition_says():
    shares = [1, 1, 0, 0, 0, 0.5, 1, 1, 1, 1]
    assert overload.judge(series(shares), 2.0, SHORT) == ("recovered", 2.0)
    assert overload.judge(series([1, 1, 0, 0, 1, 1, 1]), 2.0, SHORT) == ("recovered", 0.0)


def test_a_flicker_of_goodput_is_no_recovery():
    shares = [1, 1, 0, 0, 1, 0, 1, 0, 1, 0, 0, 0, 0]
    assert overload.judge(series(shares), 2.0, SHORT) == ("metastable", None)


def test_a_target_that_stays_between_the_two_definitions_is_neither():
    shares = [1, 1, 0, 0] + [0.92] * 9
    assert overload.judge(series(shares), 2.0, SHORT) == ("not_recovered", None)


def test_a_series_that_ends_too_early_has_no_verdict():
    assert overload.judge(series([1, 1, 0, 0, 0, 0, 0]), 2.0, SHORT) == ("unknown", None)
    assert overload.judge(series([]), 2.0, SHORT) == ("unknown", None)


def test_the_usual_definitions_are_those_of_a_minute_or_ten_timeouts():
    assert Definitions.usual(1.0) == Definitions(30.0, 60.0)
    assert Definitions.usual(10.0) == Definitions(30.0, 100.0)


def test_the_parts_sum_the_series_up():
    before, during, after = overload.parts(series([1, 1, 0.5, 0.1, 1, 1]), 2.0)
    assert (before.name, before.goodput_rps, before.duration_s) == ("before", 100.0, 2.0)
    assert (during.name, during.goodput_rps) == ("during", 30.0)
    assert (after.name, after.offered_rps) == ("after", 100.0)


def test_a_load_that_was_too_much_before_the_overload_is_noted():
    steady, unsteady = series([0.96, 0.96, 0, 0]), series([0.9, 0.9, 0, 0])
    assert overload.doubts(overload.parts(steady, 2.0), 0.8) == ()
    (note,) = overload.doubts(overload.parts(unsteady, 2.0), 0.8)
    assert note.code == "unsteady_before"
    assert "at 0.8x, only 90%" in note.message


def test_an_overload_ends_early_once_the_target_is_back_and_nothing_is_outstanding():
    watch = SurgeWatch(spec(), Surge(2.0, 2.0), SHORT, before_s=2.0, good_s=0.3)
    made = recording([0.1] * 1000, duration_s=10.0)
    made.progress({"elapsed_s": 6.0, "overdue": 0})
    assert not watch.enough(made)  # good for less than three seconds yet
    made.progress({"elapsed_s": 8.5, "overdue": 1})
    assert not watch.enough(made)
    made.progress({"elapsed_s": 8.6, "overdue": 0})
    assert watch.enough(made)
    assert watch.notes == ()


def test_an_overload_ends_early_with_a_note_when_all_users_of_the_generator_wait():
    watch = SurgeWatch(spec(max_users=50), Surge(2.0, 2.0), SHORT, before_s=2.0, good_s=0.3)
    made = recording([0.1] * 10)
    made.progress({"elapsed_s": 3.0, "users": 50, "queued": 5})
    assert not watch.enough(made)  # for a moment is no limit
    made.progress({"elapsed_s": 5.1, "users": 50, "queued": 5})
    assert watch.enough(made)
    (note,) = watch.notes
    assert note.code == "generator_limit"
    assert "all 50 users" in note.message


def test_what_is_shown_of_a_phase_is_its_step_and_its_last_second():
    made = Recording(replace(spec(10.0, 9.0), steps=((4.0, 0.8), (2.0, 1.5), (3.0, 0.8))))
    for second in range(6):
        part = recording([0.1 * (second + 1)] * 4, intended_s=[second] * 4)
        made._chunks += part._chunks * 5
        made.progress({"elapsed_s": second + 0.5})
    shown = moment(made, "overload", 20.0, Bounds(), 0.0)
    assert shown.asked_rps == 30.0
    assert shown.latency_s.p50 == pytest.approx(0.6, abs=0.101)  # the last ten messages
    assert shown.trial_left_s == 3.5


# opening


def test_the_windows_pool_the_openings_and_count_connections_apart():
    one = recording([0.1, 0.2], intended_s=[0.5, 1.5])
    other = recording([0.3, 0.4], [SUCCESS, FAILURE], intended_s=[0.7, 0.8])
    wire(one, "connects", start_s=[0.5, 1.5], took_s=[0.01, 0.02], failed=[0, 0])
    wire(other, "connects", start_s=[0.7, 0.8], took_s=[0.03, 1.0], failed=[0, 1])
    first = opening.window([one, other], 0, 1)
    assert (first.requests, first.failures, first.timeouts) == (3, 1, 0)
    assert (first.connects, first.connects_failed) == (3, 1)
    assert first.connect_s_p95 == pytest.approx(0.029, abs=1e-6)  # the failed one does not count
    assert opening.window([one, other], 1, None).requests == 1


def test_the_sla_is_judged_over_as_many_seconds_as_hold_enough_requests():
    # 1% may fail: 300 requests for three misses at the limit
    for per_second, seconds in ((400, 1.0), (200, 2.0), (50, 3.0)):
        made = recording([0.1] * per_second * 3, duration_s=3.0)
        assert opening.judged_s([made], SLA) == seconds


@pytest.mark.parametrize(
    ("slow_share", "outcome"), [(0.0, "held"), (0.02, "held"), (0.05, "unclear"), (0.2, "missed")]
)
def test_an_opening_is_judged_with_its_uncertainty(slow_share, outcome):
    slow = round(slow_share * 500)
    made = [recording([0.4] * slow + [0.1] * (500 - slow), duration_s=1.0) for _ in range(4)]
    judged = opening.checks(made, SLA, 1.0)
    assert [check.name for check in judged] == ["p95", "failures"]
    assert opening.outcome(judged) == outcome


def test_few_requests_without_a_miss_are_no_proof():
    judged = opening.checks([recording([0.1] * 20, duration_s=1.0)], SLA, 1.0)
    assert opening.outcome(judged) == "unclear"


# drift


def noisy(rng: np.random.Generator, alike: float, count: int) -> np.ndarray:
    """An AR(1) series in its steady state."""
    steps = rng.normal(size=count + 100)
    made = np.zeros(count + 100)
    for i in range(1, count + 100):
        made[i] = alike * made[i - 1] + steps[i]
    return made[100:]


@pytest.mark.parametrize("slope_per_s", [0.0, 0.01])
@pytest.mark.parametrize("alike", [0.0, 0.98])
def test_the_interval_of_a_drift_covers_the_true_slope(alike, slope_per_s):
    # one sample a second for ten minutes; 0.98 is a memory of 50 s, more than three batches of 15 s
    rng = np.random.default_rng(7)
    at_s = np.arange(600.0)
    runs, covered = 300, 0
    for _ in range(runs):
        found = drift("latency_s", at_s, slope_per_s * at_s + noisy(rng, alike, 600))
        assert found is not None
        covered += found.low_per_h <= slope_per_s * 3600 <= found.high_per_h
    # 95% nominal; 300 runs have a standard error of 1.3%, and so long a memory costs a few percent
    assert covered / runs >= (0.92 if alike == 0 else 0.86)


def test_a_known_drift_is_seen_with_its_size():
    at_s = np.arange(600.0)
    value = 0.1 + 0.012 / 3600 * at_s + 1e-5 * noisy(np.random.default_rng(3), 0.5, 600)
    found = drift("latency_s", at_s, value)
    assert found is not None
    assert found.seen
    # the standard error of the slope is about 0.0003 s/h
    assert found.slope_per_h == pytest.approx(0.012, abs=0.001)
    assert found.low_per_h < 0.012 < found.high_per_h


def test_what_never_changes_does_not_drift():
    found = drift("memory_bytes", np.arange(100.0), np.full(100, 5e7 / 3))
    assert found is not None
    assert not found.seen
    assert found.mean == pytest.approx(5e7 / 3)
    assert (found.slope_per_h, found.low_per_h, found.high_per_h) == (0.0, 0.0, 0.0)


def test_too_few_batches_say_nothing():
    assert drift("latency_s", np.arange(5.0), np.arange(5.0)) is None
    assert drift("latency_s", np.empty(0), np.empty(0)) is None
