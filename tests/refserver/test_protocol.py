"""The protocol in front of the work, on a clock that the test moves."""

import asyncio
import heapq
import itertools
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capplan.model.service_time import Deterministic, Exponential
from capplan.refserver import RefServerConfig
from capplan.refserver.protocol import HttpConnection
from capplan.refserver.work import Work


class Loop:
    """The two calls of an event loop that the protocol makes, in time that stands still."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self._due: list[tuple[float, int, Callable[..., None], tuple[Any, ...]]] = []
        self._order = itertools.count()

    def time(self) -> float:
        return self.now_s

    def call_at(self, at_s: float, call: Callable[..., None], *arguments: Any) -> None:
        heapq.heappush(self._due, (at_s, next(self._order), call, arguments))

    def run_until(self, end_s: float) -> None:
        while self._due and self._due[0][0] <= end_s:
            self.now_s, _, call, arguments = heapq.heappop(self._due)
            call(*arguments)
        self.now_s = end_s


class Transport(asyncio.Transport):
    """A transport that remembers what was sent."""

    def __init__(self) -> None:
        super().__init__()
        self.sent = b""
        self.closed = False

    def write(self, data: Any) -> None:
        assert not self.closed
        self.sent += bytes(data)

    def close(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed


class Session:
    """One client of one server with one slot and services of 1 s."""

    def __init__(self, **changes: Any) -> None:
        self.loop = Loop()
        config = replace(RefServerConfig(1, Deterministic(1.0)), **changes)
        self.work = Work(config, 0.0)
        self.connection, self.transport = self.connect()

    def connect(self) -> tuple[HttpConnection, Transport]:
        """Open one more connection to the same server."""
        loop = cast(asyncio.AbstractEventLoop, self.loop)
        connection, transport = HttpConnection(self.work, loop, set()), Transport()
        connection.connection_made(transport)
        return connection, transport

    def feed(self, *pieces: bytes) -> None:
        for piece in pieces:
            self.connection.data_received(piece)

    def sent_after(self, wait_s: float) -> bytes:
        """Move the clock and return what was sent meanwhile."""
        before = len(self.transport.sent)
        self.loop.run_until(self.loop.now_s + wait_s)
        return self.transport.sent[before:]

    def report(self) -> dict[str, Any]:
        return self.work.report(self.loop.now_s)


GET = b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n"
DONE = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\ndone\n"
STREAM = (
    b"GET /a?page=2 HTTP/1.1\r\nHost: x\r\n\r\n"
    b"POST /cart HTTP/1.1\r\nHost: x\r\nContent-Length: 11\r\n\r\nhello world"
    b"POST /cart HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"5\r\nhello\r\n6;note=x\r\n world\r\n0\r\nTrailer: y\r\n\r\n"
    b"HEAD /a HTTP/1.1\r\nHost: x\r\n\r\n"
)


def test_a_request_is_answered_when_its_service_is_over():
    client = Session()
    client.feed(GET)
    assert client.sent_after(0.999) == b""
    assert client.sent_after(0.001) == DONE
    assert not client.transport.closed


def test_the_stamp_is_when_the_last_byte_arrives():
    client = Session()
    client.feed(GET[:5])
    client.sent_after(10.0)
    client.feed(GET[5:])
    assert client.report()["first_arrival_s"] == 10.0
    assert client.sent_after(0.99) == b""
    assert client.sent_after(0.01) == DONE


@settings(deadline=None)
@given(cuts=st.lists(st.integers(0, len(STREAM)), max_size=30))
def test_requests_mean_the_same_in_whatever_pieces_they_come(cuts):
    client = Session()
    edges = [0, *sorted(cuts), len(STREAM)]
    client.feed(*(STREAM[start:end] for start, end in itertools.pairwise(edges)))
    assert client.sent_after(10.0) == 3 * DONE + DONE.removesuffix(b"done\n")
    assert client.report()["endpoints"] == {"GET /a": 1, "HEAD /a": 1, "POST /cart": 2}
    assert client.report()["garbage"] == 0


def test_every_single_byte_may_come_alone():
    client = Session()
    client.feed(*(bytes([byte]) for byte in STREAM))
    assert client.sent_after(10.0).count(b"HTTP/1.1 200 OK") == 4


def test_pipelined_answers_keep_the_order_of_their_requests():
    # the report is ready at once, the refusal too; both must wait for the work in front of them
    client = Session(fail_above_rps=1.0, fail_share=1.0)
    client.feed(GET + b"GET /__stats HTTP/1.1\r\n\r\n" + GET)
    assert client.sent_after(0.99) == b""
    sent = client.sent_after(0.01)
    statuses = [line[9:12] for line in sent.splitlines() if line.startswith(b"HTTP/1.1 ")]
    assert statuses == [b"200", b"200", b"503"]
    assert sent.startswith(DONE)


def test_an_answer_that_is_ready_early_waits_for_the_earlier_request():
    # with two slots and these services the second request is finished first
    first_s, second_s = Exponential(1.0).sample(np.random.default_rng([1, 0]), 4096)[:2]
    assert second_s < first_s
    client = Session(slots=2, service=Exponential(1.0), seed=1)
    client.feed(GET + b"HEAD /a HTTP/1.1\r\n\r\n")
    assert client.sent_after(first_s - 1e-6) == b""
    assert client.report()["served"] == 1
    assert client.sent_after(1e-6) == DONE + DONE.removesuffix(b"done\n")


def test_the_report_is_no_work_and_does_not_count():
    client = Session()
    client.feed(GET + GET)
    client.sent_after(1.5)
    observer, transport = client.connect()
    observer.data_received(b"GET /__stats?x=1 HTTP/1.1\r\n\r\n")
    head, _, body = transport.sent.partition(b"\r\n\r\n")
    assert b"Content-Type: application/json" in head
    report = json.loads(body)
    assert (report["received"], report["served"], report["in_flight"]) == (2, 1, 1)
    assert report["endpoints"] == {"GET /a": 2}
    assert client.report()["received"] == 2


def test_connection_close_is_honoured_and_later_bytes_are_ignored():
    client = Session()
    client.feed(b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n" + GET, GET, b"\x00\xff")
    sent = client.sent_after(10.0)
    assert b"Connection: close\r\n" in sent
    assert sent.count(b"HTTP/1.1 200") == 1
    assert client.transport.closed
    assert (client.report()["received"], client.report()["garbage"]) == (1, 0)


def test_an_old_client_closes_unless_it_asks_to_stay():
    closing, staying = Session(), Session()
    closing.feed(b"GET / HTTP/1.0\r\n\r\n")
    staying.feed(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
    assert b"Connection: close" in closing.sent_after(1.0)
    assert closing.transport.closed
    assert b"Connection: keep-alive" in staying.sent_after(1.0)
    assert not staying.transport.closed


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x16\x03\x01\x02\x00\x01\x00",
        b"hello\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: many\r\n\r\n",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\n\r\n",
    ],
    ids=lambda garbage: repr(garbage[:60]),
)
def test_garbage_gets_a_400_and_the_end(garbage):
    client = Session()
    client.feed(garbage, b"more")
    assert client.transport.sent.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert client.transport.closed
    assert (client.report()["garbage"], client.report()["received"]) == (1, 0)


def test_garbage_after_a_request_waits_for_the_requests_answer():
    client = Session()
    client.feed(GET + b"garbage\r\n\r\n")
    assert client.transport.sent == b""
    sent = client.sent_after(1.0)
    assert sent.startswith(DONE + b"HTTP/1.1 400 Bad Request\r\n")
    assert client.transport.closed


def test_a_client_that_left_keeps_its_slot_and_is_counted_as_gone():
    client = Session()
    client.feed(GET)
    client.transport.close()
    client.connection.connection_lost(None)
    other, transport = client.connect()
    other.data_received(GET)
    client.loop.run_until(1.99)
    assert transport.sent == b""  # the slot works for the one who left first
    client.loop.run_until(2.0)
    assert transport.sent == DONE
    assert client.transport.sent == b""
    report = client.report()
    assert (report["served"], report["abandoned"], report["in_flight"]) == (1, 1, 0)


def test_an_offer_to_upgrade_is_declined_by_an_ordinary_answer():
    client = Session()
    client.feed(b"GET / HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n" + GET)
    assert client.sent_after(10.0) == 2 * DONE
    assert client.report()["garbage"] == 0


def test_a_refusal_is_immediate():
    client = Session(fail_above_rps=0.5, fail_share=1.0)
    client.feed(GET)
    assert client.transport.sent.startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
    assert client.report()["failed"] == 1
