"""Bounds on Locust's HTTP clients that a script does not set itself.

A request without an answer by the timeout is a miss, and load goes only to this machine and to
hosts that were named, also where an answer redirects. The bound covers the whole request, where the
clients' own timeouts cover single reads.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import gevent
from locust.clients import HttpSession, ResponseContextManager
from locust.contrib.fasthttp import (
    FAILURE_EXCEPTIONS,
    ErrorResponse,
    FastHttpSession,
    LocustUserAgent,
)
from requests import Request
from requests.exceptions import ReadTimeout

from capplan.loadtest.worker.deadline import Deadline, Deadlines
from capplan.loadtest.worker.gate import note_asked
from capplan.loadtest.worker.wire import Wire


class HostRefused(Exception):
    """The script sends a request to a host that was not named in the plan."""

    def __init__(self, host: str) -> None:
        super().__init__(f"the script sends requests to {host}, which the plan does not name")
        self.host = host


def install(
    timeout_s: float, allowed: frozenset[str], refuse: Callable[[str], None], wire: Wire
) -> None:
    """Bound both clients; ``refuse`` hears of a host that is not in ``allowed``.

    ``wire`` sends a request again where a trial wants that.
    """
    requests_session: Any = HttpSession
    fast_session: Any = FastHttpSession
    fast_agent: Any = LocustUserAgent
    safe_send, fast = requests_session._send_request_safe_mode, fast_session.request
    fast_send = fast_session._send_request_safe_mode
    no_response: Any = ErrorResponse
    send, urlopen = requests_session.send, fast_agent._urlopen

    queues = {timeout_s: Deadlines(timeout_s)}
    known: set[str] = set()  # hosts with their ports, as they stand in URLs

    def check(url: str, netloc: str) -> None:
        host = urlsplit(url).hostname or ""
        if host not in allowed and not _is_loopback(host):
            refuse(host)
            raise HostRefused(host)
        known.add(netloc)

    def checked_send(session: Any, request: Any, **kwargs: Any) -> Any:
        netloc = urlsplit(request.url).netloc
        if netloc not in known:
            check(request.url, netloc)
        return send(session, request, **kwargs)

    def checked_urlopen(agent: Any, request: Any) -> Any:
        netloc = request.url_split.netloc
        if netloc not in known:
            check(str(request.url_split), netloc)
        return urlopen(agent, request)

    def start(limit_s: float) -> Deadline:
        note_asked()
        queue = queues.get(limit_s)
        if queue is None:  # the attempts of some trial have a limit of their own
            queue = queues[limit_s] = Deadlines(limit_s)
        return queue.start()

    def send_within(limit_s: float, session: Any, method: Any, url: Any, kwargs: Any) -> Any:
        deadline = start(limit_s)
        try:
            return safe_send(session, method, url, **kwargs)
        except gevent.Timeout as expired:
            if expired is not deadline.error:
                raise
            # its request names the endpoint, query string and all, as an answered one would
            asked = Request(method, url, params=kwargs.get("params")).prepare()
            late = ReadTimeout(f"no answer within {limit_s:g} s", request=asked)
            return ResponseContextManager(late)
        finally:
            deadline.end()

    def bounded_send(session: Any, method: Any, url: Any, **kwargs: Any) -> Any:
        if wire.retry is None:
            return send_within(timeout_s, session, method, url, kwargs)
        return wire.send(lambda limit_s: send_within(limit_s, session, method, url, kwargs))

    def fast_within(limit_s: float, session: Any, method: str, url: str, kwargs: Any) -> Any:
        with gevent.Timeout(limit_s):
            # this client turns what ends a request into a response by itself ...
            response = fast_send(session, method, url, **kwargs)
            try:
                if response.status_code and not session.__dict__.get("_capplan_stream"):
                    _ = response.content  # ... but reads the body later, and keeps it
            except FAILURE_EXCEPTIONS as error:
                return no_response(response.request, error)
        return response

    def retried_send(session: Any, method: str, url: str, **kwargs: Any) -> Any:
        if wire.retry is None:
            return fast_send(session, method, url, **kwargs)
        return wire.send(lambda limit_s: fast_within(limit_s, session, method, url, kwargs))

    def bounded_request(session: Any, method: str, url: str, *args: Any, **kwargs: Any) -> Any:
        bound_s = timeout_s
        if wire.retry is not None:
            # each attempt has a bound of its own; this one is for a streamed body
            bound_s += wire.retry.patience_s
            session._capplan_stream = kwargs.get("stream", False)
        deadline = start(bound_s)
        try:
            return fast(session, method, url, *args, **kwargs)
        finally:
            deadline.end()

    requests_session.send = checked_send
    requests_session._send_request_safe_mode = bounded_send
    fast_agent._urlopen = checked_urlopen
    fast_session.request = bounded_request
    fast_session._send_request_safe_mode = retried_send


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
