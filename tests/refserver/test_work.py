import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capplan.model.finite_queue import met
from capplan.model.ggc import fifo_sojourns_s
from capplan.model.service_time import Deterministic, Exponential
from capplan.refserver import RefServerConfig
from capplan.refserver.work import OTHER, Work


def work(**changes: Any) -> Work:
    config = replace(RefServerConfig(2, Deterministic(1.0)), **changes)
    return Work(config, started_s=100.0)


def poisson_arrivals(rate_rps: float, count: int) -> list[float]:
    arrivals: list[float] = np.cumsum(
        np.random.default_rng(5).exponential(1 / rate_rps, count)
    ).tolist()
    return arrivals


def test_jobs_are_finished_when_the_queue_in_virtual_time_says():
    server = work()
    jobs = [server.arrive(now, "GET /") for now in (100.0, 100.2, 100.4, 109.0)]
    assert [job and job.finish_s for job in jobs] == [101.0, 101.2, 102.0, 110.0]


def test_services_follow_the_seed_in_order_of_arrival():
    arrivals = poisson_arrivals(150, 300)
    config = RefServerConfig(4, Exponential(0.02), seed=3)
    server = Work(config, 0.0)
    finishes = [job.finish_s for now in arrivals if (job := server.arrive(now, "GET /"))]
    services = Exponential(0.02).sample(np.random.default_rng([3, 0]), 4096)[:300]
    expected = fifo_sojourns_s(np.array(arrivals), services, 4) + arrivals
    assert finishes == pytest.approx(expected.tolist(), abs=1e-12)


def test_a_busy_second_refuses_the_share_that_was_asked_for():
    # one arrival per ms, 500 allowed in a second: from the 501st on half of them are refused
    server = work(slots=10, fail_above_rps=500.0, fail_share=0.5)
    refused = [server.arrive(100 + k / 1000, "GET /") is None for k in range(10_000)]
    assert not any(refused[:500])
    # four standard deviations of 9,500 coins
    assert sum(refused) == pytest.approx(4750, abs=4 * math.sqrt(9500) / 2)


def test_refusals_end_one_second_after_the_burst():
    server = work(fail_above_rps=3.0, fail_share=1.0)
    times = [100.0, 100.1, 100.2, 100.3, 101.05, 101.31, 101.32]
    jobs = [server.arrive(now, "GET /") for now in times]
    # the fourth sees four; the fifth sees .1 to .3 and itself; later only two or three are left
    assert [job is None for job in jobs] == [False, False, False, True, True, False, False]


def test_a_refused_arrival_leaves_the_luck_of_the_later_ones_as_it_was():
    calm = work(service=Exponential(1.0))
    failing = work(service=Exponential(1.0), fail_above_rps=1.0, fail_share=1.0)
    for now in (100.0, 100.5):
        calm.arrive(now, "GET /")
        failing.arrive(now, "GET /")
    late_calm, late_failing = calm.arrive(200.0, "GET /"), failing.arrive(200.0, "GET /")
    assert late_calm is not None
    assert late_calm == late_failing


def test_a_full_queue_refuses_until_somebody_is_served():
    server = work(queue=2)
    # two are served from 0 to 1, two wait, the fifth is refused; at 1 the two are served
    jobs = [server.arrive(now, "GET /") for now in (0.0, 0.0, 0.1, 0.2, 0.3, 1.0, 1.1, 1.2)]
    assert [job and job.finish_s for job in jobs] == [1.0, 1.0, 2.0, 2.0, None, 3.0, 3.0, None]


def test_a_queue_without_a_place_serves_who_finds_a_free_slot():
    server = work(queue=0)
    jobs = [server.arrive(now, "GET /") for now in (0.0, 0.5, 0.6, 1.0, 1.2)]
    assert [job is not None for job in jobs] == [True, True, False, True, False]


def test_a_poisson_stream_is_refused_as_often_as_theory_says():
    server = work(slots=4, service=Exponential(0.02), queue=6)
    refused = [server.arrive(now, "GET /") is None for now in poisson_arrivals(240, 40_000)]
    # load 1.2: the queue forgets within some 0.1 s, so 167 s hold more than a thousand episodes
    assert np.mean(refused) == pytest.approx(met(4, 6, 240 * 0.02)[-1], rel=0.06)


@settings(deadline=None)
@given(
    steps=st.lists(
        st.tuples(st.floats(0.0, 0.5), st.sampled_from(["arrive", "answer", "abandon"])),
        max_size=80,
    )
)
def test_every_request_is_served_failed_abandoned_or_in_flight(steps):
    server, now, jobs, arrived = work(fail_above_rps=4.0), 100.0, [], 0
    for gap, event in steps:
        now += gap
        if event == "arrive":
            arrived += 1
            if job := server.arrive(now, "GET /"):
                jobs.append(job)
        elif jobs:
            server.finish(jobs.pop(0), now, delivered=event == "answer")
    report = server.report(now)
    assert report["received"] == arrived == sum(report["endpoints"].values())
    assert report["in_flight"] == len(jobs)
    assert arrived == sum(report[key] for key in ("served", "failed", "abandoned", "in_flight"))


def test_the_report_tells_times_since_the_start_and_the_utilisation():
    server = work()
    jobs = [server.arrive(now, f"GET /{now:g}") for now in (101.0, 101.0, 101.5)]
    for job in jobs:
        assert job is not None
        server.finish(job, job.finish_s + 0.01, delivered=True)
    report = server.report(110.0)
    assert (report["first_arrival_s"], report["last_arrival_s"]) == (1.0, 1.5)
    assert report["uptime_s"] == 10.0
    assert report["arrival_rps"] == 4.0
    assert report["busy_s"] == 3.0
    assert report["utilisation"] == 0.75  # 3 s of work in 2 slots × (103 − 101) s
    assert report["sojourn_s_mean"] == pytest.approx((1 + 1 + 1.5) / 3)
    assert report["lateness_s_mean"] == pytest.approx(0.01)
    assert report["lateness_s_max"] == pytest.approx(0.01)
    assert report["endpoints"] == {"GET /101": 2, "GET /101.5": 1}


def test_a_server_without_requests_reports_nothing_rather_than_zero():
    report = work().report(100.0)
    assert {report[key] for key in ("first_arrival_s", "utilisation", "sojourn_s_mean")} == {None}
    assert report["received"] == 0


def test_endpoints_beyond_the_first_thousand_are_counted_together():
    server = work()
    for k in range(1_005):
        server.arrive(100.0 + k, f"GET /{k}")
    endpoints = server.report(2000.0)["endpoints"]
    assert len(endpoints) == 1_001
    assert endpoints[OTHER] == 5
