"""The ticket gate with real scripts: every kind of Locust user, unmodified, serves arrivals.

Each test runs a script in a child process against the reference server and compares what was
recorded with what the server says it received. All scripts wait for half a minute between tasks:
where that were not silenced, a user would serve one arrival of a trial.
"""

import math
from collections import Counter
from collections.abc import Iterator
from itertools import cycle, islice
from pathlib import Path

import numpy as np
import pytest

from capplan.errors import UsageError
from capplan.loadtest import measure
from capplan.loadtest.evaluate import evaluate
from capplan.loadtest.protocol import FAILURE, SUCCESS, TASK_FAILED
from capplan.loadtest.recording import Recording
from capplan.loadtest.validity import Usage
from capplan.model.service_time import Deterministic
from capplan.refserver import RefServer, RefServerConfig
from tests.loadtest.harness import (
    SLA,
    both,
    engine,
    job,
    received,
    requests,
    run,
    says,
    script,
    server,
    spec,
    to_the_end,
)

pytestmark = pytest.mark.load

CLIENTS = ["HttpUser", "FastHttpUser"]


@pytest.fixture(scope="module")
def target() -> Iterator[RefServer]:
    with RefServer(RefServerConfig(64, Deterministic(0.001), lifetime_s=300.0)) as started:
        yield started


PLAIN = """
class Buyer(CLIENT):
    wait_time = constant(30)

    @task
    def a(self):
        self.client.get("/a")
"""
FUNCTIONS = """
def a(user):
    user.client.get("/a")

def b(user):
    user.client.get("/b")

class Buyer(CLIENT):
    wait_time = constant(30)
    tasks = {a: 2, b: 1}
"""
NESTED = """
class Shelf(TaskSet):
    wait_time = constant(30)

    @task
    def a(self):
        self.client.get("/a")

    @task
    def leave(self):
        self.client.get("/b")
        self.interrupt(reschedule=RESCHEDULE)

class Buyer(CLIENT):
    wait_time = constant(30)
    tasks = [Shelf]

    @task
    def home(self):
        self.client.get("/")
"""
SEQUENTIAL = """
class Flow(SequentialTaskSet):
    wait_time = constant(30)

    @task
    def first(self):
        self.client.get("/1")

    @task
    def second(self):
        self.client.get("/2")

    @task
    def third(self):
        self.client.get("/3")

class Buyer(CLIENT):
    tasks = [Flow]
"""
MARKOV = """
class Chain(MarkovTaskSet):
    wait_time = constant(30)

    @transition("b")
    def a(self):
        self.client.get("/a")

    @transition("a")
    def b(self):
        self.client.get("/b")

class Buyer(CLIENT):
    tasks = [Chain]
"""
KINDS = {
    "plain": PLAIN,
    "functions": FUNCTIONS,
    "nested, rescheduled at once": NESTED.replace("RESCHEDULE", "True"),
    "nested, rescheduled after a wait": NESTED.replace("RESCHEDULE", "False"),
    "sequential": SEQUENTIAL,
    "markov": MARKOV,
}


@pytest.mark.parametrize(
    ("client", "kind"),
    [("HttpUser", "plain"), *(("FastHttpUser", kind) for kind in KINDS)],
)
def test_each_arrival_runs_one_task_of_any_kind_of_user(tmp_path, target, client, kind):
    locustfile = script(tmp_path, KINDS[kind].replace("CLIENT", client))
    with engine(locustfile, target.url) as child:
        (visit,) = child.check()
        with received(target) as counted:
            made = child.trial(spec(), to_the_end)
    tasks = {"plain": 1, "functions": 2, "sequential": 3, "markov": 2}.get(kind, 3)
    assert (visit.error, visit.tasks, len(visit.calls)) == (None, tasks, tasks)
    assert made.state["issued"] == made.state["due"] > 40
    assert made.count == made.state["issued"]
    assert set(made.rows().ending) == {SUCCESS}
    assert requests(made) == counted
    assert made.state["outside"] == 0
    assert (made.state["in_flight"], made.state["queued"]) == (0, 0)


def test_a_sequential_flow_keeps_its_order(tmp_path, target):
    locustfile = script(tmp_path, SEQUENTIAL.replace("CLIENT", "FastHttpUser"))
    one_user = spec(60.0, 0.6, users=1, max_users=1, give_up_s=5.0)
    made = run(locustfile, target.url, one_user)
    order = [made.endpoints[i] for i in made.rows().endpoint]
    assert len(order) > 20
    assert order == list(islice(cycle(["GET /1", "GET /2", "GET /3"]), len(order)))


