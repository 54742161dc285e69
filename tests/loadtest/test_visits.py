"""The unit of arrival ``visit`` with real scripts: each ticket is a new user with a whole visit.

Each test runs a script in a child process and compares what was recorded with what the server says
it received. Visitors come for a while and then nobody does, so that every visit ends within its
trial and all counts are exact.
"""

import socket
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from benchmarks.units import KINDS, SERVICE_S, SLOTS, sojourns_s
from capplan.errors import UsageError
from capplan.loadtest import measure
from capplan.loadtest.evaluate import evaluate
from capplan.loadtest.protocol import FAILURE, NOT_ASKED, SUCCESS, TASK_FAILED, TrialSpec
from capplan.loadtest.validity import Usage
from capplan.model.queueing import mmc_mean_wait_s, mmc_sojourn_tail
from capplan.model.service_time import Deterministic, Exponential
from capplan.refserver import RefServer, RefServerConfig
from tests.loadtest.harness import (
    SLA,
    both,
    engine,
    job,
    received,
    requests,
    script,
    server,
    spec,
    to_the_end,
)

pytestmark = pytest.mark.load


@pytest.fixture(scope="module")
def target() -> Iterator[RefServer]:
    with RefServer(RefServerConfig(64, Deterministic(0.001), lifetime_s=300.0)) as started:
        yield started


def crowd(visits_per_s: float, come_s: float = 0.5, stay_s: float = 1.0) -> TrialSpec:
    """Visitors who come for a while and then have time to leave; about sixty at 120/s."""
    load = spec(visits_per_s, come_s + stay_s, give_up_s=5.0)
    return replace(load, steps=((come_s, 1.0), (stay_s, 0.0)))


EVERY_KIND = """
class Plain(HttpUser):
    wait_time = constant(0.03)

    @task(2)
    def a(self):
        self.client.get("/plain/a")

    @task
    def b(self):
        self.client.get("/plain/b")

class Shelf(TaskSet):
    @task
    def a(self):
        self.client.get("/nested/a")

    @task
    def leave(self):
        self.client.get("/nested/b")
        self.interrupt(reschedule=False)

class Nested(FastHttpUser):
    wait_time = constant(0.03)
    tasks = [Shelf]

    @task
    def home(self):
        self.client.get("/nested")

class Flow(SequentialTaskSet):
    wait_time = constant(0.03)

    @task
    def first(self):
        self.client.get("/flow/1")

    @task
    class Second(TaskSet):
        @task
        def only(self):
            self.client.get("/flow/2")
            self.interrupt(reschedule=False)

    @task
    def third(self):
        self.client.get("/flow/3")

class Sequential(FastHttpUser):
    tasks = [Flow]

class Left(SequentialTaskSet):
    @task
    def first(self):
        self.client.get("/left/1")

    @task
    def second(self):
        self.client.get("/left/2")
        self.interrupt()

    @task
    def never(self):
        self.client.get("/left/3")

class Leaver(FastHttpUser):
    wait_time = constant(0.03)
    tasks = [Left]

class Chain(MarkovTaskSet):
    wait_time = constant(0.03)

    @transition("b")
    def a(self):
        self.client.get("/chain/a")

    @transition("c")
    def b(self):
        self.client.get("/chain/b")

    @transition("a")
    def c(self):
        self.client.get("/chain/c")

class Markov(FastHttpUser):
    tasks = [Chain]

class OneWay(MarkovTaskSet):
    wait_time = constant(0.03)

    @transition("b")
    def a(self):
        self.client.get("/way/a")

    @transition("b")
    def b(self):
        self.client.get("/way/b")

class Wanderer(FastHttpUser):
    tasks = [OneWay]

class Pair(SequentialTaskSet):
    @task
    def first(self):
        self.client.get("/mixed/1")

    @task
    def second(self):
        self.client.get("/mixed/2")
        self.interrupt()

class Mixed(FastHttpUser):
    wait_time = constant(0.03)
    tasks = [Pair]

    @task
    def home(self):
        self.client.get("/mixed")

class Stopper(FastHttpUser):
    @task
    def a(self):
        self.client.get("/stop")
        raise StopUser
"""
REQUESTS = {
    "Plain": {3},
    "Nested": {3},
    "Sequential": {3},
    "Leaver": {2},
    "Markov": {3},
    "Wanderer": {3},  # its chain never comes back to the first task: it counts like any task set
    "Mixed": {3, 4},  # a flow that has begun is not cut
    "Stopper": {1},
}


