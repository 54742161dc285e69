"""What scripts may contain and ask for, beside the kinds of users that test_gate.py has.

Each script is loaded by a real child. What it does is compared with what the server received; what
cannot work has to be refused with a reason.
"""

import contextlib
import math
import socket
from collections.abc import Iterator

import pytest

from capplan.errors import UsageError
from capplan.loadtest.generators.engine import Engine
from capplan.loadtest.protocol import FAILURE, SUCCESS, WorkerConfig
from capplan.model.service_time import Deterministic
from capplan.refserver import RefServer, RefServerConfig
from tests.loadtest.harness import (
    OK,
    TIMEOUT_S,
    Answer,
    both,
    engine,
    free_port,
    received,
    requests,
    run,
    says,
    script,
    server,
    spec,
    to_the_end,
)

NOBODY = "http://127.0.0.1:1"
ONE_PAGE = """
class Buyer(FastHttpUser):
    @task
    def t(self):
        self.client.get("/a")
"""


@pytest.fixture(scope="module")
def target() -> Iterator[RefServer]:
    with RefServer(RefServerConfig(64, Deterministic(0.001), lifetime_s=300.0)) as started:
        yield started


# the number of users is not the script's choice


def test_a_load_shape_is_ignored_with_a_note(tmp_path, target):
    body = """
    class Ramp(LoadTestShape):
        def tick(self):
            return (1000, 1000)
    """
    with engine(script(tmp_path, body + ONE_PAGE.replace("\n", "\n    ")), target.url) as child:
        made = child.trial(spec(users=10), to_the_end)
        (note,) = child.ready.notes
    assert "LoadTestShape" in note
    assert made.state["ready"] == 10


def test_users_with_a_fixed_count_run_beside_the_load_at_their_own_pace(tmp_path, target):
    """Two guards that look twice a second for 1.2 s: at least twice each, at most a few times.

    Stock Locust gives a class with a fixed count so many users whatever the load is. Were its
    weight of one counted, as that of any class is, half of the arrivals would be theirs.
    """
    body = """
    class Guard(FastHttpUser):
        fixed_count = 2
        wait_time = constant(0.5)

        def on_start(self):
            self.client.post("/login")

        @task
        def look(self):
            self.client.get("/stock")
    """
    locustfile = script(tmp_path, body + ONE_PAGE.replace("\n", "\n    "))
    with engine(locustfile, target.url) as child:
        assert child.ready.classes == {"Guard": 0.0, "Buyer": 1.0}
        (note,) = child.ready.notes
        with received(target) as checked:
            child.check()
        with received(target) as counted:
            made = child.trial(spec(100.0, 1.2, users=10), to_the_end)
    assert checked == {"POST /login": 1, "GET /stock": 1, "GET /a": 1}
    assert "Guard has a fixed_count: 2 of them run beside the load" in note
    assert requests(made) == {"GET /a": made.state["issued"]}
    assert counted["GET /a"] == made.state["issued"] > 60
    assert counted["POST /login"] == 2
    assert 4 <= counted["GET /stock"] < 20
    assert made.state["ready"] == 10


def test_where_all_classes_have_a_fixed_count_it_shares_the_arrivals(tmp_path, target):
    """Binomial with p = 1/4; four standard deviations are the band."""
    body = """
    class Buyer(FastHttpUser):
        fixed_count = 30

        @task
        def t(self):
            self.client.get("/buy")

    class Looker(FastHttpUser):
        fixed_count = 10

        @task
        def t(self):
            self.client.get("/look")
    """
    with engine(script(tmp_path, body), target.url) as child:
        assert child.ready.classes == {"Buyer": 30.0, "Looker": 10.0}
        made = child.trial(spec(400.0, 0.8, users=40), to_the_end)
        (note,) = child.ready.notes
    counts = requests(made)
    total = counts.total()
    assert total == made.state["issued"] > 250
    assert abs(counts["GET /look"] - total / 4) <= 4 * math.sqrt(total * 3 / 16)
    assert "in its proportion" in note


# options and files