def test_arrivals_are_shared_by_the_weights_of_the_classes_however_slow_a_class_is(
    tmp_path, target
):
    """Three quick buyers to one that takes 50 ms.

    The count is binomial with p = 1/4; four standard deviations are exceeded with probability
    6e-5, and the schedule's seed is fixed.
    """
    body = """
    class Quick(FastHttpUser):
        weight = 3

        @task
        def t(self):
            self.client.get("/quick")

    class Slow(FastHttpUser):
        @task
        def t(self):
            self.client.get("/slow")
            gevent.sleep(0.05)
    """
    locustfile = script(tmp_path, body)
    made = run(locustfile, target.url, spec(400.0, 1.0, users=60))
    counts = requests(made)
    total = counts.total()
    assert total == made.state["issued"] > 300
    assert abs(counts["GET /slow"] - total / 4) <= 4 * math.sqrt(total * 3 / 16)


# waiting


def test_an_explicit_wait_inside_a_task_still_waits(tmp_path, target):
    body = """
    class Buyer(FastHttpUser):
        wait_time = constant(0.3)

        @task
        def t(self):
            self.client.get("/before")
            self.wait()
            self.client.get("/after")
    """
    overdue: list[int] = []

    def watch(made: Recording) -> bool:
        overdue.append(made.state.get("overdue", 0))
        return False

    with engine(script(tmp_path, body), target.url) as child:
        made = child.trial(spec(8.0, 0.6, users=1, max_users=1, limit_s=2.0, give_up_s=9.0), watch)
    starts = made.rows().intended_s + made.rows().lateness_s
    order = [made.endpoints[i] for i in made.rows().endpoint]
    assert order == ["GET /before", "GET /after"] * made.state["issued"]
    assert (starts[1::2] - starts[::2] >= 0.3).all()


def test_a_task_that_lasts_longer_than_the_limit_is_not_overdue_once_it_was_answered(
    tmp_path, target
):
    body = """
    class Buyer(FastHttpUser):
        wait_time = constant(0.8)

        @task
        def t(self):
            self.client.get("/before")
            self.wait()
    """
    assert least_overdue(script(tmp_path, body), target.url) == 0


@pytest.mark.parametrize("client", ["FastHttpUser", "HttpUser"])
def test_a_task_that_sleeps_before_its_first_request_is_not_overdue(tmp_path, target, client):
    body = f"""
    class Buyer({client}):
        @task
        def t(self):
            gevent.sleep(0.8)
            self.client.get("/after")
    """
    assert least_overdue(script(tmp_path, body), target.url) == 0


def test_a_task_that_waits_for_its_first_answer_is_overdue(tmp_path):
    body = """
    class Buyer(FastHttpUser):
        @task
        def t(self):
            self.client.get("/slow")
    """
    with RefServer(RefServerConfig(64, Deterministic(0.8), lifetime_s=60.0)) as slow:
        assert least_overdue(script(tmp_path, body), slow.url) > 0


def least_overdue(locustfile: Path, url: str) -> int:
    """Hold a load whose tasks last 0.8 s; return the fewest arrivals that were overdue.

    That is looked at when half of those in flight began more than the limit ago. Whatever the
    machine does meanwhile, at some moment no arrival waits for its first answer for so long unless
    the target makes it wait.
    """
    overdue: list[int] = []

    def watch(made: Recording) -> bool:
        if made.elapsed_s > 0.6 and made.state["in_flight"] > 10:
            overdue.append(made.state["overdue"])
        return False

    with engine(locustfile, url) as child:
        child.trial(spec(40.0, 0.8, users=60, limit_s=0.3), watch)
    return min(overdue)


def test_a_task_set_that_leaves_before_its_first_task_does_not_make_its_user_wait(tmp_path, target):
    body = """
    class Shelf(TaskSet):
        entered = 0

        def on_start(self):
            Shelf.entered += 1
            if Shelf.entered < 3:
                self.interrupt(reschedule=False)

        @task
        def a(self):
            self.client.get("/a")

    class Buyer(FastHttpUser):
        wait_time = constant(30)
        tasks = [Shelf]
    """
    made = run(script(tmp_path, body), target.url, spec(users=1, max_users=1))
    assert requests(made) == {"GET /a": made.state["issued"]}


# what is counted


