"""The target's side of real load tests: one server burns its CPU, the other waits for a slot."""

from dataclasses import replace

import psutil
import pytest

from capplan.loadtest import measure as measuring
from capplan.loadtest.job import Watching
from capplan.loadtest.measure import Measurement, measure
from capplan.loadtest.probes import limits
from tests.loadtest.harness import job, script
from tests.loadtest.shops import shop

pytestmark = pytest.mark.load

UNSAID = Watching()
PAGE = """
class Buyer(FastHttpUser):
    @task
    def look(self):
        self.client.get("/")
"""


def measured(folder, url, watching: Watching = UNSAID) -> Measurement:
    asked = replace(job(script(folder, PAGE), url, time_budget_s=8.0), watching=watching)
    return measure(asked, lambda _: None, lambda _: None)


def hindered(found: Measurement) -> bool:
    """Whether others took the generator's core, so that nothing was held above the limit.

    That is no answer, and has to say why.
    """
    if any(t.outcome == "fail" for t in found.trials):
        return False
    assert (found.verdict, found.bottleneck) == ("inconclusive", None)
    weak = {"generator_limit", "late_arrivals", "generator_busy", "arrivals_lost"}
    assert weak & {note.code for note in found.notes}
    return True


@pytest.fixture
def near_the_limit(monkeypatch):
    """Begin at 60/s: a trial that has to be repeated must not leave too little time to fail one."""
    monkeypatch.setattr(measuring, "FIRST_RATE", 60.0)


@pytest.mark.usefixtures("near_the_limit")
def test_a_server_that_burns_its_cpu_is_limited_by_it(tmp_path):
    # 8 ms of one thread: 125/s at most
    with shop("burn", 0.008) as (url, pid):
        found = measured(tmp_path, url)
    assert found.resources is not None
    assert [p.pid for p in found.resources.processes] == [pid]
    if hindered(found):
        return
    assert found.bottleneck is not None
    # by itself, for want of a second thread, or because the generator took its core; where others
    # took that too, it is left open, but never said to be something else
    assert found.bottleneck.resource in {"cpu", "one_core", "machine", "unclear"}
    known = found.resources.cpu_at_sustained
    assert known is not None
    assert found.resources.cores is not None
    # 8 ms a request and what the sockets cost, which is less than as much again: the interval says
    # so, however wide a crowded machine makes it
    requests_per_core_s = known.rate_rps / found.resources.cores
    assert (known.low or 0.0) <= 0.016 * requests_per_core_s
    assert (known.high or 1.0) >= 0.008 * requests_per_core_s


@pytest.mark.usefixtures("near_the_limit")
def test_a_server_that_waits_for_something_else_is_not_limited_by_its_cpu(tmp_path):
    # two slots of 20 ms: 100/s at most, and no CPU to speak of
    with shop("wait", 0.02, 2) as (url, _):
        found = measured(tmp_path, url)
    seen = [t.resources for t in found.trials if t.outcome != "invalid"]
    assert all(use is not None and use.open_files for use in seen)
    if hindered(found):
        return
    assert found.bottleneck is not None
    assert found.bottleneck.resource == "elsewhere"
    assert "not the CPU" in found.bottleneck.message


def test_a_limit_on_the_cpu_ends_the_search_below_what_the_sla_allows(tmp_path):
    # 2 ms of one thread: 500/s at most, and a tenth of a core at 50/s
    limit = 0.1 / limits.cores([psutil.Process()])
    with shop("burn", 0.002) as (url, _):
        found = measured(tmp_path, url, Watching(limits={"cpu": limit}))
    if hindered(found):
        return
    assert found.binding is not None
    assert (found.binding.name, found.binding.limit) == ("cpu", limit)
    assert found.bottleneck is not None
    assert found.bottleneck.resource == "cpu"
    assert "which the plan limits" in found.bottleneck.message
    assert found.bounds_rps.low is not None
    # what the sockets cost comes on top of the 2 ms
    assert found.bounds_rps.low < 50.0
    failed = [t for t in found.trials if t.outcome == "fail"]
    assert any(not c.held and c.of_target for t in failed for c in t.criteria)