TAGGED = """
class Buyer(FastHttpUser):
    @tag("buy")
    @task
    def buy(self):
        self.client.post("/cart")

    @tag("look")
    @task(9)
    def look(self):
        self.client.get("/a")
"""


@pytest.mark.parametrize("arguments", [("--tags", "buy"), ("--exclude-tags", "look"), ("-T=buy",)])
def test_tags_choose_tasks(tmp_path, target, arguments):
    made = run(script(tmp_path, TAGGED), target.url, spec(duration_s=0.2), arguments=arguments)
    assert requests(made) == {"POST /cart": made.state["issued"]}


def test_a_script_may_have_options_of_its_own(tmp_path, target):
    body = """
    @events.init_command_line_parser.add_listener
    def add(parser):
        parser.add_argument("--basket", default="empty")

    class Buyer(FastHttpUser):
        @task
        def t(self):
            self.client.get("/" + self.environment.parsed_options.basket)
    """
    locustfile = script(tmp_path, body)
    with engine(locustfile, target.url, arguments=("--basket", "full")) as child:
        (visit,) = child.check()
    assert [call["name"] for call in visit.calls] == ["GET /full"]


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("--no-such-option",), "options cannot be read: .*--no-such-option"),
        (("--users", "10"), "--users is an option of Locust itself"),
        (("--run-time=5m",), "--run-time is an option of Locust itself"),
        (("-u", "10"), "-u is an option of Locust itself"),
        (("--tags", "none"), "the user class Buyer has no tasks"),
        (("Byer",), "no user class 'Byer', only Buyer"),
    ],
)
def test_options_that_would_do_nothing_are_refused(tmp_path, arguments, complaint):
    locustfile = script(tmp_path, ONE_PAGE)
    with (
        pytest.raises(UsageError, match=complaint),
        engine(locustfile, NOBODY, arguments=arguments),
    ):
        pass


LOOKER = ONE_PAGE.replace("Buyer", "Looker").replace("/a", "/look")


def files(*paths: object, arguments: tuple[str, ...] = (), url: str = NOBODY) -> WorkerConfig:
    return WorkerConfig(tuple(map(str, paths)), url, TIMEOUT_S, (), arguments)


def test_the_classes_of_several_files_share_the_load(tmp_path, target):
    """Three to one: binomial with p = 1/4; four standard deviations are the band."""
    paths = (
        script(tmp_path, ONE_PAGE + "    weight = 3\n"),
        script(tmp_path, "from shop import Buyer\n" + LOOKER, "look.py"),
    )
    with Engine(files(*paths, url=target.url), tmp_path / "log") as child:
        assert child.ready.classes == {"Buyer": 3.0, "Looker": 1.0}
        with received(target) as counted:
            made = child.trial(spec(400.0, 0.8, users=40), to_the_end)
    assert requests(made) == counted
    assert set(made.rows().ending) == {SUCCESS}
    assert abs(counted["GET /look"] - made.count / 4) <= 4 * math.sqrt(made.count * 3 / 16)


def test_user_classes_can_be_chosen_by_name(tmp_path, target):
    paths = (script(tmp_path, ONE_PAGE), script(tmp_path, LOOKER, "look.py"))
    config = files(*paths, arguments=("Looker",), url=target.url)
    with Engine(config, tmp_path / "log") as child:
        assert child.ready.classes == {"Looker": 1.0}


def test_two_files_that_name_different_classes_alike_are_refused(tmp_path):
    paths = (script(tmp_path, ONE_PAGE), script(tmp_path, ONE_PAGE, "look.py"))
    with (
        pytest.raises(UsageError, match=r"Buyer is defined twice: in shop\.py and in look\.py"),
        Engine(files(*paths), tmp_path / "log"),
    ):
        pass


# other protocols, threads