def test_logins_in_on_start_are_made_before_the_load_and_counted_outside(tmp_path, target):
    body = """
    class Buyer(FastHttpUser):
        def on_start(self):
            self.client.post("/login")

        @task
        def t(self):
            self.client.get("/a")
    """
    with received(target) as counted:
        made = run(script(tmp_path, body), target.url, spec(users=15))
    assert requests(made) == Counter({"GET /a": made.state["issued"]})
    assert made.state["outside"] == counted["POST /login"] == made.state["users"] >= 15
    assert counted.total() == made.count + made.state["outside"]


def test_a_task_may_make_several_requests(tmp_path, target):
    body = """
    class Buyer(FastHttpUser):
        @task
        def t(self):
            self.client.get("/1")
            self.client.get("/2")
            self.client.get("/3")
    """
    with received(target) as counted:
        made = run(script(tmp_path, body), target.url, spec())
    trial = evaluate(made, "probe", 0.2, SLA, {}, Usage())
    assert trial.requests_per_arrival == 3.0
    assert requests(made) == counted
    # only the first request of an arrival was due at a certain time
    later = made.rows().where(made.rows().endpoint != made.endpoints.index("GET /1"))
    assert set(later.lateness_s) == {0.0}


def test_requests_of_greenlets_belong_to_the_arrival_whose_task_spawned_them(tmp_path, target):
    body = """
    from gevent.pool import Pool

    class Buyer(CLIENT):
        @task
        def t(self):
            parts = Pool()
            parts.spawn(self.client.get, "/1")
            parts.spawn(self.client.get, "/2")
            parts.join()
            gevent.spawn(lambda: gevent.spawn(self.client.get, "/3").join()).join()
    """
    locustfile = script(tmp_path, both(body))
    with received(target) as counted:
        made = run(locustfile, target.url, spec(60.0))
    arrivals = made.state["issued"]
    assert requests(made) == {f"GET /{k}": arrivals for k in (1, 2, 3)} == counted
    assert made.state["outside"] == 0


def test_a_script_may_call_an_answer_a_failure(tmp_path, target):
    body = """
    class Buyer(CLIENT):
        @task
        def good(self):
            self.client.get("/good")

        @task
        def empty(self):
            with self.client.get("/empty", catch_response=True) as response:
                response.failure("an empty shelf")
    """
    locustfile = script(tmp_path, both(body))
    made = run(locustfile, target.url, spec())
    got = made.rows()
    for name, ending in (("GET /good", SUCCESS), ("GET /empty", FAILURE)):
        own = got.where(got.endpoint == made.endpoints.index(name))
        assert set(own.ending) == {ending}
    assert made.state["errors"] == {"GET /empty: an empty shelf": requests(made)["GET /empty"]}


def test_a_script_may_call_an_error_page_a_success(tmp_path):
    body = """
    class Buyer(CLIENT):
        @task
        def t(self):
            with self.client.get("/", catch_response=True) as response:
                if response.status_code == 404:
                    response.success()
    """
    locustfile = script(tmp_path, both(body))
    with server(says(b"HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\nnone")) as url:
        made = run(locustfile, url, spec(40.0))
    assert made.count == made.state["issued"]
    assert set(made.rows().ending) == {SUCCESS}


@pytest.mark.parametrize(
    ("when", "recorded", "endings"),
    [
        ("before any request", TASK_FAILED, {FAILURE}),
        ("inside the with block", TASK_FAILED, {FAILURE}),
        ("after its request", "GET /a", {SUCCESS}),
    ],
)
def test_a_task_that_raises_is_seen_and_the_run_goes_on(tmp_path, target, when, recorded, endings):
    bodies = {
        "before any request": 'raise ValueError("no stock")',
        # Locust reports no request that ends so
        "inside the with block": """
            with self.client.get("/a", catch_response=True):
                raise ValueError("no stock")""",
        "after its request": """
            self.client.get("/a")
            raise ValueError("no stock")""",
    }
    locustfile = script(tmp_path, f"""
class Buyer(FastHttpUser):
    wait_time = constant(30)

    @task
    def t(self):
        if True:
            {bodies[when].strip()}
""")  # fmt: skip
    with received(target) as counted:
        made = run(locustfile, target.url, spec(users=5))
    assert made.endpoints == [recorded]
    assert made.count == made.state["issued"] > 40
    assert set(made.rows().ending) == endings
    before = locustfile.read_text().partition("raise ValueError")[0]
    error = f"ValueError: no stock (shop.py, line {before.count(chr(10)) + 1})"
    assert made.state["errors"] == {f"(task failed): {error}": made.count}
    assert made.state["last_error"] == error
    judged = evaluate(made, "probe", 0.0, SLA, {}, Usage())
    notes = {note.code: note.message for note in judged.notes}
    assert notes["tasks_raised"] == f"tasks raised {made.count} times, as in {error}"
    assert counted.total() == (0 if when == "before any request" else made.count)


