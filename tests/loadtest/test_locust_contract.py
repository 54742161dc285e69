"""What the load generator relies on in Locust and gevent beyond their documented interfaces.

Each program runs in a process of its own, since importing Locust patches the whole process. When a
new version of Locust breaks one of these, the place in ``capplan/loadtest/worker`` that uses the
name has to change. The lowest version allowed by pyproject.toml needs an older gevent, and so an
environment of its own, in which this file is run as it is.
"""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

PRELUDE = """
import inspect
from types import SimpleNamespace

import gevent
import locust
from locust import (
    FastHttpUser, HttpUser, MarkovTaskSet, SequentialTaskSet, TaskSet, User, constant, tag, task,
    transition,
)
from locust.env import Environment
from locust.user.task import DefaultTaskSet

def names(function):
    return list(inspect.signature(function).parameters)

def one_user(cls, **options):
    "Run one user until it has ended, and return it."
    environment = Environment(user_classes=[cls], host="http://127.0.0.1:1", **options)
    runner = environment.create_local_runner()
    (user,) = runner.spawn_users({cls.__name__: 1})
    user.greenlet.join()
    return user
"""


def holds(program: str, tmp_path: Path) -> None:
    """Run the program; an assertion that fails in it fails here."""
    done = subprocess.run(
        [sys.executable, "-c", PRELUDE + textwrap.dedent(program)],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": ""},
        check=False,
    )
    assert done.returncode == 0, done.stderr


