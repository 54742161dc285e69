"""Parts of the load generator that need no load: bounds in time, and Locust's own statistics.

Each program runs in a process of its own, since importing Locust patches the whole process.
"""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

DEADLINES = {
    "what takes too long is ended, what does not is left alone": """
        deadlines, ended = Deadlines(0.05), []

        def work(name, seconds):
            deadline = deadlines.start()
            try:
                gevent.sleep(seconds)
                ended.append((name, "done"))
            except gevent.Timeout as error:
                ended.append((name, error is deadline.error))
            finally:
                deadline.end()

        gevent.joinall([gevent.spawn(work, *job) for job in
                        [("stuck", 60), ("quick", 0.0), ("also stuck", 60)]])
        assert ended == [("quick", "done"), ("stuck", True), ("also stuck", True)]
    """,
    "nothing is raised in a greenlet that has ended what it did": """
        deadlines = Deadlines(0.02)

        def work():
            deadline = deadlines.start()
            deadline.end()
            gevent.sleep(0.2)
            return deadline.error

        assert gevent.spawn(work).get() is None
    """,
    "not even when its time was over at the same moment": """
        deadlines = Deadlines(0.02)

        def work():
            deadline = deadlines.start()
            gevent.get_hub().loop.run_callback(deadline.expire)
            deadline.end()
            gevent.sleep(0.2)
            return deadline.error

        assert gevent.spawn(work).get() is None
    """,
    "a bound that began later ends later": """
        deadlines, order = Deadlines(0.2), []

        def work(name, begin):
            gevent.sleep(begin)
            deadlines.start()
            try:
                gevent.sleep(60)
            except gevent.Timeout:
                order.append(name)

        gevent.joinall([gevent.spawn(work, "second", 0.1), gevent.spawn(work, "first", 0.0)])
        assert order == ["first", "second"]
    """,
}

STATISTICS = {
    "they are what Locust would have counted itself": """
        rng = random.Random(1)
        theirs, ours = RequestStats(), RequestStats()
        tally = Tally(ours)
        for _ in range(2000):
            request = (rng.choice(["GET", "POST"]), rng.choice(["/", "/cart"]),
                       rng.choice([None, rng.expovariate(1 / 80)]), rng.randrange(9000))
            theirs.log_request(*request)
            ours.log_request(*request)
        tally.settle()
        assert ours.entries.keys() == theirs.entries.keys()
        for key in [None, *theirs.entries]:
            a, b = (s.total if key is None else s.entries[key] for s in (ours, theirs))
            assert a.num_requests == b.num_requests > 0
            assert a.num_none_requests == b.num_none_requests > 0
            assert a.total_content_length == b.total_content_length
            assert (a.min_response_time, a.max_response_time) == (
                b.min_response_time, b.max_response_time)
            assert math.isclose(a.avg_response_time, b.avg_response_time)
            assert sum(a.num_reqs_per_sec.values()) == sum(b.num_reqs_per_sec.values())
            # Locust keeps two digits, and these are three: half a unit of its second digit apart
            for share in (0.5, 0.95, 0.99):
                assert math.isclose(a.get_response_time_percentile(share),
                                    b.get_response_time_percentile(share), rel_tol=0.05)
    """,
    "they keep three digits": """
        stats = RequestStats()
        tally = Tally(stats)
        for taken in (0.2, 304.9, 1234.0, 98765.0):
            stats.log_request("GET", "/", taken, 0)
        tally.settle()
        assert dict(stats.total.response_times) == {0: 1, 305: 1, 1230: 1, 98800: 1}
    """,
    "a runner enters every request and every error": """
        environment = Environment(user_classes=[])
        runner = environment.create_local_runner()
        tally = Tally(environment.stats)
        for error in (None, ValueError("no")):
            environment.events.request.fire(
                request_type="GET", name="/", response_time=5.0, response_length=7,
                exception=error, context={})
        tally.settle()
        total = runner.stats.total
        assert (total.num_requests, total.num_failures, total.fail_ratio) == (2, 1, 0.5)
        assert total.total_content_length == 14
    """,
    "they are entered by themselves": """
        stats = RequestStats()
        Tally(stats)
        stats.log_request("GET", "/", 5.0, 0)
        with gevent.Timeout(20):
            while not stats.total.num_requests:
                gevent.sleep(0.01)
    """,
}


def runs(imports: str, program: str) -> None:
    """Run the program; an assertion that fails in it fails here."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(imports) + textwrap.dedent(program)],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=Path(__file__).parents[2],
        env=os.environ,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("what", DEADLINES)
def test_a_deadline_ends_what_takes_too_long(what):
    runs(
        """
        import gevent
        from capplan.loadtest.worker.deadline import Deadlines
        """,
        DEADLINES[what],
    )


@pytest.mark.parametrize("what", STATISTICS)
def test_scripts_may_read_the_statistics_of_locust(what):
    runs(
        """
        import math, random
        import gevent
        from locust.env import Environment
        from locust.stats import RequestStats
        from capplan.loadtest.worker.tally import Tally
        """,
        STATISTICS[what],
    )