def test_users_that_stop_themselves_are_replaced(tmp_path, target):
    body = """
    class Buyer(FastHttpUser):
        @task
        def once(self):
            self.client.get("/a")
            raise StopUser
    """
    with engine(script(tmp_path, body), target.url) as child:
        trials = [child.trial(spec(100.0, index=k, users=120), to_the_end) for k in range(2)]
    for made in trials:
        assert made.count == made.state["issued"] > 20
        assert set(made.rows().ending) == {SUCCESS}
        assert made.state["ready"] == 120


def test_refused_requests_are_failures_and_all_others_successes(tmp_path):
    config = RefServerConfig(
        64, Deterministic(0.001), fail_above_rps=40.0, fail_share=0.5, lifetime_s=60.0
    )
    with RefServer(config) as busy:
        locustfile = script(tmp_path, PLAIN.replace("CLIENT", "FastHttpUser"))
        made = run(locustfile, busy.url, spec(150.0, 0.8))
        stats = busy.stats()
    ending = made.rows().ending
    assert stats["failed"] > 10
    assert np.count_nonzero(ending == FAILURE) == stats["failed"]
    assert np.count_nonzero(ending == SUCCESS) == stats["served"]
    assert made.count == stats["received"]


def test_clean_up_of_the_script_runs_at_the_end(tmp_path, target):
    body = """
    class Buyer(FastHttpUser):
        def on_stop(self):
            self.client.post("/logout")

        @task
        def t(self):
            self.client.get("/a")
    """
    with received(target) as counted:
        made = run(script(tmp_path, body), target.url, spec(20.0, 0.2, users=7))
    assert counted["POST /logout"] == made.state["users"] >= 7


@pytest.mark.parametrize("unit", ["task", "visit"])
def test_scripts_hear_of_each_part_of_a_test_as_they_do_from_locust(tmp_path, target, unit):
    """A user that holds back until all are there is a pattern of Locust's own users."""
    body = """
    from gevent.event import Event

    everybody_is_there = Event()

    @events.init.add_listener
    def at_init(environment, runner, **_):
        print("init", environment.host == runner.environment.host)

    @events.spawning_complete.add_listener
    def at_spawning_complete(user_count, **_):
        everybody_is_there.set()

    @events.test_start.add_listener
    def at_start(environment, **_):
        print("test_start", environment.runner.state)

    @events.test_stop.add_listener
    def at_stop(environment, **_):
        print("test_stop", environment.runner.user_count)

    @events.quitting.add_listener
    def at_quitting(environment, **_):
        print("quitting", environment.process_exit_code)

    @events.quit.add_listener
    def at_quit(exit_code, **_):
        print("quit", exit_code)

    class Buyer(FastHttpUser):
        def on_start(self):
            everybody_is_there.wait()

        @task
        def t(self):
            assert self.environment.runner.state == "running"
            self.client.get("/a")
            raise StopUser
    """
    locustfile = script(tmp_path, body)
    made = run(locustfile, target.url, spec(100.0, 0.2), unit=unit)
    assert set(made.rows().ending) == {SUCCESS}
    assert made.state["errors"] == {}
    assert locustfile.with_suffix(".log").read_text().splitlines() == [
        "init True",
        "test_start ready",
        "test_stop 0",
        "quitting None",
        "quit 0",
    ]


# hosts

ABROAD = """
class Buyer(CLIENT):
    @task
    def t(self):
        self.client.get("URL")
"""


@pytest.mark.parametrize("client", CLIENTS)
def test_a_host_that_was_not_named_gets_no_load(tmp_path, target, client):
    locustfile = script(
        tmp_path,
        ABROAD.replace("CLIENT", client).replace("URL", "https://pay.example.com/charge"),
    )
    with (
        pytest.raises(UsageError, match=r"sends requests to pay\.example\.com") as refused,
        engine(locustfile, target.url) as child,
    ):
        child.trial(spec(), to_the_end)
    assert "pay.example.com" in refused.value.hint
    assert "allowed_hosts" in refused.value.hint