def test_each_kind_of_user_makes_visits_of_its_own_length(tmp_path, target):
    locustfile = script(tmp_path, EVERY_KIND)
    with engine(locustfile, target.url, unit="visit", visit_tasks=3) as child:
        checked = child.check()
        with received(target) as counted:
            made = child.trial(crowd(240.0), to_the_end)
    assert [visit.error for visit in checked] == [None] * len(REQUESTS)
    assert {visit.user_class: set(visit.requests) for visit in checked} == REQUESTS
    seen, state, counts = made.visits(), made.state, requests(made)
    assert state["issued"] == state["due"] == len(seen.requests) > 80
    assert np.isfinite(seen.length_s).all()
    assert set(made.rows().ending) == {SUCCESS}
    assert counts == counted
    assert seen.requests.sum() == made.count
    assert (state["outside"], state["in_flight"], state["queued"]) == (0, 0, 0)
    # passes are whole, and each begins at the beginning
    for flow in (["/flow/1", "/flow/2", "/flow/3"], ["/chain/a", "/chain/b", "/chain/c"]):
        assert len({counts[f"GET {page}"] for page in flow}) == 1
    assert counts["GET /mixed/1"] == counts["GET /mixed/2"] > 0
    assert counts["GET /left/1"] == counts["GET /left/2"] > counts["GET /left/3"] == 0
    # what is not the first of a visit was not due at any time
    rows = made.rows()
    assert np.count_nonzero(rows.lateness_s) == state["issued"]
    first = {made.endpoints[i] for i in rows.endpoint[rows.lateness_s > 0]}
    assert not first & {f"GET /{p}" for p in ("flow/2", "flow/3", "chain/b", "chain/c", "way/b")}


def test_a_visitor_is_new_logs_in_waits_and_hangs_up(tmp_path):
    """Whoever finds a cookie of somebody else raises, and so does who loses the own one."""
    body = """
    class Buyer(CLIENT):
        wait_time = constant(0.1)

        def cookies(self):
            fast = hasattr(self.client, "cookiejar")
            return len(self.client.cookiejar if fast else self.client.cookies)

        def on_start(self):
            assert self.cookies() == 0
            self.client.post("/login")

        @task
        def buy(self):
            assert self.cookies() == 1
            self.client.get("/a")
    """
    visitors: set[object] = set()
    answer = b"HTTP/1.1 200 OK\r\nSet-Cookie: id=1\r\nContent-Length: 2\r\n\r\nok"

    def serve(connection: socket.socket) -> None:
        visitors.add(connection.getpeername())
        connection.sendall(answer)

    locustfile = script(tmp_path, both(body))
    with (
        server(serve) as url,
        engine(locustfile, url, unit="visit", visit_tasks=2) as child,
    ):
        made = child.trial(crowd(60.0), to_the_end)
    seen = made.visits()
    assert made.state["errors"] == {}
    assert requests(made) == {"POST /login": len(seen.requests), "GET /a": 2 * len(seen.requests)}
    assert set(seen.requests) == {3}
    assert len(visitors) == len(seen.requests) == made.state["issued"] > 15
    # one wait lies between its two tasks, and none after them
    assert (seen.length_s >= 0.1).all()
    # the intended start is that of the login, which is a part of the visit
    late = made.rows().lateness_s > 0
    assert {made.endpoints[i] for i in made.rows().endpoint[late]} == {"POST /login"}


