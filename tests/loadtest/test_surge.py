"""Phases against a real server: what retries do to it, and what a bounded queue saves.

A server of two slots and 40 ms serves μ = 50 requests/s. Clients wait T = 0.5 s and ask A = 3
times, so at 36/s (0.8x of 45/s) their attempts alone are up to 108/s once all of them time out:
more than μ, and the overload keeps itself up. A queue of 10 ≤ μT = 25 never makes anyone wait for
T, so the same clients find it well again.
"""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest

from capplan.errors import SetupError
from capplan.loadtest.generators.engine import Engine
from capplan.loadtest.job import Watching
from capplan.loadtest.phases.asked import AskedPhases, Surge
from capplan.loadtest.phases.overload import Definitions
from capplan.loadtest.phases.run import PhaseRun, Setting
from capplan.loadtest.probes.probe import Probe
from capplan.loadtest.protocol import Retry
from capplan.loadtest.search.policy import Bounds
from capplan.model.service_time import Exponential
from capplan.refserver import RefServer, RefServerConfig
from capplan.results.phases import Overload, Phases
from tests.loadtest.harness import job, script

pytestmark = pytest.mark.load

PAGE = """
class Buyer(FastHttpUser):
    @task
    def look(self):
        self.client.get("/")
"""
NOW = datetime(2026, 11, 24, tzinfo=UTC)


def hold(folder, url, asked: AskedPhases, rate_rps: float = 45.0) -> Phases:
    work = job(script(folder, PAGE), url, timeout_s=0.5)
    setting = Setting(
        job=work,
        bounds_rps=Bounds(),
        rate_rps=rate_rps,
        low_rps=rate_rps,
        per_arrival=1.0,
        retry=Retry(attempts=3, timeout_s=0.5, backoff_s=0.05, jitter=0.5),
        made_at=lambda: NOW,
        memory_bytes=Probe.of(url, Watching()).memory_bytes,
        definitions=Definitions(recovered_s=2.0, metastable_s=3.0),
        openings=2,
        steady_s=2.0,
        before_s=2.0,
    )
    with Engine(work.worker, work.log) as engine:
        run = PhaseRun(engine, setting, 0, lambda progress: None)
        run.run(asked, lambda phases: None)
    return run.found


def overloaded(folder, queue: int | None) -> Overload:
    folder.mkdir()
    with RefServer(RefServerConfig(2, Exponential(0.04), queue=queue, lifetime_s=60)) as server:
        found = hold(folder, server.url, AskedPhases(overload=Surge(3.0, 2.0))).overload
    assert found is not None
    return found


def good_in_the_end(overload: Overload) -> float:
    return sum(overload.series.goodput[-2:]) / sum(overload.series.offered[-2:])


def test_retries_keep_an_endless_queue_overloaded_and_a_bounded_one_comes_back(tmp_path):
    # at the same time: neither server works with its CPU, and two cores are plenty for the clients
    folders = tmp_path / "endless", tmp_path / "bounded"
    with ThreadPoolExecutor() as pool:
        endless, bounded = pool.map(overloaded, folders, (None, 10))
    # none of 72 requests against nearly all: a stall of the machine moves neither past a half
    assert good_in_the_end(endless) < 0.5 < good_in_the_end(bounded)
    assert endless.outcome in ("metastable", "unknown")  # unknown when the generator was stalled
    assert bounded.outcome != "metastable"
    assert sum(endless.series.shed) == 0
    assert sum(endless.series.timed_out) > sum(endless.series.lost)  # three attempts for each
    assert sum(bounded.series.shed) > 0
    before, during, after = endless.parts
    assert (before.name, during.name, after.name) == ("before", "during", "after")
    # 36 and 135 requests/s for two seconds: Poisson counts within four standard errors
    assert before.offered_rps == pytest.approx(36, abs=17)
    assert during.offered_rps == pytest.approx(135, abs=33)
    # every first attempt is lost, and two more follow it
    assert after.attempts_rps > 1.5 * after.offered_rps


def test_an_opening_and_a_soak_state_what_they_saw(tmp_path):
    with RefServer(RefServerConfig(4, Exponential(0.01), lifetime_s=90)) as server:
        found = hold(tmp_path, server.url, AskedPhases(opening=True, soak_s=4.0), 40.0)
        served = server.stats()
    opening, soak = found.opening, found.soak
    assert opening is not None
    assert soak is not None
    assert opening.repetitions == 2
    assert [w.start_s for w in opening.windows] == [0.0, 1.0, 2.0]
    strangers = sum(window.requests for window in opening.windows)
    assert sum(window.connects for window in opening.windows) == strangers
    assert sum(window.connects_failed for window in opening.windows) == 0
    assert opening.steady.connects == 0  # they keep their connections
    # 6 s of openings at 40/s
    assert strangers == pytest.approx(240, abs=4 * 240**0.5)
    assert {drift.quantity for drift in soak.drifts} == {"latency_s", "memory_bytes"}
    assert soak.rate_rps == pytest.approx(36.0)
    assert soak.requests == pytest.approx(36 * 3.6, abs=4 * (36 * 3.6) ** 0.5)
    memory = next(drift for drift in soak.drifts if drift.quantity == "memory_bytes")
    assert 10e6 < memory.mean < 1e9  # one Python process with numpy
    assert served["served"] >= strangers + opening.steady.requests + soak.requests


def test_a_generator_that_dies_ends_the_phases_with_a_note(tmp_path):
    class Dead(Engine):
        def trial(self, spec, watch):
            raise SetupError("the load generator ended by itself (code -9)", "see its log")

    work = job(script(tmp_path, PAGE), "http://127.0.0.1:9")
    setting = Setting(
        work, Bounds(), 1.0, 1.0, 1.0, Retry(1, 1.0, 0.0, 0.0), lambda: NOW, lambda: None
    )
    run = PhaseRun(Dead(work.worker, work.log), setting, 0, lambda progress: None)
    run.run(AskedPhases(opening=True, soak_s=20.0), lambda phases: None)
    assert run.found.opening is None
    (note,) = run.found.notes
    assert note.code == "phase_failed"
    assert "the opening ended: the load generator ended by itself" in note.message