def test_users_of_any_protocol_work_by_the_events_they_fire(tmp_path, target):
    """As WebSocket, gRPC or database users do: a socket of their own, and an event per request."""
    body = """
    import socket
    import time
    from urllib.parse import urlsplit

    class Caller(User):
        @task
        def call(self):
            url = urlsplit(self.host)
            begin = time.perf_counter()
            with socket.create_connection((url.hostname, url.port)) as line:
                line.sendall(b"GET /raw HTTP/1.1\\r\\nHost: x\\r\\nConnection: close\\r\\n\\r\\n")
                answer = b"".join(iter(lambda: line.recv(4096), b""))
            self.environment.events.request.fire(
                request_type="RPC", name="raw", response_length=len(answer), exception=None,
                response_time=(time.perf_counter() - begin) * 1000, context={},
            )
    """
    with received(target) as counted:
        made = run(script(tmp_path, body), target.url, spec(100.0))
    assert requests(made) == {"RPC raw": made.state["issued"]}
    assert counted == {"GET /raw": made.state["issued"]}
    assert set(made.rows().ending) == {SUCCESS}


def test_requests_of_threads_belong_to_the_arrival_whose_task_started_them(tmp_path, target):
    body = """
    import threading
    from concurrent.futures import ThreadPoolExecutor

    class Buyer(FastHttpUser):
        @task
        def t(self):
            thread = threading.Thread(target=self.client.get, args=["/thread"])
            thread.start()
            with ThreadPoolExecutor(2) as pool:
                pool.submit(self.client.get, "/pool")
            thread.join()
    """
    with received(target) as counted:
        made = run(script(tmp_path, body), target.url, spec(40.0))
    arrivals = made.state["issued"]
    assert requests(made) == {"GET /thread": arrivals, "GET /pool": arrivals} == counted
    assert made.state["outside"] == 0


# scripts that end the test, or hold no users


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        ("class Ramp(LoadTestShape):\n    def tick(self): pass\n", "only a LoadTestShape"),
        ("def test_front(session):\n    session.get('/')\n", "test functions for pytest"),
    ],
)
def test_a_script_without_users_is_refused_with_what_it_has_instead(tmp_path, body, complaint):
    with (
        pytest.raises(UsageError, match=f"shop.py defines no User class, .*{complaint}"),
        engine(script(tmp_path, body), NOBODY),
    ):
        pass


@pytest.mark.parametrize(
    ("end", "complaint"),
    [
        ("self.environment.runner.quit()", "stops the test by itself"),
        ("self.environment.runner.stop()", "stops the test by itself"),
        ("raise SystemExit('sold out')", r"(?s)ends the whole process.*line \d+, in t\n"),
    ],
)
def test_a_script_that_ends_the_test_is_refused(tmp_path, target, end, complaint):
    body = f"""
    class Buyer(FastHttpUser):
        served = 0

        @task
        def t(self):
            self.client.get("/a")
            Buyer.served += 1
            if Buyer.served > 5:
                {end}
    """
    child = engine(script(tmp_path, body), target.url)
    with pytest.raises(UsageError, match=complaint), child:
        child.trial(spec(), to_the_end)


ANSWERED: dict[str, tuple[Answer | None, bool]] = {
    "an error page": (says(b"HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbusy"), True),
    "a page that the script calls a failure": (says(OK), True),
    "a connection that is closed": (
        lambda connection: connection.shutdown(socket.SHUT_RDWR),
        False,
    ),
    "a refused connection": (None, False),
}


@pytest.mark.parametrize("what", ANSWERED)
def test_an_error_page_is_an_answer_and_a_connection_that_breaks_is_silence(tmp_path, what):
    """All of them are failures; but only what gives no answer may be a target that is gone."""
    answer, answered = ANSWERED[what]
    body = """
    class Buyer(CLIENT):
        @task
        def t(self):
            with self.client.get("/a", catch_response=True) as response:
                response.failure("not what it should be")
    """
    locustfile = script(tmp_path, both(body))
    with contextlib.ExitStack() as running:
        port = free_port()
        url = running.enter_context(server(answer)) if answer else f"http://127.0.0.1:{port}"
        made = run(locustfile, url, spec(100.0, users=60))
    assert set(made.rows().ending) == {FAILURE}
    assert made.count == made.tickets_due > 20
    assert (made.answers, made.silence) == ((made.count, 0) if answered else (0, made.count))
