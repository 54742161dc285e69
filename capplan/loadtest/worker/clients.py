"""Bounds on Locust's HTTP clients that a script does not set itself.

A request without an answer by the timeout is a miss, and load goes only to this machine and to
hosts that were named, also where an answer redirects. The bound covers the whole request, where the
clients' own timeouts cover single reads.
"""

from __future__ import annotations

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

from capplan.loadtest.target import is_loopback
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
    bound = _Bound(timeout_s, allowed, refuse)
    _bound_requests(bound, wire)
    _bound_fast(bound, wire)


class _Bound:
    """What holds for the requests of both clients: how long they may take, and where they may go.

    ``known`` are hosts with their ports, as they stand in URLs, that were found to be allowed.
    """

    def __init__(
        self, timeout_s: float, allowed: frozenset[str], refuse: Callable[[str], None]
    ) -> None:
        self.timeout_s = timeout_s
        self.known: set[str] = set()
        self._allowed, self._refuse = allowed, refuse
        self._queues = {timeout_s: Deadlines(timeout_s)}

    def require_allowed(self, url: str, netloc: str) -> None:
        """Learn to know the host of a URL, or refuse it."""
        host = urlsplit(url).hostname or ""
        if host not in self._allowed and not is_loopback(host):
            self._refuse(host)
            raise HostRefused(host)
        self.known.add(netloc)

    def require_proxy(self, address: str) -> None:
        """Refuse a proxy whose host is not allowed: it receives the load as well."""
        url = address if "://" in address else f"http://{address}"
        self.require_allowed(url, urlsplit(url).netloc)

    def start(self, limit_s: float) -> Deadline:
        """Note that the running greenlet sends a request, which has to end within ``limit_s``."""
        note_asked()
        queue = self._queues.get(limit_s)
        if queue is None:  # the attempts of some trial have a limit of their own
            queue = self._queues[limit_s] = Deadlines(limit_s)
        return queue.start()


def _bound_requests(bound: _Bound, wire: Wire) -> None:
    """Bound the client of ``HttpUser``: each hop by its host, each attempt by its time."""
    session_class: Any = HttpSession
    send, safe_send = session_class.send, session_class._send_request_safe_mode
    known, start, timeout_s = bound.known, bound.start, bound.timeout_s

    def checked_send(session: Any, request: Any, **kwargs: Any) -> Any:
        netloc = urlsplit(request.url).netloc
        if netloc not in known:
            bound.require_allowed(request.url, netloc)
        if proxies := kwargs.get("proxies"):
            for scheme, address in proxies.items():
                if address and scheme != "no_proxy":
                    bound.require_proxy(address)
        return send(session, request, **kwargs)

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

    session_class.send = checked_send
    session_class._send_request_safe_mode = bounded_send


def _bound_fast(bound: _Bound, wire: Wire) -> None:
    """Bound the client of ``FastHttpUser``: each hop by its host, each request by its time.

    This client turns what ends a request into a response by itself, but reads the body later.
    """
    session_class: Any = FastHttpSession
    agent_class: Any = LocustUserAgent
    no_response: Any = ErrorResponse
    request, send = session_class.request, session_class._send_request_safe_mode
    init, urlopen = session_class.__init__, agent_class._urlopen
    known, start, timeout_s = bound.known, bound.start, bound.timeout_s

    def checked_init(session: Any, *args: Any, **kwargs: Any) -> None:
        if proxy := kwargs.get("proxy_host"):
            bound.require_proxy(proxy)
        init(session, *args, **kwargs)

    def checked_urlopen(agent: Any, asked: Any) -> Any:
        netloc = asked.url_split.netloc
        if netloc not in known:
            bound.require_allowed(str(asked.url_split), netloc)
        return urlopen(agent, asked)

    def bounded_request(session: Any, method: str, url: str, *args: Any, **kwargs: Any) -> Any:
        bound_s = timeout_s
        if wire.retry is not None:
            # each attempt has a bound of its own; this one is for a streamed body
            bound_s += wire.retry.patience_s
            session._capplan_stream = kwargs.get("stream", False)
        deadline = start(bound_s)
        try:
            return request(session, method, url, *args, **kwargs)
        finally:
            deadline.end()

    def send_within(limit_s: float, session: Any, method: str, url: str, kwargs: Any) -> Any:
        with gevent.Timeout(limit_s):
            response = send(session, method, url, **kwargs)
            try:
                if response.status_code and not session.__dict__.get("_capplan_stream"):
                    _ = response.content  # it keeps what it has read
            except FAILURE_EXCEPTIONS as error:
                return no_response(response.request, error)
        return response

    def retried_send(session: Any, method: str, url: str, **kwargs: Any) -> Any:
        if wire.retry is None:
            return send(session, method, url, **kwargs)
        return wire.send(lambda limit_s: send_within(limit_s, session, method, url, kwargs))

    session_class.__init__ = checked_init
    agent_class._urlopen = checked_urlopen
    session_class.request = bounded_request
    session_class._send_request_safe_mode = retried_send
