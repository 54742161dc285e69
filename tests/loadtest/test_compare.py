"""Two capacities side by side: by their intervals, by endpoint, and only when they are alike."""

import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from capplan.errors import UsageError
from capplan.loadtest.compare import compare
from capplan.loadtest.protocol import NOT_STARTED
from capplan.results.capacity import (
    Capacity,
    Criterion,
    EndpointStats,
    LatencySummary,
    SustainedRate,
    Trial,
)
from capplan.results.comparison import Comparison, EndpointComparison
from capplan.results.store import from_json, read_result, write_result
from tests.recommend.builders import capacity as built
from tests.recommend.builders import provenance

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "sale.capplan" / "capacity.json"
HERE = {"platform": "Linux x86_64", "cpus": 2}


def capacity(mid: float, width: float = 1.05, **changes: Any) -> Capacity:
    rate = SustainedRate(low=mid / width, mid=mid, high=mid * width, confidence=0.95)
    fields: dict[str, Any] = {"environment": HERE, "sustained_rps": rate} | changes
    return built(**fields)


def trial(rate: float, p95: float, share: float, endpoint: str | None = None) -> Trial:
    """A trial of an endpoint with this p95, in which this share missed its limit of 5 %."""
    example = read_result(EXAMPLE, Capacity).trials[0]
    latency = LatencySummary(
        **dict.fromkeys(("p50", "p75", "p90", "p99", "p999", "mean", "max"), None), p95=p95
    )
    criterion = Criterion(
        endpoint=endpoint,
        name="p95",
        limit=0.3,
        measured=p95,
        allowed=0.05,
        exceedance=share,
        variance=share * (1 - share) / 1000 + 1e-6,
        held=share <= 0.05,
    )
    stats = EndpointStats(name="GET /", requests=500, failures=0, timeouts=0, latency_s=latency)
    return example.model_copy(
        update={
            "purpose": "refine",
            "rate_rps": rate,
            "arrivals_per_s": rate,
            "achieved_rps": rate,
            "requests_per_arrival": 1.0,
            "planned_s": 10.0,
            "duration_s": 12.0,
            "warmup_s": 2.0,
            "endpoints": (stats,),
            "criteria": (criterion,),
            "ended_early": False,
            "outcome": "pass" if share <= 0.05 else "fail",
        }
    )


def compared(old: Capacity, new: Capacity) -> Comparison:
    return compare(old, new, provenance())


def endpoint(old: Capacity, new: Capacity) -> EndpointComparison:
    (found,) = compared(old, new).endpoints
    return found


@pytest.mark.parametrize(
    ("old", "new", "verdict"),
    [
        (capacity(100), capacity(80), "different"),
        (capacity(100), capacity(125), "different"),
        (capacity(100), capacity(101), "no_difference"),
        (capacity(100), capacity(95, 1.2), "cannot_tell"),
    ],
)
def test_the_interval_of_the_ratio_decides(old, new, verdict):
    assert compared(old, new).verdict == verdict


def test_two_intervals_that_do_not_touch_are_not_needed_for_a_difference():
    # 95 to 105 and 87 to 96 overlap, and yet the difference is clear: errors add as squares
    found = compared(capacity(100, 1.05), capacity(91.5, 1.05)).ratio
    assert found.low == pytest.approx(0.915 * math.exp(-math.sqrt(2) * math.log(1.05)))
    assert found.high == pytest.approx(0.915 * math.exp(math.sqrt(2) * math.log(1.05)))
    assert found.high is not None
    assert found.high < 1


def test_a_limit_that_was_not_reached_still_shows_a_gain():
    rate = SustainedRate(low=200.0, mid=None, high=None, confidence=0.95)
    found = compared(capacity(100), capacity(1, sustained_rps=rate, verdict="not_reached"))
    assert (found.verdict, found.ratio.high) == ("different", None)
    assert found.ratio.low == pytest.approx(200 / 105)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"sla": "p99<1s"}, "differ in their SLA: p95<300ms, failures<1% and p99<1s"),
        ({"unit": "visit"}, "differ in their unit"),
        ({"servers": 4}, "differ in their number of servers: 1 and 4"),
    ],
)
def test_answers_to_different_questions_are_refused(changes, words):
    old = capacity(100)
    new = capacity(80, identity=old.identity.model_copy(update=changes))
    with pytest.raises(UsageError, match=words):
        compared(old, new)


