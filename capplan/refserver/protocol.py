"""HTTP/1.1 in front of the work: one object per connection.

Parses what comes, in whatever pieces; stamps a request when its last byte is there; writes each
answer when its job is finished and all earlier requests of the connection are answered. What
arrives after garbage or after ``Connection: close`` is ignored. A client that closes its side has
gone: its jobs keep their slots and nobody gets their answers.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from dataclasses import dataclass

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser

from capplan.refserver.work import Job, Work

STATS_PATH = "/__stats"
_REASONS = {200: "OK", 400: "Bad Request", 503: "Service Unavailable"}
_LONGEST_URL = 16_384


@dataclass(slots=True)
class _Answer:
    """An answer in its place; ``data`` is None until it may be sent."""

    method: str
    version: str
    last: bool
    data: bytes | None = None


class HttpConnection(asyncio.Protocol):
    """One client's connection; ``open_connections`` holds it as long as it lives."""

    def __init__(
        self,
        work: Work,
        loop: asyncio.AbstractEventLoop,
        open_connections: set[asyncio.Transport],
    ) -> None:
        self._work = work
        self._loop = loop
        self._open_connections = open_connections
        self._answers: deque[_Answer] = deque()
        self._url = b""
        self._deaf = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start to listen."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._open_connections.add(transport)
        self._parser = HttpRequestParser(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the client; its jobs go on."""
        self._deaf = True
        self._open_connections.discard(self._transport)
        self._answers.clear()
        del self._parser  # it and this object hold each other

    def data_received(self, data: bytes) -> None:
        """Parse the next piece of the stream."""
        while data and not self._deaf:
            try:
                self._parser.feed_data(data)
                return
            except HttpParserUpgrade as upgrade:
                # the offer to speak another protocol is declined; HTTP goes on behind the request
                data = data[upgrade.args[0] :]
                self._parser = HttpRequestParser(self)
            except HttpParserError:
                if not self._deaf:
                    self._reject()
                return

    def on_message_begin(self) -> None:
        """Begin a request (called by the parser)."""
        self._url = b""

    def on_url(self, url: bytes) -> None:
        """Take a piece of the URL (called by the parser)."""
        self._url += url
        if len(self._url) > _LONGEST_URL:
            raise ValueError("URL too long")  # the parser turns it into its own error

    def on_message_complete(self) -> None:
        """Answer a complete request, now or when its work is done (called by the parser)."""
        if self._deaf:
            return
        now_s = self._loop.time()
        method = self._parser.get_method().decode("ascii")
        path = self._url.partition(b"?")[0].decode("latin-1")
        last = not self._parser.should_keep_alive()
        answer = _Answer(method, self._parser.get_http_version(), last)
        self._deaf = last
        self._answers.append(answer)
        if path == STATS_PATH:
            report = json.dumps(self._work.report(now_s), indent=2) + "\n"
            self._send(answer, 200, report, "application/json")
        elif job := self._work.arrive(now_s, f"{method} {path}"):
            self._loop.call_at(job.finish_s, self._finish, job, answer)
        else:
            self._send(answer, 503, "refused: too many requests\n")

    def _finish(self, job: Job, answer: _Answer) -> None:
        delivered = not self._transport.is_closing()
        self._work.finish(job, self._loop.time(), delivered)
        if delivered:
            self._send(answer, 200, "done\n")

    def _reject(self) -> None:
        self._deaf = True
        self._work.garbage()
        answer = _Answer("GET", "1.1", last=True)
        self._answers.append(answer)
        self._send(answer, 400, "this is no HTTP request\n")

    def _send(self, answer: _Answer, status: int, body: str, kind: str = "text/plain") -> None:
        answer.data = _response(answer, status, body.encode(), kind)
        while self._answers and self._answers[0].data is not None:
            first = self._answers.popleft()
            self._transport.write(first.data or b"")
            if first.last:
                self._transport.close()


def _response(answer: _Answer, status: int, body: bytes, kind: str) -> bytes:
    connection = ""
    if answer.last:
        connection = "Connection: close\r\n"
    elif answer.version == "1.0":
        connection = "Connection: keep-alive\r\n"
    head = (
        f"HTTP/1.1 {status} {_REASONS[status]}\r\n"
        f"Content-Type: {kind}\r\nContent-Length: {len(body)}\r\n{connection}\r\n"
    )
    return head.encode("ascii") + (b"" if answer.method == "HEAD" else body)