PROGRAMS = {
    "a runner logs requests through its statistics, whose entries are plain sums": """
        from locust.stats import RequestStats, StatsEntry

        logged = []
        environment = Environment(user_classes=[])
        runner = environment.create_local_runner()
        assert runner.stats is environment.stats
        runner.stats.log_request = lambda *request: logged.append(request)
        environment.events.request.fire(
            request_type="GET", name="/", response_time=5.0, response_length=7, exception=None,
            context={},
        )
        assert logged == [("GET", "/", 5.0, 7)]
        stats = RequestStats()
        RequestStats.log_request(stats, "GET", "/", 5.0, 7)
        entry = stats.entries["/", "GET"]
        for each in (entry, stats.total):
            assert (each.num_requests, each.num_none_requests) == (1, 0)
            assert (each.total_response_time, each.total_content_length) == (5.0, 7)
            assert (each.min_response_time, each.max_response_time) == (5.0, 5.0)
            assert dict(each.response_times) == {5: 1}
            assert list(each.num_reqs_per_sec) == [int(each.last_request_timestamp)]
            assert each.use_response_times_cache in (True, False)
        assert names(StatsEntry._cache_response_times) == ["self", "t"]
    """,
    "names and their parameters": """
        from locust.clients import HttpSession, ResponseContextManager
        from locust.contrib.fasthttp import FastHttpSession, LocustUserAgent
        from locust.runners import LocalRunner
        from locust.user.task import (
            LOCUST_STATE_RUNNING, LOCUST_STATE_STOPPING, LOCUST_STATE_WAITING,
        )
        from locust.exception import (
            InterruptTaskSet, RescheduleTask, RescheduleTaskImmediately, StopTest, StopUser,
        )

        assert len({LOCUST_STATE_RUNNING, LOCUST_STATE_STOPPING, LOCUST_STATE_WAITING}) == 3
        assert names(TaskSet.execute_next_task) == ["self"]
        assert names(TaskSet.wait) == ["self"]
        assert names(HttpSession._send_request_safe_mode) == ["self", "method", "url", "kwargs"]
        assert names(HttpSession.send)[:2] == ["self", "request"]
        assert names(ResponseContextManager) == ["error"]
        assert names(FastHttpSession.request)[:3] == ["self", "method", "url"]
        assert names(LocustUserAgent._urlopen) == ["self", "request"]
        assert names(Environment._filter_tasks_by_tags) == ["self"]
        assert names(LocalRunner.spawn_users)[:2] == ["self", "user_classes_spawn_count"]
        assert names(LocalRunner.stop_users) == ["self", "user_classes_stop_count"]
    """,
    "every kind of TaskSet runs its tasks through TaskSet.execute_next_task": """
        for kind in (DefaultTaskSet, SequentialTaskSet, MarkovTaskSet):
            assert kind.execute_next_task is TaskSet.execute_next_task
            assert kind.wait is TaskSet.wait
            assert kind.run is TaskSet.run
    """,
    "the next task is at the head of the queue, a class for a nested TaskSet": """
        seen = []
        execute = TaskSet.execute_next_task

        def watch(taskset):
            seen.append((type(taskset).__name__, taskset._task_queue[0], taskset.user))
            execute(taskset)

        TaskSet.execute_next_task = watch

        class Inner(TaskSet):
            @task
            def leaf(self):
                if len(seen) == 4:
                    raise locust.exception.StopUser
                self.interrupt()

        class Buyer(User):
            tasks = [Inner]

            def wait_time(self):
                raise AssertionError("a TaskSet that was rescheduled at once does not wait")

        user = one_user(Buyer)
        assert [(name, getattr(head, "__name__", None)) for name, head, _ in seen] == [
            ("DefaultTaskSet", "Inner"), ("Inner", "leaf"),
        ] * 2
        assert all(found is user for _, _, found in seen)
        assert issubclass(seen[0][1], TaskSet)
    """,
    "a user waits after each task, also after one that raised": """
        waits = []

        def wait(taskset):
            waits.append(type(taskset).__name__)
            if len(waits) == 3:
                raise locust.exception.StopUser

        TaskSet.wait = wait

        class Buyer(User):
            @task
            def t(self):
                if len(waits) == 1:
                    raise ValueError

        one_user(Buyer)
        assert waits == ["DefaultTaskSet"] * 3
    """,
    "User.wait is the wait of its TaskSet": """
        waits = []
        TaskSet.wait = lambda taskset: waits.append(taskset)

        class Buyer(User):
            @task
            def t(self):
                self.wait()
                raise locust.exception.StopUser

        one_user(Buyer)
        assert len(waits) == 1
    """,
    "a waiting user can be stopped at once, a running one is asked to": """
        from locust.user.task import LOCUST_STATE_RUNNING, LOCUST_STATE_STOPPING

        class Buyer(User):
            wait_time = constant(60)
            work = True

            @task
            def t(self):
                while self.work:
                    gevent.sleep(0.01)

        environment = Environment(user_classes=[Buyer])
        runner = environment.create_local_runner()
        busy, idle = runner.spawn_users({"Buyer": 2})
        gevent.sleep(0.05)
        assert busy._state == idle._state == LOCUST_STATE_RUNNING
        idle.work = False
        gevent.sleep(0.05)
        assert idle._state == "waiting"
        assert idle.stop() is True
        assert busy.stop() is False
        assert busy._state == LOCUST_STATE_STOPPING
        busy.work = False
        busy.greenlet.join(timeout=5)
        assert busy.greenlet.dead and idle.greenlet.dead
    """,
    "the runner knows its users by class and stops them": """
        class Buyer(User):
            @task
            def t(self):
                gevent.sleep(60)

        class Looker(Buyer):
            pass

        ended = []
        environment = Environment(user_classes=[Buyer, Looker])
        environment.events.test_stop.add_listener(lambda environment, **_: ended.append(1))
        runner = environment.create_local_runner()
        runner.spawn_users({"Buyer": 2})
        runner.spawn_users({"Looker": 1})
        assert runner.user_count == 3
        assert runner.user_classes_count == {"Buyer": 2, "Looker": 1}
        gevent.sleep(0)
        users = [greenlet.args[0] for greenlet in runner.user_greenlets]
        assert sorted(type(user).__name__ for user in users) == ["Buyer", "Buyer", "Looker"]
        runner.stop_users({"Buyer": 1})
        assert runner.user_classes_count == {"Buyer": 1, "Looker": 1}
        runner.stop()
        assert runner.user_count == 0
        assert ended == [1]
    """,
    "a user starts in a group, by User.run, and may be killed before it does": """
        ran = []
        run = User.run

        def watch(user):
            ran.append(user)
            run(user)

        User.run = watch

        class Buyer(User):
            @task
            def t(self):
                raise locust.exception.StopUser

        environment = Environment(user_classes=[Buyer], host="http://127.0.0.1:1")
        runner = environment.create_local_runner()
        for killed in (False, True):
            ended = []
            user = Buyer(environment)
            greenlet = user.start(runner.user_greenlets)
            assert user.greenlet is greenlet and greenlet.args[0] is user
            assert user._state is None
            greenlet.rawlink(ended.append)
            if killed:
                greenlet.kill(block=False)
            greenlet.join()
            gevent.sleep(0)
            assert ended == [greenlet]
            assert not runner.user_greenlets
        assert len(ran) == 1
    """,
    "a user that is marked as stopping ends after its task, its clean-up done": """
        from locust.user.task import LOCUST_STATE_STOPPING

        done = []

        class Inner(TaskSet):
            def on_stop(self):
                done.append("left the inner")

            @task
            def t(self):
                self.user._state = LOCUST_STATE_STOPPING
                done.append("task")

        class Buyer(User):
            tasks = [Inner]

            def on_stop(self):
                done.append("left")

        one_user(Buyer)
        assert done == ["task", "left the inner", "left"]
    """,
    "the parent of a nested TaskSet is the one it lies in, and of the outermost the user": """
        parents = []

        class Inner(TaskSet):
            @task
            def t(self):
                parents.append((self.parent, self.parent.parent, self.user))
                raise locust.exception.StopUser

        class Outer(SequentialTaskSet):
            tasks = [Inner]

        class Buyer(User):
            tasks = [Outer]

        user = one_user(Buyer)
        ((outer, top, own),) = parents
        assert type(outer) is Outer and top is user and own is user
    """,
    "a Markov chain draws what comes next before a task runs; its class keeps the first": """
        comes_next = []

        class Chain(MarkovTaskSet):
            @transition("b")
            def a(self):
                comes_next.append(self.current.__name__)

            @transition("a")
            def b(self):
                comes_next.append(self.current.__name__)
                raise locust.exception.StopUser

        class Buyer(User):
            tasks = [Chain]

        one_user(Buyer)
        assert comes_next == ["b", "a"]
        assert Chain.current.__name__ == "a"
        assert (Chain.a.transitions, Chain.b.transitions) == (["b"], ["a"])
    """,
    "constant pacing remembers its last run on whoever waits": """
        from locust import constant_pacing

        class Buyer(User):
            wait_time = constant_pacing(5)

            @task
            def t(self):
                pass

        user = Buyer(Environment(user_classes=[Buyer]))
        for _ in range(3):  # five seconds that went by without a sleep
            assert 4.9 < user.wait_time() <= 5
            user._cp_last_run -= 5
    """,
    "what users share of their connections stands on their class": """
        assert HttpUser.pool_manager is None
        assert FastHttpUser.client_pool is None
    """,
    "errors of a task are events": """
        errors = []

        class Buyer(User):
            def wait_time(self):
                raise locust.exception.StopUser

            @task
            def t(self):
                raise ValueError("no stock")

        events = locust.event.Events()
        events.user_error.add_listener(lambda exception, **_: errors.append(exception))
        one_user(Buyer, events=events)
        assert [str(error) for error in errors] == ["no stock"]
    """,
    "tags filter tasks, but not those of a Markov chain, which keeps them to itself": """
        class Chain(MarkovTaskSet):
            @transition("a")
            def a(self):
                pass

        class Buyer(User):
            tasks = [Chain]

            @tag("buy")
            @task
            def buy(self):
                pass

            @task
            def look(self):
                pass

        assert Chain.tasks == []
        assert [name for name, f in vars(Chain).items() if hasattr(f, "transitions")][:1] == ["a"]
        options = SimpleNamespace(tags=["buy"], exclude_tags=None, stop_timeout=0)
        environment = Environment(user_classes=[Buyer], parsed_options=options)
        environment._filter_tasks_by_tags()
        assert [t.__name__ for t in Buyer.tasks] == ["Chain", "buy"]
    """,
    "a locustfile is loaded into classes by name and instances of shapes": """
        import textwrap
        from locust.util.load_locustfile import load_locustfile

        with open("shop.py", "w") as file:
            file.write(textwrap.dedent('''
                from locust import HttpUser, LoadTestShape, task

                class Base(HttpUser):
                    abstract = True

                class Buyer(Base):
                    @task
                    def t(self): pass

                class Ramp(LoadTestShape):
                    def tick(self): return None
            '''))
        classes, shapes = load_locustfile("shop.py")
        assert [(name, cls.__name__) for name, cls in classes.items()] == [("Buyer", "Buyer")]
        assert [type(shape).__name__ for shape in shapes] == ["Ramp"]
    """,
    "the parser reads options that a script adds": """
        from locust.argument_parser import get_parser

        @locust.events.init_command_line_parser.add_listener
        def add(parser):
            parser.add_argument("--basket")

        given = ["--headless", "--host", "http://127.0.0.1:1", "--basket", "full", "--tags", "a"]
        options = get_parser().parse_args(given)
        assert (options.basket, options.tags, options.host) == ("full", ["a"], given[2])
    """,
    "Locust's own options can be told from those of a script": """
        from locust.argument_parser import (
            get_empty_argument_parser, get_parser, setup_parser_arguments,
        )

        @locust.events.init_command_line_parser.add_listener
        def add(parser):
            parser.add_argument("--basket")

        own = get_empty_argument_parser()
        setup_parser_arguments(own)
        names = {name: action.dest for action in own._actions for name in action.option_strings}
        assert names["-u"] == names["--users"] == "num_users"
        assert (names["-T"], names["-E"]) == ("tags", "exclude_tags")
        assert "--basket" not in names
        parser = get_parser()
        heard = []
        parser.error = lambda message: heard.append(message) or exit(0)
        assert parser.parse_args(["--tags", "a", "--basket", "b"]).user_classes == []
        assert parser.parse_args(["Buyer", "Looker"]).user_classes == ["Buyer", "Looker"]
        try:
            parser.parse_args(["--none"])
        except SystemExit:
            assert "--none" in heard[0]
    """,
    "a task that ends the process does so through the main greenlet": """
        class Buyer(User):
            @task
            def t(self):
                raise SystemExit("sold out")

        environment = Environment(user_classes=[Buyer])
        environment.create_local_runner().spawn_users({"Buyer": 1})
        try:
            gevent.sleep(5)
        except SystemExit as left:
            assert left.code == "sold out"
            assert left.__traceback__ is not None
        else:
            raise AssertionError("nothing came")
    """,
    "response times do not follow the wall clock": """
        import time
        from gevent.pywsgi import WSGIServer

        def shop(environ, start):
            start("200 OK", [])
            step = 3600 * (1 + len(times))
            time.time = lambda: now() + step
            return [b"ok"]

        now = time.time
        server = WSGIServer(("127.0.0.1", 0), shop, log=None)
        server.start()
        times = []
        for kind in (HttpUser, FastHttpUser):
            class Buyer(kind):
                host = f"http://127.0.0.1:{server.server_port}"

                @task
                def t(self):
                    pass

            environment = Environment(user_classes=[Buyer], host=Buyer.host)
            listen = environment.events.request.add_listener
            listen(lambda response_time, **_: times.append(response_time))
            Buyer(environment).client.get("/")
        assert len(times) == 2 and all(0 < t < 30_000 for t in times), times
    """,
    "each socket of a runner is made in one place, before it is bound or connected": """
        import zmq
        from locust.rpc import zmqrpc

        assert names(zmqrpc.BaseSocket.__init__)[:2] == ["self", "sock_type"]
        plain, made = zmqrpc.BaseSocket.__init__, []

        def init(self, sock_type, *arguments):
            plain(self, sock_type, *arguments)
            assert self.socket.LAST_ENDPOINT == b""
            made.append(sock_type)

        zmqrpc.BaseSocket.__init__ = init
        server = zmqrpc.Server("127.0.0.1", 0)
        client = zmqrpc.Client("127.0.0.1", server.port, "me")
        assert made == [zmq.ROUTER, zmq.DEALER]
        assert server.socket.LAST_ENDPOINT != b""
    """,
    "a master and its workers pass on messages of any type, and can be told what not to do": """
        from locust.rpc import Message

        from locust import runners
        from locust.runners import STATE_RUNNING

        done, heard = [], []
        master = Environment(events=locust.event.Events()).create_master_runner("127.0.0.1", 0)
        for name in ("start", "stop", "check_stopped"):
            setattr(master, name, lambda *_, name=name, **__: done.append(name))
        worker = Environment(events=locust.event.Events()).create_worker_runner(
            "127.0.0.1", master.server.port
        )
        gevent.sleep(0.1)
        assert list(master.clients) == [worker.client_id] and master.worker_count == 1
        for runner in (master, worker):
            runner.register_message(
                "ours", lambda environment, msg: heard.append((msg.type, msg.data, msg.node_id))
            )
        said = Message("ours", {"n": 1, "raw": b"2"}, worker.client_id)
        worker.client.socket.send(said.serialize())
        master.server.send_to_client(Message("ours", {"n": 2}, worker.client_id))
        gevent.sleep(0.1)
        assert sorted(heard, key=str) == sorted([
            ("ours", {"n": 1, "raw": b"2"}, worker.client_id), ("ours", {"n": 2}, worker.client_id)
        ], key=str), heard
        worker.spawning_complete(0)
        worker._send_stats()
        gevent.sleep(0.1)
        assert master.clients[worker.client_id].state == "running"
        assert "check_stopped" in done
        master.clients[worker.client_id].state = STATE_RUNNING
        worker.client.send(Message("quit", None, worker.client_id))
        gevent.sleep(0.1)
        assert "stop" in done and worker.client_id not in master.clients
        worker.client.send(Message("client_ready", locust.__version__, worker.client_id))
        gevent.sleep(0.1)
        assert worker.client_id in master.clients
        looked_up = {
            runners.WorkerRunner.heartbeat_timeout_checker: "MASTER_HEARTBEAT_TIMEOUT",
            runners.MasterRunner.heartbeat_worker: "start",
            runners.MasterRunner.reset_connection: "master_bind_port",
        }
        for function, name in looked_up.items():
            assert name in function.__code__.co_names, name
        assert runners.MASTER_HEARTBEAT_TIMEOUT > 0
        assert "send_stop_to_client" in names(runners.MasterRunner.stop)
        import msgpack
        assert msgpack.loads(said.serialize()) == ["ours", {"n": 1, "raw": b"2"}, worker.client_id]
        master.worker_indexes[worker.client_id] = 7
        assert master.get_worker_index(worker.client_id) == 7
        master.clients.pop(worker.client_id, None)
        assert master.worker_count == 0
    """,
    "a greenlet shares the dict of its spawner as it was then": """
        gevent.getcurrent().spawn_tree_locals = {}
        seen = {}

        def look(name):
            seen[name] = gevent.getcurrent().spawn_tree_locals.get("ticket")

        def user():
            me = gevent.getcurrent()
            me.spawn_tree_locals = {"ticket": 1}
            late = gevent.spawn_later(0.02, look, "late")
            gevent.spawn(lambda: gevent.spawn(look, "grandchild").join()).join()
            me.spawn_tree_locals = {"ticket": 2}
            gevent.pool.Pool().spawn(look, "pool").join()
            late.join()

        import gevent.pool
        gevent.spawn(user).join()
        gevent.spawn(look, "another").join()
        assert seen == {"late": 1, "grandchild": 1, "pool": 2, "another": None}
    """,
}

