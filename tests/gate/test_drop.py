"""What a commit may cost: by intervals, and how often chance alone would fail it."""

import math

import numpy as np
import pytest

from benchmarks.paired import BASE, HEADS, hold_pairs, on_one_machine
from capplan.gate import Change, judge
from capplan.gate.drop import drop_check
from capplan.loadtest.compare import compare
from capplan.model.ratio import paired
from capplan.results.paired import RatioRange
from capplan.results.verdict import Verdict
from tests.recommend.builders import REACH, capacity, demand, plan, provenance

RUNS = 500
PAIRS = 8


def ratio(low: float | None, mid: float | None, high: float | None) -> RatioRange:
    return RatioRange(low=low, mid=mid, high=high, confidence=0.9)


def judged(change: Change) -> Verdict:
    return judge(plan({"planned": "40"}), demand(), capacity(), provenance(), [change])


@pytest.mark.parametrize(
    ("low", "mid", "high", "outcome"),
    [
        (0.97, 1.0, 1.03, "pass"),
        (0.92, 0.95, 0.98, "pass"),  # slower for certain, by less than is accepted
        (0.82, 0.85, 0.88, "fail"),
        (0.85, 0.88, 0.93, "fail"),
        (0.5, 0.6, 0.7, "fail"),  # wide, and all of it too low
        (0.75, 0.95, 1.2, "inconclusive"),
        (0.75, 0.85, 0.97, "inconclusive"),
        (0.95, 1.2, 1.5, "pass"),  # wide, and all of it good enough
        (None, None, 0.8, "fail"),
        (None, None, None, "inconclusive"),
    ],
)
def test_an_interval_decides_where_it_can(low, mid, high, outcome):
    assert drop_check(Change(ratio(low, mid, high), "paired"), 0.1).outcome == outcome


def failures(head: str, runs: int) -> float:
    """The share of simulated paired runs of 180 s that fail, on a machine that drifts by 5 %."""
    failed = 0
    for seed in range(1, runs + 1):
        benches = on_one_machine(HEADS[head], 0.05, seed)
        # the searches before the pairs were off, each by its own 5 %
        off = np.exp(0.05 * np.random.default_rng([seed, 9]).standard_normal(2))
        mids = (BASE.truth_rps * off[0], HEADS[head].truth_rps * off[1])
        found = hold_pairs(benches, mids, seed, 180.0)
        assert found is not None
        seen = found.paired
        change = Change(
            RatioRange(low=seen.low, mid=seen.mid, high=seen.high, confidence=0.95), "paired"
        )
        failed += drop_check(change, 0.1).outcome == "fail"
    return failed / runs


def test_two_runs_of_one_server_fail_once_in_fifty_at_most_and_a_real_loss_nine_in_ten():
    assert failures("the same", 100) <= 1 / 50
    assert failures("15 % slower", 50) >= 9 / 10


def test_noise_of_any_size_fails_one_run_in_fifty_at_most():
    rng = np.random.default_rng(3)
    for spread in (0.1, 0.15, 0.2, 0.3):
        failed = 0
        for _ in range(RUNS):
            found = paired(np.zeros(PAIRS), spread * rng.standard_normal(PAIRS), 0.95)
            seen = RatioRange(low=found.low, mid=found.mid, high=found.high, confidence=0.95)
            failed += drop_check(Change(seen, "paired"), 0.1).outcome == "fail"
        # three standard errors of a share of 2 % in 500 runs
        assert failed / RUNS <= 0.02 + 3 * math.sqrt(0.02 * 0.98 / RUNS)


def test_a_paired_loss_makes_the_fleet_weaker_and_a_baseline_only_judges():
    half = ratio(0.5, 0.5, 0.5)
    before = {c.name: c.measured for c in judge(plan({"planned": "40"}), demand(), capacity(),
                                                provenance()).checks}  # fmt: skip
    by_pairs = {c.name: c for c in judged(Change(half, "paired")).checks}
    by_baseline = {c.name: c for c in judged(Change(half, "baseline")).checks}
    alone = judge(plan({"planned": "20"}), demand(), capacity(), provenance())
    twenty = next(c.measured for c in alone.checks if c.name == "overload")
    # servers that carry half are worth half as many, to within the resolution of the points
    assert by_pairs["overload"].measured == pytest.approx(twenty, rel=0.01)
    assert by_baseline["overload"].measured == before["overload"]
    assert by_pairs["capacity drop, paired"].outcome == "fail"
    assert by_baseline["capacity drop, baseline"].outcome == "fail"


def test_what_was_not_measured_alike_is_not_compared():
    verdict = judged(Change(ratio(0.5, 0.5, 0.5), "baseline", "other machines"))
    assert verdict.verdict == "inconclusive"
    assert any("not compared: other machines" in check.message for check in verdict.checks)


def failures_against_a_baseline(true_ratio: float, spread: float) -> float:
    """The share of runs that fail, each one load test against an earlier one of the base.

    Both have intervals of 90 % that are right: a normal error of the logarithm.
    """
    rng = np.random.default_rng(5)
    failed = 0
    for _ in range(RUNS):
        middles = 300 * np.exp(spread * rng.standard_normal(2)) * [1.0, true_ratio]
        old, new = (
            capacity(mid * math.exp(-REACH * spread), mid, mid * math.exp(REACH * spread))
            for mid in middles.tolist()
        )
        change = Change(compare(old, new, provenance()).ratio, "baseline")
        failed += drop_check(change, 0.1).outcome == "fail"
    return failed / RUNS


def test_two_load_tests_of_one_server_fail_one_run_in_fifty_at_most_and_see_a_real_loss():
    # a load test that stops by itself has an interval of 12.7 % at most, which is a spread of 3 %
    for spread in (0.02, 0.025, 0.03, 0.06):
        assert failures_against_a_baseline(1.0, spread) <= 1 / 50
    assert failures_against_a_baseline(0.85, 0.025) >= 9 / 10
