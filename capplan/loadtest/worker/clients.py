"""Bounds on Locust's HTTP clients that a script does not set itself.

A request without an answer by the timeout is a miss, and load goes only to hosts that were named.
The bound covers the whole request, where the clients' own timeouts cover single reads.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import gevent
from locust.clients import HttpSession, ResponseContextManager
from locust.contrib.fasthttp import FastHttpSession
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
    send, fast = requests_session._send_request_safe_mode, fast_session.request

    def check(url: str) -> None:
        host = urlsplit(url).hostname or ""
        if host not in allowed:
            refuse(host)
            raise HostRefused(host)

    def bounded_send(session: Any, method: Any, url: Any, **kwargs: Any) -> Any:
        check(str(url))
        timer = gevent.Timeout.start_new(timeout_s)
        try:
            return send(session, method, url, **kwargs)
        except gevent.Timeout as expired:
            if expired is not timer:
                raise
            return ResponseContextManager(ReadTimeout(f"no answer within {timeout_s:g} s"))
        finally:
            timer.close()

    def bounded_request(session: Any, method: str, url: str, *args: Any, **kwargs: Any) -> Any:
        check(session._build_url(url))
        # this client turns a gevent.Timeout into a failed request by itself
        with gevent.Timeout(timeout_s):
            return fast(session, method, url, *args, **kwargs)

    requests_session._send_request_safe_mode = bounded_send
    fast_session.request = bounded_request
