"""Records every request exactly, with the ticket it belongs to.

Locust rounds response times to two digits and counts failures among its percentiles; neither can
decide whether an SLA holds. Here each request is one row, shipped to the parent as it is.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable
from time import perf_counter
from typing import Any

from gevent import Timeout
from requests.exceptions import Timeout as RequestTimeout

from capplan.loadtest.protocol import (
    COLUMNS,
    FAILURE,
    NOT_ASKED,
    NOT_STARTED,
    SUCCESS,
    TASK_FAILED,
    TIMEOUT,
    pack,
)
from capplan.loadtest.worker.gate import Ticket, current_ticket

MAX_ENDPOINTS = 500
"""Names beyond this many share one row: a script that puts ids into names must not fill memory."""


class Recorder:
    """Rows of the running trial, and the endpoints that they name."""

    def __init__(self, timeout_s: float, describe: Callable[[BaseException], str]) -> None:
        self._timeout_s = timeout_s
        self._describe = describe
        self._names: dict[str, int] = {}
        self._trial = -1
        self._start = 0.0
        self._rows: list[tuple[float, float, float, int, int]] = []
        self.outside = 0
        self.errors: dict[str, int] = {}
        self.answers = 0
        """How many requests of the trial were answered, with success or not."""
        self.silence = 0
        """How many in a row, the last ones of the trial, were not."""
        self.made = 0
        """All requests since it was set to 0, those that belong to no trial included."""

    def reset(self) -> None:
        """Forget what was counted for the last trial."""
        self.outside = self.answers = self.silence = 0
        self.errors = {}

    def open(self, trial: int, start: float) -> None:
        """Begin to record a trial that starts at ``start`` on the performance counter."""
        self._trial, self._start = trial, start
        self._rows = []

    def on_request(
        self,
        request_type: str,
        name: str,
        response_time: float | None,
        exception: BaseException | None = None,
        response: Any = None,
        **_: Any,
    ) -> None:
        """Listen to Locust's request event."""
        self.made += 1
        ticket = current_ticket()
        if ticket is None or ticket.trial != self._trial:
            self.outside += 1  # a login in on_start, or an answer that came after its trial
            return
        ticket.requests += 1
        latency_s = (response_time or 0.0) / 1000
        if exception is None:
            ending = SUCCESS
        else:
            late = latency_s >= self._timeout_s * 0.999
            ending = TIMEOUT if late or isinstance(exception, Timeout | RequestTimeout) else FAILURE
            # the clients' own words for it differ, and one says "0, original=10 seconds"
            words = f"no answer within {self._timeout_s:g} s" if late else exception
            self._count_error(f"{request_type} {name}: {words}")
        # the status of an error that has no response is 0, or the client knows no status
        answered = ending == SUCCESS or bool(getattr(response, "status_code", 0))
        self.answers += answered
        self.silence = 0 if answered else self.silence + 1
        if ticket.fresh:
            ticket.fresh = False
            intended, lateness_s = ticket.intended, ticket.started - ticket.intended
        else:
            intended, lateness_s = perf_counter() - latency_s, 0.0
        self._add(intended - self._start, latency_s, lateness_s, f"{request_type} {name}", ending)

    def on_task_failed(self, ticket: Ticket, error: Exception) -> None:
        """Record that a task raised.

        Locust reports no request whose ``with`` block raises, as a script does that meets an error
        page where it looks for JSON: such an arrival has failed, and must not be missing. One that
        is known to have sent nothing has another name: that is no fault of the target.
        """
        if ticket.trial != self._trial:
            return
        self._count_error(f"{TASK_FAILED}: {self._describe(error)}")
        if ticket.fresh:
            ticket.fresh = False
            intended_s, late_s = ticket.intended - self._start, ticket.started - ticket.intended
            latency_s = perf_counter() - ticket.started
            own_fault = Ticket.heard and not ticket.asked
            name = NOT_ASKED if own_fault else TASK_FAILED
            self._add(intended_s, latency_s, late_s, name, FAILURE)

    def on_dropped(self, ticket: Ticket) -> None:
        """Record an arrival that no user could serve in time, or that never ended."""
        if ticket.trial == self._trial and ticket.fresh:
            self._add(ticket.intended - self._start, math.inf, 0.0, NOT_STARTED, TIMEOUT)

    def take(self) -> dict[str, Any] | None:
        """Return what was recorded since the last call, ready to be sent; None when nothing was."""
        if not self._rows:
            return None
        rows, self._rows = self._rows, []
        columns = {
            name: array(code, values)
            for (name, code), values in zip(COLUMNS.items(), zip(*rows, strict=True), strict=True)
        }
        return {"columns": pack(columns), "endpoints": list(self._names)}

    def _count_error(self, text: str) -> None:
        reason = text[:300]
        if reason in self.errors or len(self.errors) < MAX_ENDPOINTS:
            self.errors[reason] = self.errors.get(reason, 0) + 1

    def _add(self, intended_s: float, latency_s: float, late_s: float, name: str, end: int) -> None:
        index = self._names.get(name)
        if index is None:
            if len(self._names) >= MAX_ENDPOINTS:
                name = "(other endpoints)"
            index = self._names.setdefault(name, len(self._names))
        self._rows.append((intended_s, latency_s, late_s, index, end))  # in the order of COLUMNS
