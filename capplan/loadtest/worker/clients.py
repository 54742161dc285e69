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
from locust.contrib.fasthttp import FastHttpSession, LocustUserAgent
from requests import Request
from requests.exceptions import ReadTimeout


class HostRefused(Exception):
    """The script sends a request to a host that was not named in the plan."""

    def __init__(self, host: str) -> None:
        super().__init__(f"the script sends requests to {host}, which the plan does not name")
        self.host = host


def install(timeout_s: float, allowed: frozenset[str], refuse: Callable[[str], None]) -> None:
    """Bound both clients; ``refuse`` hears of a host that is not in ``allowed``."""
    requests_session: Any = HttpSession
    fast_session: Any = FastHttpSession
    fast_agent: Any = LocustUserAgent
    safe_send, fast = requests_session._send_request_safe_mode, fast_session.request
    send, urlopen = requests_session.send, fast_agent._urlopen

    def check(host: str) -> None:
        if host not in allowed and not _is_loopback(host):
            refuse(host)
            raise HostRefused(host)

    def checked_send(session: Any, request: Any, **kwargs: Any) -> Any:
        check(urlsplit(request.url).hostname or "")
        return send(session, request, **kwargs)

    def checked_urlopen(agent: Any, request: Any) -> Any:
        check(request.url_split.host)
        return urlopen(agent, request)

    def bounded_send(session: Any, method: Any, url: Any, **kwargs: Any) -> Any:
        timer = gevent.Timeout.start_new(timeout_s)
        try:
            return safe_send(session, method, url, **kwargs)
        except gevent.Timeout as expired:
            if expired is not timer:
                raise
            # its request names the endpoint, query string and all, as an answered one would
            asked = Request(method, url, params=kwargs.get("params")).prepare()
            late = ReadTimeout(f"no answer within {timeout_s:g} s", request=asked)
            return ResponseContextManager(late)
        finally:
            timer.close()

    def bounded_request(session: Any, method: str, url: str, *args: Any, **kwargs: Any) -> Any:
        # this client turns a gevent.Timeout into a failed request by itself
        with gevent.Timeout(timeout_s):
            return fast(session, method, url, *args, **kwargs)

    requests_session.send = checked_send
    requests_session._send_request_safe_mode = bounded_send
    fast_agent._urlopen = checked_urlopen
    fast_session.request = bounded_request


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
