"""Which resource stops the target: tables of what was used at and above the limit."""

from typing import Any

import pytest

from capplan.loadtest.bottleneck import find_bottleneck
from capplan.loadtest.evaluate import evaluate
from capplan.loadtest.probes.readings import Ceilings, Seen
from capplan.loadtest.resources import cpu_at, target_side, use_at
from capplan.loadtest.validity import Usage
from capplan.results.capacity import Binding, Trial
from capplan.results.resources import Resources, ResourceUse
from tests.loadtest.harness import SLA, recording


def trial(rate: float, outcome: str = "pass", served: float = 1.0, **use: Any) -> Trial:
    """A trial of 8 s that counts at this load, with what the target used."""
    judged = evaluate(recording([0.1] * 100), "refine", 2.0, SLA, {}, Usage())
    return judged.model_copy(
        update={
            "rate_rps": rate,
            "achieved_rps": rate,
            "served_rps": rate * served,
            "outcome": outcome,
            "resources": ResourceUse(samples=20, **use) if use else None,
        }
    )


def bottleneck(*trials: Trial, cores: float = 2.0, answer: float | None = 100.0, **more: Any):
    return find_bottleneck(
        trials, answer, Resources(seen_by=("processes",), cores=cores), more.get("binding")
    )


HELD = trial(90.0, cpu=0.5)


@pytest.mark.parametrize(
    ("use", "cores", "resource", "says"),
    [
        # requests wait for a CPU long before it is used up: what counts is the load above
        ({"cpu": 0.97}, 1.0, "cpu", "CPU 97% of its core at the limit"),
        ({"cpu": 0.9}, 4.0, "cpu", "CPU 90% of its 4 cores at the limit"),
        (
            {"cpu": 0.25, "busiest_thread_cores": 0.98},
            4.0,
            "one_core",
            "one thread used 98% of a core at the limit: CPU 25% of its 4 cores",
        ),
        # many threads that take turns, as under an interpreter's lock
        (
            {"cpu": 0.26, "busiest_thread_cores": 0.2, "busiest_process_cores": 1.02},
            4.0,
            "one_core",
            "one process used 100% of a core",
        ),
        # on two cores of its own a process that uses two is no such case
        (
            {"cpu": 0.5, "busiest_thread_cores": 0.5, "busiest_process_cores": 2.0},
            4.0,
            "elsewhere",
            "CPU 50% of its 4 cores at the limit: not the CPU",
        ),
        (
            {
                "cpu": 0.2,
                "busiest_thread_cores": 0.4,
                "busiest_thread_wait": 0.55,
                "waiting_threads": 0.55,
            },
            2.0,
            "machine",
            "CPU 20% of its 2 cores at the limit, and a thread of it had to wait for a core",
        ),
        (
            {"cpu": 0.5, "waiting_threads": 1.2, "busiest_thread_cores": 0.3},
            2.0,
            "machine",
            "1.2 threads of it had to wait",
        ),
        # a target that hardly wants a CPU is not held up by others
        (
            {
                "cpu": 0.02,
                "busiest_thread_cores": 0.04,
                "busiest_thread_wait": 0.2,
                "waiting_threads": 0.2,
            },
            2.0,
            "elsewhere",
            "CPU 2% of its 2 cores at the limit: not the CPU",
        ),
        ({"cpu": 0.3, "memory": 0.95}, 2.0, "memory", "memory 95% of what the target may have"),
        ({"cpu": 0.3, "open_files_share": 0.97}, 2.0, "open_files", "open files 97%"),
        ({"cpu": 0.3, "network": 0.93}, 2.0, "network", "the network 93% of its speed"),
        ({"cpu": 0.7}, 2.0, "unclear", "enough for requests to wait for it"),
        ({"memory": 0.4}, 2.0, "unclear", "the CPU was not seen"),
        (
            {"cpu": 0.41, "memory": 0.2, "open_files_share": 0.05},
            2.0,
            "elsewhere",
            "CPU 41% of its 2 cores at the limit: not the CPU (memory 20%, open files 5%)",
        ),
    ],
)
def test_the_resource_that_is_used_up_above_the_answer_is_named(use, cores, resource, says):
    found = bottleneck(HELD, trial(130.0, "fail", **use), cores=cores)
    assert found is not None
    assert found.resource == resource
    assert says in found.message
    assert (found.from_rps, found.to_rps) == (130.0, 130.0)
    assert found.advice


def test_a_target_that_cannot_serve_what_is_sent_and_has_cpu_left_waits_for_something_else():
    found = bottleneck(HELD, trial(130.0, "fail", served=0.6, cpu=0.75))
    assert found is not None
    assert found.resource == "elsewhere"