def test_what_raises_is_a_failed_visit_or_one_that_goes_on(tmp_path, target):
    body = """
    class Raiser(FastHttpUser):
        @task
        def t(self):
            raise ValueError("no stock")

    class Late(FastHttpUser):
        @task
        def t(self):
            self.client.get("/a")
            raise KeyError("basket")

    class Outsider(FastHttpUser):
        def on_start(self):
            raise PermissionError("wrong password")

        @task
        def t(self):
            self.client.get("/never")
    """
    locustfile = script(tmp_path, body)
    with (
        engine(locustfile, target.url, unit="visit", visit_tasks=2) as child,
        received(target) as counted,
    ):
        made = child.trial(crowd(120.0), to_the_end)
    rows, seen = made.rows(), made.visits()
    failed = rows.ending == FAILURE
    # until the first request it is not known that this client tells when it sends one
    assert {made.endpoints[i] for i in rows.endpoint[failed]} | {TASK_FAILED} == {
        TASK_FAILED,
        NOT_ASKED,
    }
    # each visit failed once, or made its two requests although both tasks raised
    assert len(seen.requests) == np.count_nonzero(failed) + counted["GET /a"] / 2
    assert requests(made) == counted == {"GET /a": np.count_nonzero(~failed)}
    errors = made.state["errors"]
    assert [text.split(": ")[1] for text in sorted(errors)] == [
        "KeyError", "PermissionError", "ValueError",
    ]  # fmt: skip
    by_kind = {text.split(": ")[1]: count for text, count in errors.items()}
    assert by_kind["KeyError"] == counted["GET /a"]
    assert by_kind["PermissionError"] + by_kind["ValueError"] / 2 == np.count_nonzero(failed)


ROUND_TRIP = """
class Buyer(FastHttpUser):
    wait_time = constant(0.5)

    @task
    def t(self):
        self.client.get("/a")
"""


def test_the_shop_stays_full_between_trials_and_each_counts_its_own(tmp_path, target):
    """Visits last half a second: of thirty or so that a trial leaves behind the next counts none.

    Where the rate falls to a tenth, each visit stays with probability 1/10. That more than half of
    twenty or more stay has a probability below 1e-5.
    """
    locustfile = script(tmp_path, ROUND_TRIP)
    with engine(locustfile, target.url, unit="visit", visit_tasks=2) as child:
        with received(target) as counted:
            first, second = (
                child.trial(spec(60.0, 0.7, index=k, seed=k), to_the_end) for k in range(2)
            )
        fewer = child.trial(spec(6.0, 0.3, index=2), to_the_end)
        early = child.trial(spec(100.0, 60.0, index=3), lambda made: made.count > 10)
        after = child.trial(spec(60.0, 0.3, index=4), to_the_end)
    for made in (first, second):
        own = made.visits().requests.sum()
        assert made.count == own == requests(made).total()
    assert first.state["in_flight"] >= second.state["ready"] > 15
    assert second.state["outside"] > 10
    assert counted.total() >= first.count + second.count + second.state["outside"]
    assert second.state["in_flight"] >= 20
    assert fewer.state["ready"] < second.state["in_flight"] / 2
    # what was too much leaves nothing behind
    assert early.ended_early
    assert (early.state["in_flight"], early.state["queued"]) == (0, 0)
    assert (after.state["ready"], after.state["outside"]) == (0, 0)
    assert after.count == after.visits().requests.sum()


def test_visits_for_which_there_is_no_room_wait_and_are_told_apart(tmp_path, target):
    locustfile = script(tmp_path, ROUND_TRIP.replace("0.5", "0.05"))
    with engine(locustfile, target.url, unit="visit", visit_tasks=2) as child:
        made = child.trial(replace(crowd(120.0, stay_s=2.0), max_users=3), to_the_end)
    seen = made.visits()
    assert made.state["users"] == 3
    assert made.state["starved"] > 10
    assert set(seen.requests) == {2}
    assert requests(made) == {"GET /a": 2 * made.state["issued"]}
    # the wait for room counts from the intended start
    assert made.rows().lateness_s.max() > 0.05
    trial = evaluate(made, "probe", 0.0, SLA, {}, Usage())
    assert "pool_limit" not in {note.code for note in trial.notes}
    assert trial.health.starved == made.state["starved"]


# the check


def test_a_check_knows_the_length_of_visits_without_waiting_for_them(tmp_path, target):
    """A pace of 5 s leaves 10 s between three tasks, whatever these take.

    What the machine adds is the last task, which nothing follows.
    """
    body = """
    from locust import constant_pacing

    class Pacer(FastHttpUser):
        wait_time = constant_pacing(5)

        @task
        def t(self):
            self.client.get("/a")
            gevent.sleep(0.01)

    class Waiter(FastHttpUser):
        wait_time = constant(20)

        @task
        def t(self):
            self.client.get("/a")
            self.wait()
    """
    locustfile = script(tmp_path, body)
    with received(target) as counted, engine(
        locustfile, target.url, unit="visit", visit_tasks=3
    ) as child:  # fmt: skip
        pacer, waiter = child.check()
    assert len(pacer.lengths_s) == len(waiter.lengths_s) == 20
    assert all(10.0 <= length_s < 11.5 for length_s in pacer.lengths_s)
    assert all(100.0 <= length_s < 101.5 for length_s in waiter.lengths_s)
    assert counted == {"GET /a": 120}
    assert [len(visit.calls) for visit in (pacer, waiter)] == [3, 3]