@pytest.mark.parametrize("client", CLIENTS)
def test_a_redirect_leads_no_load_to_a_host_that_was_not_named(tmp_path, client):
    away = b"HTTP/1.1 302 Found\r\nLocation: http://pay.example.com/\r\nContent-Length: 0\r\n\r\n"
    with (
        server(says(away)) as url,
        pytest.raises(UsageError, match=r"pay\.example\.com"),
        engine(script(tmp_path, PLAIN.replace("CLIENT", client)), url) as child,
    ):
        child.check()


@pytest.mark.parametrize(
    ("client", "proxied"),
    [
        (
            "HttpUser",
            "def on_start(self): self.client.proxies = {'http': 'proxy.example.com:3128'}",
        ),
        ("FastHttpUser", "proxy_host, proxy_port = 'proxy.example.com', 3128"),
    ],
)
def test_no_load_goes_through_a_proxy_that_was_not_named(tmp_path, target, client, proxied):
    body = f"""
    class Buyer({client}):
        {proxied}

        @task
        def t(self):
            self.client.get("/a")
    """
    with (
        received(target) as counted,
        pytest.raises(UsageError, match=r"sends requests to proxy\.example\.com"),
        engine(script(tmp_path, body), target.url) as child,
    ):
        child.check()
    assert counted.total() == 0


def test_this_machine_needs_no_naming_and_other_hosts_do(tmp_path, target):
    port = target.url.rpartition(":")[2]
    # the system connects 0.0.0.0 to this machine, but it is no loopback address
    for host, named in (("localhost", ()), ("0.0.0.0", ("0.0.0.0",))):
        locustfile = script(tmp_path, both(ABROAD.replace("URL", f"http://{host}:{port}/b")))
        with engine(locustfile, target.url, allowed_hosts=named) as child:
            visits = child.check()
        assert [call["error"] for visit in visits for call in visit.calls] == [None, None]


# the check


def test_a_check_makes_one_visit_of_each_class(tmp_path, target):
    body = """
    class Flow(SequentialTaskSet):
        @task
        def first(self):
            self.client.get("/1")

        @task
        class Inner(TaskSet):
            @task
            def only(self):
                self.client.get("/2")
                self.interrupt()

    class Buyer(FastHttpUser):
        weight = 3
        tasks = [Flow]

        def on_start(self):
            self.client.post("/login")

    class Looker(HttpUser):
        @task
        def look(self):
            self.client.get("/look")
            self.client.get("/picture")
    """
    with received(target) as counted, engine(script(tmp_path, body), target.url) as child:
        assert child.ready.classes == {"Buyer": 3.0, "Looker": 1.0}
        buyer, looker = child.check()
    assert [(call["name"], call["in_task"]) for call in buyer.calls] == [
        ("POST /login", False),
        ("GET /1", True),
        ("GET /2", True),
    ]
    assert (buyer.user_class, buyer.tasks, buyer.error) == ("Buyer", 2, None)
    assert [call["name"] for call in looker.calls] == ["GET /look", "GET /picture"]
    assert looker.tasks == 1
    assert counted.total() == 5


def test_a_check_shows_what_went_wrong(tmp_path, target):
    body = """
    class Buyer(FastHttpUser):
        @task
        def t(self):
            with self.client.get("/a", catch_response=True) as response:
                response.failure("an empty shelf")
            raise KeyError("basket")
    """
    with engine(script(tmp_path, body), target.url) as child:
        (visit,) = child.check()
    assert visit.calls[0]["error"] == "an empty shelf"
    assert visit.error == "KeyError: 'basket' (shop.py, line 13)"


@pytest.mark.parametrize(
    ("why", "words"),
    [
        ("PermissionError('wrong password')", "PermissionError: wrong password"),
        ("StopUser", "StopUser in on_start"),
    ],
)
def test_a_user_that_cannot_log_in_ends_the_measurement_before_any_load(
    tmp_path, target, why, words
):
    body = f"""
    class Buyer(FastHttpUser):
        def on_start(self):
            raise {why}

        @task
        def t(self):
            self.client.get("/a")
    """
    locustfile = script(tmp_path, body)
    with (
        received(target) as counted,
        pytest.raises(UsageError, match=f"first task: {words}"),
    ):
        measure.measure(job(locustfile, target.url, timeout_s=0.5), lambda _: None, lambda _: None)
    assert counted.total() == 0


def test_a_script_that_makes_no_request_is_refused(tmp_path, target):
    body = """
    class Idler(User):
        @task
        def t(self):
            pass
    """
    with pytest.raises(UsageError, match="made no request"):
        measure.measure(job(script(tmp_path, body), target.url), lambda _: None, lambda _: None)
