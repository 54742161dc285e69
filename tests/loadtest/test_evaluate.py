"""Judging a trial: percentiles, failures, warm-up, correlation, and whose fault it was."""

import math
from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from capplan.loadtest.evaluate import HOPELESS, evaluate, summarise, watch_for_hopeless
from capplan.loadtest.protocol import FAILURE, NOT_STARTED, SUCCESS, TASK_FAILED, TIMEOUT
from capplan.loadtest.recording import Recording
from capplan.loadtest.validity import Usage
from capplan.plan.sla import QUANTILES, Sla, parse_sla
from capplan.results.capacity import Criterion, Trial
from tests.loadtest.harness import SLA, recording, rows, spec


def judge(
    made: Recording,
    *,
    warmup_s: float = 0.0,
    sla: Sla = SLA,
    endpoints: Mapping[str, Sla] | None = None,
    steal: float = 0.0,
) -> Trial:
    return evaluate(made, "refine", warmup_s, sla, endpoints or {}, Usage(steal=steal))


def criterion(trial: Trial, name: str, endpoint: str | None = None) -> Criterion:
    return next(c for c in trial.criteria if (c.name, c.endpoint) == (name, endpoint))


def codes(trial: Trial) -> list[str]:
    return [note.code for note in trial.notes]


# percentiles


@pytest.mark.parametrize(
    ("over", "held"), [(0, True), (4, True), (5, True), (6, False), (100, False)]
)
def test_p95_holds_while_five_of_a_hundred_are_over_the_limit(over, held):
    trial = judge(recording([0.4] * over + [0.1] * (100 - over)))
    p95 = criterion(trial, "p95")
    assert (p95.held, p95.exceedance) == (held, over / 100)
    assert trial.outcome == ("pass" if held else "fail")


def test_exactly_at_the_limit_holds():
    assert judge(recording([0.25] * 100), sla=parse_sla("p95<250ms")).outcome == "pass"


@given(
    st.lists(st.sampled_from([0.1, 0.25, 0.5, math.inf]), min_size=1, max_size=2100),
    st.sampled_from(sorted(QUANTILES)),
)
def test_the_measured_percentile_is_within_the_limit_exactly_when_the_criterion_holds(
    latencies, key
):
    ending = [TIMEOUT if math.isinf(x) else SUCCESS for x in latencies]
    finite = [9.0 if math.isinf(x) else x for x in latencies]
    judged = judge(recording(finite, ending), sla=Sla.model_validate({key: 0.25})).criteria[0]
    within = judged.measured is not None and judged.measured <= 0.25
    assert within is judged.held