def test_a_visit_without_an_end_is_refused_before_the_load(tmp_path, target):
    body = """
    class Maze(TaskSet):
        @task
        def on(self):
            self.client.get("/on")

    class Flow(SequentialTaskSet):
        tasks = [Maze]

    class Lost(FastHttpUser):
        tasks = [Flow]
    """
    asked = replace(job(script(tmp_path, body), target.url), unit="visit")
    with (
        received(target) as counted,
        pytest.raises(UsageError, match="class Lost has no end: it had not ended after 500 tasks"),
    ):
        measure.measure(asked, lambda _: None, lambda _: None)
    assert counted.total() % 500 == 0


def test_a_time_budget_that_holds_too_few_trials_is_refused_before_the_load(tmp_path, target):
    locustfile = script(tmp_path, ROUND_TRIP.replace("0.5", "30"))
    asked = replace(job(locustfile, target.url, time_budget_s=120.0), unit="visit")
    with (
        received(target) as counted,
        pytest.raises(UsageError, match="a visit lasts 2 min on average") as refused,
    ):
        measure.measure(asked, lambda _: None, lambda _: None)
    # four waits of 30 s: a trial lasts 120 s to fill the shop and three times 120 s
    assert "a trial lasts 8 min" in refused.value.message
    assert "--time-budget 81min" in refused.value.hint
    assert counted.total() == 20 * 5


# both units


def test_both_units_send_a_known_server_the_same_load(tmp_path):
    """A hundred requests/s, as tasks and as visits of five; what came is what the server served.

    The visits are made by two processes.

    In 2 s come 200 tasks, sd √200 = 14, or 40 visits with 5 requests each, sd 5·√40 = 32: their
    difference has sd 35, of which four make the band. The seed is fixed; so is the number of
    arrivals, whatever the machine does.
    """
    body = """
    class Buyer(FastHttpUser):
        wait_time = between(0.02, 0.1)

        @task
        def t(self):
            self.client.get("/a")
    """
    locustfile = script(tmp_path, body)
    counts = {}
    with RefServer(RefServerConfig(4, Exponential(0.02), lifetime_s=60.0)) as queue:
        for unit, arrivals_per_s, processes in (("task", 100.0, 1), ("visit", 20.0, 2)):
            before = queue.stats()["served"]
            with engine(
                locustfile, queue.url, processes=processes, unit=unit, visit_tasks=5
            ) as child:
                made = child.trial(crowd(arrivals_per_s, come_s=2.0), to_the_end)
            trial = evaluate(made, "probe", 0.0, SLA, {}, Usage())
            counts[unit] = trial.requests
            assert trial.requests == queue.stats()["served"] - before
            assert trial.requests_per_arrival == {"task": 1.0, "visit": 5.0}[unit]
            assert (trial.visits is None) == (unit == "task")
    assert abs(counts["task"] - counts["visit"]) <= 4 * 35


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_in_theory_a_queue_cannot_tell_visits_from_tasks(kind):
    """Visits that think and come back make an open network of Jackson's kind.

    Its queue is that of M/M/c with the same requests/s, also as an arrival finds it. Over six seeds
    the mean of 200,000 sojourn times spread with a standard deviation of 2.2 % for the longest
    visits, whose number makes the load rise and fall, and the share over 60 ms with 5.7 %. Four of
    each make the bands.
    """
    rps = 0.7 * SLOTS / SERVICE_S
    found = sojourns_s(rps, kind, 200_000, seed=1)
    expected = SERVICE_S + mmc_mean_wait_s(SLOTS, rps, SERVICE_S)
    assert found.mean() == pytest.approx(expected, rel=0.09)
    over = mmc_sojourn_tail(SLOTS, rps, SERVICE_S, 0.06)
    assert (found > 0.06).mean() == pytest.approx(over, rel=0.23)