CLIENT = """
from gevent.pywsgi import WSGIServer

def shop(environ, start):
    path = environ["PATH_INFO"]
    if path == "/slow":
        gevent.sleep(30)
    if path == "/old":
        start("302 Found", [("Location", "/new")])
        return []
    start("404 Not Found" if path == "/none" else "200 OK", [("Content-Type", "text/plain")])
    return [b"ok"]

server = WSGIServer(("127.0.0.1", 0), shop, log=None)
server.start()
url = f"http://127.0.0.1:{server.server_port}"
events = []

class Buyer(CLASS):
    host = url

    @task
    def t(self):
        pass

environment = Environment(user_classes=[Buyer], host=url)
environment.events.request.add_listener(lambda **event: events.append(event))
client = Buyer(environment).client
"""

CLIENT_PROGRAMS = {
    "a request is one event, its time in milliseconds": """
        client.get("/a")
        (event,) = events
        assert (event["request_type"], event["name"], event["exception"]) == ("GET", "/a", None)
        assert event["response_length"] == 2
        assert 0 < event["response_time"] < 30_000
        client.get("/none")
        assert "404" in str(events[1]["exception"])
    """,
    "a with block that raises reports nothing": """
        try:
            with client.get("/a", catch_response=True):
                raise ValueError
        except ValueError:
            pass
        assert events == []
    """,
}


