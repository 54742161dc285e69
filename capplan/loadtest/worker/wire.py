"""What requests are made of: attempts that are sent again, and connections that are opened.

Stock Locust never tries again, and its users keep their connections. A sale begins with strangers
who connect, and overload feeds itself only when clients retry; so phases of the load test ask for
both. In every other trial nothing here is active.

Of the clients' libraries this replaces ``HTTPConnection.connect`` (urllib3, also of HTTPS) and
``ConnectionPool._create_socket`` (geventhttpclient). Contract tests cover them.
"""

from __future__ import annotations

import random
from array import array
from collections.abc import Callable, Mapping
from time import perf_counter
from typing import Any

import gevent
from geventhttpclient.connectionpool import ConnectionPool
from locust import User
from urllib3.connection import HTTPConnection, HTTPSConnection

from capplan.loadtest.protocol import (
    ANSWERED,
    ATTEMPT_COLUMNS,
    CONNECT_COLUMNS,
    FAILED,
    SHED,
    TIMED_OUT,
    Retry,
    TrialSpec,
    pack,
)
from capplan.loadtest.worker.gate import current_ticket

_SHED = (429, 503)


class Wire:
    """Sends attempts and records them, and the connections, of the trial that is open."""

    def __init__(self) -> None:
        self.retry: Retry | None = None
        self._unconnected = False
        self._trial = -1
        self._start = 0.0
        self._rng = random.Random(0)
        self._attempts = _empty(ATTEMPT_COLUMNS)
        self._connects = _empty(CONNECT_COLUMNS)

    def open(self, spec: TrialSpec, start: float) -> None:
        """Behave as a trial wants that starts at ``start`` on the performance counter."""
        self.retry, self._unconnected = spec.retry, spec.unconnected
        self._trial, self._start = spec.index, start
        self._rng = random.Random(spec.seed + 1)
        self._attempts, self._connects = _empty(ATTEMPT_COLUMNS), _empty(CONNECT_COLUMNS)

    def close(self) -> None:
        """Behave as Locust does by itself again."""
        self.retry, self._unconnected = None, False

    def take(self) -> dict[str, dict[str, str]]:
        """Return what was recorded since the last call, ready to be sent."""
        taken = {}
        if self._attempts["ending"]:
            taken["attempts"] = pack(self._attempts)
            self._attempts = _empty(ATTEMPT_COLUMNS)
        if self._connects["failed"]:
            taken["connects"] = pack(self._connects)
            self._connects = _empty(CONNECT_COLUMNS)
        return taken

    def on_task(self, user: User) -> None:
        """Close what the user has open when every arrival is to be a stranger."""
        if self._unconnected:
            disconnect(user)

    def send(self, once: Callable[[float], Any]) -> Any:
        """Make attempts until one is answered or the client gives up; return the last answer.

        ``once`` makes one attempt within the seconds it is given, and raises nothing that a client
        could try again.
        """
        retry = self.retry
        assert retry is not None
        for ordinal in range(retry.attempts):
            start = perf_counter()
            response = once(retry.timeout_s)
            ending = ending_of(response, perf_counter() - start >= 0.999 * retry.timeout_s)
            again = ending in (FAILED, TIMED_OUT) or response.status_code == 503
            last = not again or ordinal == retry.attempts - 1 or self.retry is not retry
            self._add_attempt(start, ordinal, last, ending)
            if last:
                return response
            pause_s = retry.backoff_s * 2**ordinal
            gevent.sleep(pause_s * (1 - retry.jitter * self._rng.random()))
        raise AssertionError("a request has at least one attempt")

    def install(self) -> None:
        """Measure how long connections take to open, TLS included, in both clients' libraries."""
        for cls, name in (
            (HTTPConnection, "connect"),
            (HTTPSConnection, "connect"),
            (ConnectionPool, "_create_socket"),
        ):
            setattr(cls, name, self._timed(getattr(cls, name)))

    def _timed(self, connect: Callable[[Any], Any]) -> Callable[[Any], Any]:
        def timed(holder: Any) -> Any:
            start = perf_counter()
            try:
                connected = connect(holder)
            except BaseException:  # a timeout that ends the whole request is one
                self._add_connect(start, failed=True)
                raise
            self._add_connect(start, failed=False)
            return connected

        return timed

    def _add_attempt(self, start: float, ordinal: int, last: bool, ending: int) -> None:
        if self._is_ours():
            columns = self._attempts
            columns["start_s"].append(start - self._start)
            columns["ordinal"].append(min(ordinal, 255))
            columns["last"].append(last)
            columns["ending"].append(ending)

    def _add_connect(self, start: float, *, failed: bool) -> None:
        if (self._unconnected or self.retry) and self._is_ours():
            columns = self._connects
            columns["start_s"].append(start - self._start)
            columns["took_s"].append(perf_counter() - start)
            columns["failed"].append(failed)

    def _is_ours(self) -> bool:
        ticket = current_ticket()
        return ticket is not None and ticket.trial == self._trial


def ending_of(response: Any, late: bool) -> int:
    """Say how an attempt ended, from the response of either client; 0 is the status of none."""
    status = response.status_code
    if status in _SHED:
        return SHED
    if status == 0 and late:  # the clients wrap a timeout in errors of different kinds
        return TIMED_OUT
    return FAILED if status == 0 or status >= 500 else ANSWERED


def disconnect(user: User) -> None:
    """Close the connections that a user keeps; its cookies stay."""
    client: Any = getattr(user, "client", None)
    # FastHttpUser keeps its connections one level down
    close = getattr(getattr(client, "client", client), "close", None)
    if close is not None:
        close()


def _empty(columns: Mapping[str, str]) -> dict[str, array[Any]]:
    return {name: array(code) for name, code in columns.items()}