def test_the_most_that_was_used_counts():
    found = bottleneck(trial(101.0, "fail", cpu=0.7), trial(160.0, "fail", cpu=0.96), cores=1.0)
    assert found is not None
    assert (found.resource, found.share) == ("cpu", pytest.approx(0.96))
    assert (found.from_rps, found.to_rps) == (101.0, 160.0)


def test_nothing_is_said_without_a_failed_trial_or_without_a_look_at_the_target():
    assert bottleneck(trial(90.0, cpu=0.99)) is None
    assert bottleneck(HELD, trial(130.0, "fail")) is None
    assert find_bottleneck([trial(130.0, "fail", cpu=1.0)], 100.0, None, None) is None
    # in a trial that was worthless the target was not under the load that was asked
    assert bottleneck(HELD, trial(130.0, "invalid", cpu=1.0), trial(140.0, "fail")) is None


def test_without_an_answer_the_lowest_failed_trial_is_where_the_limit_is():
    found = bottleneck(trial(5.0, "fail", cpu=0.05), answer=None)
    assert found is not None
    assert (found.resource, found.from_rps) == ("elsewhere", 5.0)


def test_failures_that_bind_are_named_by_their_most_frequent_error():
    refused = trial(130.0, "fail", cpu=0.2).model_copy(update={"errors": {"HTTP 503.": 40}})
    binding = Binding(
        endpoint=None, name="failures", limit=0.01, allowed=0.01, exceedance=0.3, from_rps=1.0,
        to_rps=2.0,
    )  # fmt: skip
    found = bottleneck(HELD, refused, binding=binding)
    assert found is not None
    assert found.message.endswith("; requests failed with HTTP 503")


# at the sustained rate


def test_the_cpu_at_the_answer_is_on_the_line_through_the_trials_around_it():
    # 10 % at rest and 0.5 % for each request/s
    found = cpu_at([trial(r, cpu=0.1 + 0.005 * r) for r in (60.0, 80.0, 105.0)], 100.0)
    assert found is not None
    assert (found.mid, found.idle, found.per_rps) == pytest.approx((0.6, 0.1, 0.005))
    assert (found.low, found.high) == pytest.approx((0.6, 0.6))
    assert found.trials == 3


def test_a_cpu_that_is_used_up_and_trials_far_away_do_not_bend_the_line():
    line = [trial(r, cpu=0.1 + 0.005 * r) for r in (60.0, 80.0, 105.0)]
    far = [trial(5.0, cpu=0.5), trial(400.0, "fail", cpu=1.0), trial(90.0, "invalid", cpu=0.9)]
    short = trial(104.0, "fail", cpu=0.2).model_copy(update={"ended_early": True})
    found = cpu_at([*far, *line, short], 100.0)
    assert found is not None
    assert found.mid == pytest.approx(0.6)


def test_one_trial_is_scaled_with_the_load_and_says_nothing_of_its_doubt():
    found = cpu_at([trial(80.0, cpu=0.4)], 100.0)
    assert found is not None
    assert found.mid == pytest.approx(0.5)
    assert (found.low, found.high) == (None, None)


def test_a_share_stays_between_nothing_and_all():
    found = cpu_at([trial(80.0, cpu=0.9)], 100.0)
    assert found is not None
    assert found.mid == 1.0


def test_what_else_was_used_is_the_mean_of_the_trials_near_the_answer():
    near = [
        trial(95.0, memory_bytes=100.0, metrics={"db": 4.0, "queue": None}),
        trial(105.0, memory_bytes=300.0, metrics={"db": 6.0, "queue": None}),
        trial(20.0, memory_bytes=1.0, metrics={"db": 1.0, "queue": 1.0}),
    ]
    use = use_at(near, 100.0)
    assert use is not None
    assert use.memory_bytes == pytest.approx(200.0)
    assert use.metrics == {"db": pytest.approx(5.0), "queue": None}
    assert use.cpu is None
    nearest = use_at(near, 40.0)
    assert nearest is not None
    assert nearest.memory_bytes == 1.0


def test_a_target_of_which_nothing_was_seen_has_no_side():
    assert target_side([trial(100.0)], 100.0, Seen(("processes",), (), Ceilings(2.0, 1.0))) is None
    assert target_side([trial(100.0, cpu=0.4)], 100.0, Seen()) is None
    seen = target_side([trial(100.0, cpu=0.4)], 100.0, Seen(("processes",), (), Ceilings(2.0, 8.0)))
    assert seen is not None
    assert (seen.cores, seen.memory_limit_bytes, seen.samples) == (2.0, 8.0, 20)
    assert seen.cpu_at_sustained is not None
    unknown = target_side([trial(100.0, cpu=0.4)], None, Seen(("prometheus",)))
    assert unknown is not None
    assert unknown.cpu_at_sustained is None