@pytest.mark.parametrize("contract", PROGRAMS)
def test_locust_keeps_the_contract(tmp_path, contract):
    holds(PROGRAMS[contract], tmp_path)


@pytest.mark.parametrize("contract", CLIENT_PROGRAMS)
@pytest.mark.parametrize("client", ["HttpUser", "FastHttpUser"])
def test_its_clients_keep_the_contract(tmp_path, contract, client):
    program = textwrap.dedent(CLIENT_PROGRAMS[contract])
    holds(CLIENT.replace("CLASS", client) + program, tmp_path)


def test_each_hop_of_an_http_session_goes_through_send_and_a_timeout_can_be_made_an_answer(
    tmp_path,
):
    program = """
from locust.clients import HttpSession, ResponseContextManager
from requests.exceptions import ReadTimeout

hops, proxies = [], []
send, safe_send = HttpSession.send, HttpSession._send_request_safe_mode

def watch(session, request, **kwargs):
    hops.append(request.url)
    proxies.append(kwargs["proxies"])
    return send(session, request, **kwargs)

HttpSession.send = watch
client.get("/old")
assert hops == [url + "/old", url + "/new"]
client.proxies = {"https": "http://127.0.0.1:9"}
client.get("/new")
assert proxies == [{}, {}, client.proxies]

def bounded(session, method, url, **kwargs):
    timer = gevent.Timeout.start_new(0.05)
    try:
        return safe_send(session, method, url, **kwargs)
    except gevent.Timeout as expired:
        assert expired is timer
        return ResponseContextManager(ReadTimeout("no answer"))
    finally:
        timer.close()

HttpSession._send_request_safe_mode = bounded
events.clear()
client.get("/slow")
(event,) = events
assert isinstance(event["exception"], ReadTimeout)
assert event["name"] == "/slow"
"""
    holds(CLIENT.replace("CLASS", "HttpUser") + program, tmp_path)


def test_each_hop_of_a_fast_session_goes_through_urlopen_and_it_answers_a_timeout_itself(tmp_path):
    program = """
from locust.contrib.fasthttp import FastHttpSession, LocustUserAgent

hops = []
urlopen = LocustUserAgent._urlopen

def watch(agent, request):
    hops.append((request.url_split.host, request.url_split.path))
    return urlopen(agent, request)

LocustUserAgent._urlopen = watch
client.get("/old")
assert hops == [("127.0.0.1", "/old"), ("127.0.0.1", "/new")]

proxies = []
FastHttpSession.__init__ = lambda session, *_, **options: proxies.append(options["proxy_host"])
Buyer.proxy_host = "proxy.example.com"
Buyer(Environment(user_classes=[Buyer]))
assert proxies == ["proxy.example.com"]

events.clear()
with gevent.Timeout(0.05):
    client.get("/slow")
(event,) = events
assert event["exception"] is not None
assert event["response_time"] >= 50 * 0.999
"""
    holds(CLIENT.replace("CLASS", "FastHttpUser") + program, tmp_path)
