"""Attempts and connections as the child makes them, over real sockets, for both HTTP clients."""

import itertools
import socket
from dataclasses import replace

import numpy as np
import pytest

from capplan.loadtest.protocol import ANSWERED, FAILED, SHED, SUCCESS, TIMED_OUT, Retry
from tests.loadtest.harness import OK, run, script, server, spec

pytestmark = pytest.mark.load

CLIENTS = ["HttpUser", "FastHttpUser"]
RETRY = Retry(attempts=3, timeout_s=0.3, backoff_s=0.01, jitter=0.5)


def refuses(status: int) -> bytes:
    return f"HTTP/1.1 {status} No\r\nContent-Length: 2\r\n\r\nno".encode()


def in_turn(*answers: bytes):
    """Answer the requests one after the other in these words, then again from the first."""
    turns = itertools.cycle(answers)
    return lambda connection: connection.sendall(next(turns))


def visit(client: str, path: str = "/") -> str:
    return f"""
class Buyer({client}):
    @task
    def look(self):
        self.client.get("{path}")
"""


def one_by_one(**changes):
    """About twenty arrivals for a single user: its requests follow each other."""
    return replace(spec(50.0, 0.4, users=1, max_users=1, give_up_s=60.0), **changes)


@pytest.mark.parametrize(("client", "status"), [("HttpUser", 503), ("FastHttpUser", 500)])
def test_an_attempt_that_meets_an_error_of_the_server_is_sent_again(tmp_path, client, status):
    with server(in_turn(refuses(status), OK)) as url:
        made = run(script(tmp_path, visit(client)), url, one_by_one(retry=RETRY))
    rows, attempts = made.rows(), made.attempts()
    assert len(rows) > 5
    assert set(rows.ending) == {SUCCESS}  # the request as a whole has succeeded
    assert len(attempts.ending) == 2 * len(rows)
    refused = SHED if status == 503 else FAILED
    assert attempts.ending.tolist() == [refused, ANSWERED] * len(rows)
    assert attempts.ordinal.tolist() == [0, 1] * len(rows)
    assert attempts.last.tolist() == [False, True] * len(rows)
    # the latency is that of the whole request: its attempts and the pause between them
    pauses = np.diff(attempts.start_s)[::2]
    assert (rows.latency_s >= pauses).all()
    assert (pauses >= RETRY.backoff_s * (1 - RETRY.jitter)).all()


def test_a_client_gives_up_after_its_last_attempt(tmp_path):
    with server(lambda connection: connection.shutdown(socket.SHUT_RDWR)) as url:
        made = run(script(tmp_path, visit("HttpUser")), url, one_by_one(retry=RETRY))
    attempts = made.attempts()
    assert SUCCESS not in made.rows().ending
    assert set(attempts.ending) == {FAILED}
    assert np.count_nonzero(attempts.last) == len(made.rows())
    assert len(attempts.last) == 3 * len(made.rows())


@pytest.mark.parametrize("client", CLIENTS)
def test_an_attempt_without_an_answer_is_hung_up_and_sent_again(tmp_path, client):
    turns = itertools.count()

    def slow_at_first(connection: socket.socket) -> None:
        if next(turns) == 0:
            connection.recv(1)  # until the client hangs up
        else:
            connection.sendall(OK)

    with server(slow_at_first) as url:
        made = run(script(tmp_path, visit(client)), url, one_by_one(retry=RETRY))
    attempts = made.attempts()
    assert attempts.ending[:2].tolist() == [TIMED_OUT, ANSWERED]
    assert set(attempts.ending[2:]) == {ANSWERED}
    assert set(made.rows().ending) == {SUCCESS}
    assert made.rows().latency_s[0] >= RETRY.timeout_s


def test_a_body_that_never_ends_is_no_answer(tmp_path):
    half = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"
    with server(lambda connection: connection.sendall(half)) as url:
        short = Retry(attempts=2, timeout_s=0.1, backoff_s=0.0, jitter=0.0)
        made = run(script(tmp_path, visit("FastHttpUser")), url, one_by_one(retry=short))
    assert set(made.attempts().ending) == {TIMED_OUT}
    assert made.attempts().ordinal[:4].tolist() == [0, 1, 0, 1]


@pytest.mark.parametrize(
    ("client", "status", "ending"), [("HttpUser", 429, SHED), ("FastHttpUser", 404, ANSWERED)]
)
def test_what_the_client_itself_did_wrong_is_not_sent_again(tmp_path, client, status, ending):
    with server(in_turn(refuses(status))) as url:
        made = run(script(tmp_path, visit(client)), url, one_by_one(retry=RETRY))
    assert set(made.attempts().ending) == {ending}
    assert made.attempts().last.all()
    assert len(made.attempts().ending) == len(made.rows())


def test_only_a_trial_that_asks_for_it_retries(tmp_path):
    with server(in_turn(refuses(503))) as url:
        made = run(script(tmp_path, visit("HttpUser")), url, one_by_one())
    assert SUCCESS not in made.rows().ending
    assert len(made.attempts().ending) == 0


@pytest.mark.parametrize("client", CLIENTS)
def test_strangers_connect_for_each_arrival_and_regulars_only_once(tmp_path, client):
    body = visit(client) + '        self.client.get("/again")\n'
    with server(lambda connection: connection.sendall(OK)) as url:
        strangers = run(script(tmp_path, body), url, one_by_one(unconnected=True))
        regulars = run(script(tmp_path, body), url, one_by_one(retry=RETRY))
    arrivals = strangers.state["issued"]
    assert len(strangers.rows()) == 2 * arrivals
    connects = strangers.connects()
    assert len(connects.failed) == arrivals  # the second page comes over the same connection
    assert not connects.failed.any()
    assert (connects.took_s > 0).all()
    assert len(regulars.connects().failed) == 1


def test_connections_that_nobody_accepts_are_counted_apart(tmp_path):
    with server(lambda connection: connection.sendall(OK)) as url:
        pass  # it has ended: its port refuses
    made = run(script(tmp_path, visit("FastHttpUser")), url, one_by_one(unconnected=True))
    assert len(made.connects().failed) >= made.state["issued"]
    assert made.connects().failed.all()
    assert SUCCESS not in made.rows().ending
