"""The engine: an open workload, one trial after the other, and a child that leaves nothing."""

import os
from pathlib import Path

import numpy as np
import psutil
import pytest

from capplan.errors import SetupError
from capplan.loadtest.evaluate import evaluate
from capplan.loadtest.generators.engine import Engine
from capplan.loadtest.protocol import SUCCESS
from capplan.loadtest.recording import Recording
from capplan.loadtest.validity import Usage
from capplan.model.service_time import Deterministic
from capplan.refserver import RefServer, RefServerConfig
from tests.loadtest.harness import SLA, engine, received, run, script, spec, to_the_end, worker

pytestmark = pytest.mark.load

ONE_PAGE = """
class Buyer(FastHttpUser):
    wait_time = constant(30)

    @task
    def t(self):
        self.client.get("/a")
"""


def ref_server(slots: int, service_s: float) -> RefServer:
    return RefServer(RefServerConfig(slots, Deterministic(service_s), lifetime_s=60.0))


def starts_s(made: Recording) -> list[float]:
    return sorted(made.rows().intended_s.tolist())


# the open workload


def test_a_slow_server_gets_all_the_load_that_was_asked_for(tmp_path):
    """Users that wait for their answers would send a server of 10/s no more than 10/s."""
    with ref_server(slots=1, service_s=0.1) as slow, received(slow) as counted:
        made = run(script(tmp_path, ONE_PAGE), slow.url, spec(60.0, 0.8, users=100), timeout_s=1.0)
    assert made.state["issued"] == made.state["due"] > 35
    assert made.state["starved"] == 0
    assert counted.total() == made.count == made.state["issued"]


def test_a_pool_that_runs_dry_grows_during_the_trial(tmp_path):
    with ref_server(slots=8, service_s=0.1) as slow:
        load = spec(60.0, 1.0, users=2, max_users=100)
        made = run(script(tmp_path, ONE_PAGE), slow.url, load)
    assert made.state["starved"] > 0
    assert 2 < made.state["users"] <= 100
    assert made.count == made.state["issued"]
    assert set(made.rows().ending) == {SUCCESS}


def test_the_next_trial_after_an_overload_finds_an_idle_server(tmp_path):
    # four slots of 20 ms carry 200/s
    with ref_server(slots=4, service_s=0.02) as target:
        with engine(script(tmp_path, ONE_PAGE), target.url) as child:
            flood = child.trial(spec(400.0, 0.6, users=150, max_users=400), to_the_end)
            between = target.stats()
            calm = child.trial(spec(60.0, index=1, users=150), to_the_end)
        after = target.stats()
    for made in (flood, calm):
        assert (made.state["in_flight"], made.state["queued"]) == (0, 0)
        assert made.count == made.state["issued"]
        assert set(made.rows().ending) == {SUCCESS}
    assert (between["in_flight"], between["received"]) == (0, flood.count)
    assert calm.state["starved"] == 0
    assert after["received"] == flood.count + calm.count


def test_lateness_is_kept_apart_from_latency(tmp_path):
    """One user serves all arrivals: each starts when the one before has been answered."""
    with ref_server(slots=4, service_s=0.05) as target:
        load = spec(40.0, 0.6, users=1, max_users=1, give_up_s=9.0)
        made = run(script(tmp_path, ONE_PAGE), target.url, load)
    got = made.rows()
    start_s = got.intended_s + got.lateness_s
    end_s = start_s + got.latency_s
    assert len(got) == made.state["issued"] > 15
    assert made.state["starved"] > 10
    # lateness and latency are single precision
    assert (start_s[1:] >= end_s[:-1] - 1e-3).all()
    assert (got.latency_s >= 0.05 - 1e-3).all()
    # the wait for a user is in the sojourn time, and is not held against the generator
    assert got.sojourn_s == pytest.approx(got.latency_s + got.lateness_s)
    assert made.state["lateness_s_p99"] < got.lateness_s.max()


# the schedule


def test_arrivals_are_poisson(tmp_path):
    """The counts in 150 bins of 10 ms, 4 arrivals each, vary as much as their mean.

    For a Poisson process the index of dispersion, variance/mean, is χ²₁₄₉/149 with a standard
    deviation of √(2/149) = 0.116; four of them make the band. A clock gives 0, a closed loop of
    some users a value well below one. The mean of n gaps has the relative deviation 1/√n, and the
    share of gaps over the mean is 1/e, with the standard deviation √(e⁻¹(1 − e⁻¹)/n). The seed is
    fixed.
    """
    with ref_server(slots=64, service_s=0.001) as target:
        made = run(script(tmp_path, ONE_PAGE), target.url, spec(400.0, 1.5, users=60))
    starts = np.array(starts_s(made))
    assert len(starts) == made.state["due"]
    counts, _ = np.histogram(starts, bins=150, range=(0.0, 1.5))
    assert counts.var(ddof=1) / counts.mean() == pytest.approx(1.0, abs=4 * (2 / 149) ** 0.5)
    gaps = np.diff(starts)
    assert gaps.mean() * 400.0 == pytest.approx(1.0, abs=4 / len(gaps) ** 0.5)
    e = np.exp(-1)
    assert (gaps > 1 / 400.0).mean() == pytest.approx(e, abs=4 * (e * (1 - e) / len(gaps)) ** 0.5)