def test_another_script_or_machine_leaves_it_open_why_they_differ():
    old = capacity(100)
    script = capacity(80, identity=old.identity.model_copy(update={"locustfile_hash": "1"}))
    machine = capacity(80, environment=HERE | {"cpus": 8})
    for new, code in ((script, "other_script"), (machine, "other_machine")):
        found = compared(old, new)
        assert found.verdict == "cannot_tell"
        assert [note.code for note in found.notes] == [code]
        assert found.ratio.mid == pytest.approx(0.8)
    # another patch of a library is another environment, and no other machine
    assert compared(old, capacity(80, environment=HERE | {"numpy": "9"})).verdict == "different"


def test_an_endpoint_with_its_own_sla_is_compared_by_the_rate_that_it_sustains():
    def run(knee: float) -> Capacity:
        shares = [(0.5, 0.0002), (0.9, 0.02), (1.0, 0.05), (1.1, 0.12), (1.0, 0.05), (1.3, 0.4)]
        trials = tuple(trial(knee * x, 0.2, share, "GET /") for x, share in shares)
        return capacity(100, trials=trials)

    found = endpoint(run(200.0), run(120.0))
    assert found.measure == "sustained_rps"
    assert found.verdict == "different"
    # both knees are seen through the same curve, only scaled; how steep it is expected to be is not
    assert (found.ratio.low or 1.0) < 0.6 < (found.ratio.high or 0.0)
    assert found.ratio.mid == pytest.approx(0.6, rel=0.06)


def test_an_endpoint_without_an_sla_is_compared_by_its_latency_at_rates_both_held():
    rates = (10.0, 20.0, 40.0, 60.0, 95.0)
    old = capacity(100, trials=tuple(trial(r, 0.100 + r / 1e4, 0.0) for r in rates))
    new = capacity(100, trials=tuple(trial(r, 0.130 + r / 1e4, 0.0) for r in rates))
    found = endpoint(old, new)
    assert (found.measure, found.trials) == ("latency_s_p95", 4)  # 95 is too near saturation
    assert found.ratio.mid == pytest.approx(1.29, abs=0.01)
    assert found.verdict == "different"


def test_two_common_rates_are_too_few_to_compare_a_latency():
    old = capacity(100, trials=tuple(trial(r, 0.1, 0.0) for r in (10.0, 20.0, 45.0)))
    new = capacity(100, trials=tuple(trial(r, 0.2, 0.0) for r in (10.0, 20.0, 30.0)))
    found = endpoint(old, new)
    assert (found.verdict, found.trials, found.ratio.mid) == ("cannot_tell", 2, None)


def test_arrivals_that_never_started_are_no_endpoint_to_compare():
    mix = {"GET /": 0.9, NOT_STARTED: 0.1}
    found = compared(capacity(100, mix=mix), capacity(100, mix=mix))
    assert [one.endpoint for one in found.endpoints] == ["GET /"]


def capplan(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "capplan", "loadtest", *words],
        cwd=folder,
        env={"PYTHONPATH": str(ROOT), "TERM": "dumb", "COLUMNS": "80", "LC_ALL": "C.UTF-8"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_command_compares_two_files_and_needs_no_plan(tmp_path):
    write_result(tmp_path / "old.json", capacity(100))
    write_result(tmp_path / "new.json", capacity(80))
    done = capplan(tmp_path, "--compare", "old.json", "new.json")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("Different: the new one sustains less, 0.8 (0.747 to 0.857) of")
    done = capplan(tmp_path, "--compare", "old.json", "new.json", "--json")
    assert from_json(done.stdout, Comparison, "stdout").verdict == "different"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--compare", "old.json", "none.json"), "none.json does not exist"),
        (("sale.yaml", "--compare", "old.json", "old.json"), "sale.yaml is one too many"),
        (("--compare", "old.json", "old.json", "--reuse"), "--reuse does not go with --compare"),
        (("sale.yaml", "--paired", "a", "b", "--check"), "--check does not go with --paired"),
        ((), "the plan is missing"),
    ],
)
def test_what_makes_no_comparison_is_refused(tmp_path, words, message):
    write_result(tmp_path / "old.json", capacity(100))
    done = capplan(tmp_path, *words)
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr
    assert "hint:" in done.stderr