@pytest.mark.parametrize("quantile", [0.5, 0.75, 0.9, 0.95, 0.99, 0.999])
@pytest.mark.parametrize("count", [1, 2, 10, 20, 100, 1000, 1001])
def test_a_percentile_is_the_smallest_value_that_enough_requests_do_not_exceed(quantile, count):
    sample = np.arange(1, count + 1) / 8
    got = summarise(sample, np.full(count, SUCCESS))
    names = {0.5: got.p50, 0.75: got.p75, 0.9: got.p90, 0.95: got.p95, 0.99: got.p99}
    value = names.get(quantile, got.p999)
    assert value is not None
    # whole numbers of requests, to be exact: k of count where k·1000 ≥ quantile·1000·count
    enough = -(-round(quantile * 1000) * count // 1000)
    assert value == sample[enough - 1]


def test_the_mean_is_over_requests_with_an_answer_and_the_maximum_over_all():
    got = summarise(np.array([0.1, 0.3, math.inf]), np.array([SUCCESS, SUCCESS, TIMEOUT]))
    assert got.mean == pytest.approx(0.2)
    assert got.max is None


# failures and timeouts


def test_quick_failures_do_not_improve_latency():
    slow = [0.5] * 100
    alone, among_failures = (
        judge(recording(slow)),
        judge(recording(slow + [0.001] * 900, [SUCCESS] * 100 + [FAILURE] * 900)),
    )
    assert among_failures.latency_s == alone.latency_s
    assert criterion(among_failures, "p95").exceedance == 1.0
    assert criterion(among_failures, "failures").exceedance == 0.9
    assert (among_failures.successes, among_failures.failures) == (100, 900)


@pytest.mark.parametrize(
    ("failures", "timeouts", "held"), [(0, 0, True), (1, 0, True), (0, 1, True), (1, 1, False)]
)
def test_failures_and_timeouts_together_may_be_one_in_a_hundred(failures, timeouts, held):
    ending = [FAILURE] * failures + [TIMEOUT] * timeouts
    ending += [SUCCESS] * (100 - len(ending))
    trial = judge(recording([0.1] * 100, ending))
    assert criterion(trial, "failures").held is held
    assert criterion(trial, "failures").measured == (failures + timeouts) / 100
    assert trial.outcome == ("pass" if held else "fail")


def test_when_everything_fails_only_the_failures_are_missed():
    trial = judge(recording([0.01] * 50, [FAILURE] * 50))
    assert trial.outcome == "fail"
    assert [c.name for c in trial.criteria if not c.held] == ["failures"]
    assert trial.latency_s.p50 is None
    assert trial.served_rps == 0.0


def test_a_timeout_is_slower_than_any_limit():
    ending = [TIMEOUT] * 6 + [SUCCESS] * 94
    trial = judge(recording([0.1] * 100, ending), sla=parse_sla("p95<100s, failures<10%"))
    assert trial.outcome == "fail"
    assert criterion(trial, "p95").measured is None
    assert trial.latency_s.p90 == pytest.approx(0.1)
    assert trial.latency_s.p95 is None


# what counts


def test_requests_of_the_warm_up_do_not_count():
    slow_at_first = recording([9.0] * 20 + [0.1] * 80)
    trial = judge(slow_at_first, warmup_s=2.0)
    assert (trial.requests, trial.outcome) == (80, "pass")
    assert trial.achieved_rps == pytest.approx(10.0)
    assert judge(slow_at_first, warmup_s=1.0).outcome == "fail"


def test_requests_that_began_after_the_load_had_ended_do_not_count():
    late = recording([0.1] * 50 + [9.0] * 50, intended_s=[5.0] * 50 + [10.5] * 50)
    assert (judge(late).requests, judge(late).outcome) == (50, "pass")


def test_a_trial_that_ended_early_failed_and_counts_from_its_start():
    made = recording([9.0] * 40, intended_s=np.linspace(0, 1.9, 40).tolist(), ended_early=True)
    made.progress({"held_s": 2.0, "issued": 40})
    trial = judge(made, warmup_s=2.5)
    assert (trial.outcome, trial.requests, trial.duration_s) == ("fail", 40, 2.0)
    assert (trial.planned_s, trial.warmup_s) == (7.5, 0.0)


def test_requests_per_arrival_leave_out_arrivals_that_never_started():
    made = recording(
        [0.1] * 30,
        [SUCCESS] * 28 + [TIMEOUT] * 2,
        endpoint=[0] * 28 + [1] * 2,
        endpoints=["GET /", NOT_STARTED],
        issued=16,
    )
    made.tickets_due = 16
    assert judge(made).requests_per_arrival == 28 / 16


def test_an_empty_trial_is_worthless_and_weighs_nothing():
    trial = judge(recording([]))
    assert (trial.outcome, codes(trial)) == ("invalid", ["no_requests"])
    assert (trial.requests, trial.requests_per_arrival) == (0, 0.0)
    assert {c.variance for c in trial.criteria} == {0.25}


def test_the_most_frequent_errors_come_first():
    errors = {f"GET /{k}: 500": k for k in range(1, 8)}
    kept = judge(recording([0.1] * 10, errors=errors)).errors
    assert list(kept.items()) == [(f"GET /{k}: 500", k) for k in (7, 6, 5, 4, 3)]


# endpoints

CHECKOUT = {"POST /checkout": parse_sla("p99<800ms, failures<0.1%")}


def two_endpoints(slow_checkouts: int) -> Recording:
    latency = [0.1] * 900 + [1.0] * slow_checkouts + [0.2] * (100 - slow_checkouts)
    return recording(latency, endpoint=[0] * 900 + [1] * 100, endpoints=["GET /", "POST /checkout"])


@pytest.mark.parametrize(("slow_checkouts", "outcome"), [(1, "pass"), (4, "fail")])
def test_an_endpoint_keeps_its_own_sla_beside_that_of_the_mix(slow_checkouts, outcome):
    trial = judge(two_endpoints(slow_checkouts), endpoints=CHECKOUT)
    assert trial.outcome == outcome
    assert criterion(trial, "p95").held
    own = criterion(trial, "p99", "POST /checkout")
    assert own.exceedance == slow_checkouts / 100
    assert own.held is (outcome == "pass")


def test_an_endpoint_that_was_not_called_holds_and_weighs_nothing():
    own = criterion(judge(recording([0.1] * 100), endpoints=CHECKOUT), "failures", "POST /checkout")
    assert (own.held, own.variance) == (True, 0.25)


def test_each_endpoint_is_summarised():
    stats = judge(two_endpoints(2)).endpoints
    assert [(s.name, s.requests, s.failures) for s in stats] == [
        ("GET /", 900, 0),
        ("POST /checkout", 100, 0),
    ]
    assert stats[1].latency_s.max == pytest.approx(1.0)


# correlation


def test_misses_in_a_row_are_less_certain_than_scattered_ones():
    scattered = [0.4 if k % 20 == 0 else 0.1 for k in range(1000)]
    together = [0.4] * 50 + [0.1] * 950
    apart, in_a_row = (
        criterion(judge(recording(latency)), "p95").variance for latency in (scattered, together)
    )
    binomial = 0.05 * 0.95 / 1000
    # scattered evenly they vary less than by chance: the binomial variance is the floor
    assert apart == pytest.approx(binomial, rel=0.02)
    # all in one of ten batches: (45² + 9·5²)/9·10/1000² = 50 times as much
    assert in_a_row == pytest.approx((45**2 + 9 * 5**2) * 10 / 9 / 1000**2)


def test_independent_misses_have_about_the_binomial_variance():
    """The batch estimate has 9 degrees of freedom: its mean over 200 trials is within 10 %.

    Its relative standard deviation is √(2/9) = 47 %, so 3.3 % for the mean; the floor at the
    binomial variance raises the mean of max(1, χ²₉/9) to 1.19.
    """
    rng = np.random.default_rng(5)
    share = 0.05
    variances = [
        criterion(
            judge(recording(np.where(rng.random(1000) < share, 0.4, 0.1).tolist())), "p95"
        ).variance
        for _ in range(200)
    ]
    assert np.mean(variances) / (share * (1 - share) / 1000) == pytest.approx(1.19, rel=0.1)


@pytest.mark.parametrize("count", [0, 4])
def test_a_handful_of_requests_says_nothing(count):
    assert criterion(judge(recording([0.1] * count)), "p95").variance == 0.25


def test_no_misses_among_few_requests_leave_doubt():
    few, many = (criterion(judge(recording([0.1] * n)), "p95").variance ** 0.5 for n in (10, 1000))
    assert few > 0.05 > many > 0.0


# whose fault


@pytest.mark.parametrize(
    ("latency", "state", "outcome", "code"),
    [
        ("fast", {}, "pass", None),
        ("slow", {}, "fail", None),
        ("fast", {"lateness_s_p99": 0.011}, "invalid", "late_arrivals"),
        ("fast", {"lateness_s_p99": 0.009}, "pass", None),
        ("barely slow", {"lateness_s_p99": 0.011}, "invalid", "late_arrivals"),
        # lateness of some milliseconds is no excuse for a latency far over the limit
        ("slow", {"lateness_s_p99": 0.011}, "fail", "late_arrivals"),
        ("slow", {"lateness_s_p99": 0.011, "generator_cpu": 0.81}, "invalid", "generator_busy"),
        ("fast", {"generator_cpu": 0.81}, "invalid", "generator_busy"),
        ("fast", {"generator_cpu": 0.79}, "pass", None),
        ("fast", {"issued": 98}, "invalid", "arrivals_lost"),
        ("fast", {"issued": 99}, "invalid", "arrivals_lost"),
        ("fast", {"issued": 101}, "invalid", "arrivals_lost"),
        # all users wait for a slow target: overload, and no fault of the generator
        ("slow", {"starved": 60}, "fail", None),
        ("fast", {"starved": 60}, "pass", None),
        # the target answered in time once asked: there were too few users to ask
        ("late", {"starved": 60}, "invalid", "pool_too_small"),
        ("late", {}, "invalid", "lateness_decides"),
        ("late", {"starved": 60, "users": 5000}, "invalid", "pool_limit"),
        ("never started", {"starved": 60}, "fail", None),
    ],
)
def test_a_fault_of_the_generator_is_invalid_and_one_of_the_target_is_a_failure(
    latency, state, outcome, code
):
    seconds = [{"slow": 0.5, "barely slow": 0.305}.get(latency, 0.1)] * 100
    never = latency == "never started"
    made = recording(
        seconds,
        [TIMEOUT] * 10 + [SUCCESS] * 90 if never else None,
        lateness_s=[0.4] * 60 + [0.0] * 40 if latency == "late" else None,
        endpoint=[1] * 10 + [0] * 90 if never else None,
        endpoints=["GET /", NOT_STARTED],
        **state,
    )
    trial = judge(made)
    assert trial.outcome == outcome
    assert codes(trial)[-1:] == ([code] if code else [])


def test_a_hopeless_trial_failed_however_small_the_pool_was():
    made = recording([0.1] * 100, lateness_s=[0.4] * 100, starved=100, ended_early=True)
    assert judge(made).outcome == "fail"


@pytest.mark.parametrize(("steal", "noted"), [(0.04, []), (0.06, ["stolen_cpu"])])
def test_stolen_cpu_is_noted_and_does_not_change_the_outcome(steal, noted):
    trial = judge(recording([0.1] * 100), steal=steal)
    assert (trial.outcome, codes(trial), trial.health.steal) == ("pass", noted, steal)


def test_what_the_generator_did_is_kept():
    health = judge(
        recording([0.1] * 100, starved=3, lateness_s_p99=0.002, generator_cpu=0.25, users=40)
    ).health
    assert (health.tickets_due, health.tickets_issued, health.starved) == (100, 100, 3)
    assert (health.lateness_s_p99, health.generator_cpu, health.users) == (0.002, 0.25, 40)


def test_a_task_that_raised_before_its_request_was_reported_is_a_failure_like_any_other():
    made = recording(
        [0.1] * 100,
        [FAILURE] * 2 + [SUCCESS] * 98,
        endpoint=[1] * 2 + [0] * 98,
        endpoints=["GET /", TASK_FAILED],
    )
    assert judge(made).outcome == "fail"


# ending a trial early


def growing(slow: int, failed: int = 0, overdue: int = 0) -> Recording:
    made = Recording(spec(limit_s=0.3))
    count = slow + failed
    made.add(
        rows([0.0] * count, [0.4] * slow + [0.1] * failed, [SUCCESS] * slow + [FAILURE] * failed),
        ["GET /"],
    )
    made.progress({"overdue": overdue})
    return made


@pytest.mark.parametrize(
    ("made", "hopeless"),
    [
        (growing(0), False),
        # 5 % of 1000 may be slow: 50, and the trial ends at more than four times as many
        (growing(200), False),
        (growing(201), True),
        (growing(150, overdue=50), False),
        (growing(150, overdue=51), True),
        # 1 % may fail: 10
        (growing(0, failed=40), False),
        (growing(0, failed=41), True),
    ],
)
def test_a_trial_ends_early_when_it_has_missed_four_times_what_it_may(made, hopeless):
    assert HOPELESS == 4
    assert watch_for_hopeless(0.05, 0.01, 1000, "bisect")(made) is hopeless


@pytest.mark.parametrize(("slow", "hopeless"), [(201, False), (500, False), (501, True)])
def test_a_trial_that_refines_the_answer_runs_on_until_half_has_missed(slow, hopeless):
    for purpose in ("refine", "confirm"):
        assert watch_for_hopeless(0.05, 0.01, 1000, purpose)(growing(slow)) is hopeless


@pytest.mark.parametrize(("failed", "hopeless"), [(10, False), (11, True)])
def test_a_few_failures_never_end_a_small_trial(failed, hopeless):
    assert watch_for_hopeless(0.05, 0.0, 20, "probe")(growing(0, failed=failed)) is hopeless