def test_a_load_without_arrivals_is_held_to_its_end(tmp_path):
    """Else its rates, and the share of a core that it took, would be of an instant."""
    with ref_server(64, 0.001) as target:
        made = run(script(tmp_path, ONE_PAGE), target.url, spec(0.001, 0.3))
    assert (made.count, made.tickets_due) == (0, 0)
    assert made.state["held_s"] >= 0.3
    judged = evaluate(made, "probe", 0.0, SLA, {}, Usage())
    assert "no_requests" in {note.code for note in judged.notes}
    assert judged.health.generator_cpu < 1.0


def test_the_schedule_follows_from_the_seed(tmp_path):
    with (
        ref_server(slots=64, service_s=0.001) as target,
        engine(script(tmp_path, ONE_PAGE), target.url) as child,
    ):
        first, second, other = (
            starts_s(child.trial(spec(index=k, seed=seed), to_the_end))
            for k, seed in enumerate([7, 7, 8])
        )
    assert second == pytest.approx(first, abs=1e-6)
    assert other[:10] != pytest.approx(first[:10], abs=1e-6)
    assert 0 <= first[0] < first[-1] < 0.4


# one trial at a time


def test_a_watcher_ends_a_trial_early(tmp_path):
    with (
        ref_server(slots=64, service_s=0.001) as target,
        engine(script(tmp_path, ONE_PAGE), target.url) as child,
    ):
        ended = child.trial(spec(100.0, 60.0), lambda made: made.count > 10)
        whole = child.trial(spec(index=1), to_the_end)
        received_in_all = target.stats()["received"]
    assert ended.ended_early
    assert ended.state["held_s"] < 30.0
    assert 10 < ended.count == ended.state["issued"]
    assert not whole.ended_early
    assert received_in_all == ended.count + whole.count


def test_users_that_hang_are_replaced_before_the_next_trial(tmp_path):
    body = """
    class Buyer(FastHttpUser):
        hung = 0

        @task
        def t(self):
            self.client.get("/a")
            Buyer.hung += 1
            if Buyer.hung <= 5:
                gevent.sleep(60)
    """
    with (
        ref_server(slots=64, service_s=0.001) as target,
        engine(script(tmp_path, body), target.url, timeout_s=0.3) as child,
    ):
        trials = [child.trial(spec(index=k), to_the_end) for k in range(2)]
    for made in trials:
        assert made.count == made.state["issued"]
        assert made.state["in_flight"] == 0
        assert made.state["ready"] == 20


def test_a_recording_grows_while_the_load_is_held(tmp_path):
    counts: list[int] = []

    def watch(made: Recording) -> bool:
        counts.append(made.count)
        return False

    with (
        ref_server(slots=64, service_s=0.001) as target,
        engine(script(tmp_path, ONE_PAGE), target.url) as child,
    ):
        made = child.trial(spec(), watch)
    assert counts == sorted(counts)
    assert len(set(counts)) > 2
    assert made.count == made.state["issued"]


# the child process


def test_the_child_is_gone_when_the_engine_is_left(tmp_path):
    with ref_server(slots=1, service_s=0.001) as target:
        with engine(script(tmp_path, ONE_PAGE), target.url) as child:
            assert psutil.pid_exists(child.pids[0])
        assert not psutil.pid_exists(child.pids[0])
        with (
            pytest.raises(ZeroDivisionError),
            engine(script(tmp_path, ONE_PAGE), target.url) as child,
        ):
            raise ZeroDivisionError
        assert not psutil.pid_exists(child.pids[0])


def test_the_child_has_a_session_of_its_own(tmp_path):
    """So Ctrl-C on the terminal reaches only the parent, which then ends the load."""
    with (
        ref_server(slots=1, service_s=0.001) as target,
        engine(script(tmp_path, ONE_PAGE), target.url) as child,
    ):
        assert os.getsid(child.pids[0]) == child.pids[0] != os.getsid(0)


def test_what_a_script_prints_is_in_the_log(tmp_path):
    body = """
    print("loaded")

    class Buyer(FastHttpUser):
        @task
        def t(self):
            print("bought")
            self.client.get("/a")
    """
    locustfile = script(tmp_path, body)
    with ref_server(slots=1, service_s=0.001) as target, engine(locustfile, target.url) as child:
        child.check()
    assert child.log.read_text().split() == ["loaded", "bought"]


def test_modules_beside_the_plan_do_not_stand_in_for_real_ones(tmp_path, monkeypatch):
    for name in ("locust", "calendar", "queue", "capplan"):
        (tmp_path / f"{name}.py").write_text("raise RuntimeError('the wrong module')\n")
    locustfile = script(tmp_path, ONE_PAGE)
    monkeypatch.chdir(tmp_path)
    with ref_server(slots=1, service_s=0.001) as target, engine(locustfile, target.url) as child:
        (visit,) = child.check()
    assert visit.error is None


def test_a_script_may_import_its_neighbours(tmp_path):
    (tmp_path / "pages.py").write_text('FRONT = "/front"\n')
    body = """
    from pages import FRONT

    class Buyer(FastHttpUser):
        @task
        def t(self):
            self.client.get(FRONT)
    """
    locustfile = script(tmp_path, body)
    with ref_server(slots=1, service_s=0.001) as target, engine(locustfile, target.url) as child:
        (visit,) = child.check()
    assert [call["name"] for call in visit.calls] == ["GET /front"]


def test_a_log_that_cannot_be_written_is_a_setup_error(tmp_path):
    config = worker(script(tmp_path, ONE_PAGE), "http://127.0.0.1:1")
    with pytest.raises(SetupError, match="could not start"), Engine(config, Path(tmp_path)):
        pass
