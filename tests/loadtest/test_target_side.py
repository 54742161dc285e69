"""The target's side of real load tests: one server burns its CPU, the other waits for a slot."""

import pytest

from capplan.loadtest.measure import Measurement, measure
from tests.loadtest.harness import job, script
from tests.loadtest.shops import shop

pytestmark = pytest.mark.load

PAGE = """
class Buyer(FastHttpUser):
    @task
    def look(self):
        self.client.get("/")
"""


def measured(folder, url) -> Measurement:
    return measure(
        job(script(folder, PAGE), url, time_budget_s=8.0), lambda _: None, lambda _: None
    )


def test_a_server_that_burns_its_cpu_is_limited_by_it_and_one_that_waits_is_not(tmp_path):
    # 8 ms of one thread: 125/s at most
    with shop("burn", 0.008) as (url, pid):
        found = measured(tmp_path, url)
    assert found.resources is not None
    assert [p.pid for p in found.resources.processes] == [pid]
    assert found.bottleneck is not None
    # by itself, for want of a second thread, or because the generator took its core
    assert found.bottleneck.resource in {"cpu", "one_core", "machine"}
    known = found.resources.cpu_at_sustained
    assert known is not None
    assert found.resources.cores is not None
    # 8 ms a request and what the sockets cost, which is less than as much again; a trial near the
    # answer has about a hundred requests, so what one of them took is known to 10 %
    assert 0.0064 <= known.mid * found.resources.cores / known.rate_rps <= 0.016

    # two slots of 20 ms: 100/s at most, and no CPU to speak of
    with shop("wait", 0.02, 2) as (url, _):
        found = measured(tmp_path, url)
    assert found.bottleneck is not None
    assert found.bottleneck.resource == "elsewhere"
    assert "not the CPU" in found.bottleneck.message
    seen = [t.resources for t in found.trials if t.outcome != "invalid"]
    assert all(use is not None and use.open_files for use in seen)
