"""One trial of visits in the child: the shop does not empty between two trials.

The visits of the last trial go on into the next one, whose own fill the shop before its measuring
starts. They are never counted there, since each has the number of its own trial.
"""

from __future__ import annotations

import math
import random
from array import array
from time import perf_counter
from typing import Any

import gevent

from capplan.loadtest.protocol import VISIT_COLUMNS, pack
from capplan.loadtest.worker.gate import Ticket
from capplan.loadtest.worker.trial import TrialRun
from capplan.loadtest.worker.visits import Visit, Visits


class VisitRun(TrialRun):
    """Holds one load of visits."""

    _gate: Visits

    def _prepare(self) -> int:
        """Bring the visits that still go on down to the new rate; new ones bring them up."""
        gate, spec = self._gate, self.spec
        self._pool.add_beside()
        self._pool.say_complete()
        gate.most = spec.max_users
        if gate.rate > spec.arrivals_per_s:
            gate.thin(spec.arrivals_per_s / gate.rate, random.Random(f"{spec.seed}.thin"))
            gevent.sleep(0.01)  # those who left at once are gone then
        gate.rate = spec.arrivals_per_s
        return len(gate.in_flight)

    def _ticket(self, due: float) -> Ticket:
        return Visit(self.spec.index, due)

    def _make_room(self) -> None:
        """Leave queued visits to those whose end makes room."""

    def _users(self) -> int:
        return self._gate.peak

    def _drain(self) -> None:
        """Wait for the answers to what was asked in the trial; visits go on.

        A trial that was ended early has found too much for the server. What it began is sent home,
        or the server's queue would be a part of the next trial.
        """
        now = perf_counter()
        if self.end:
            self._gate.send_home(self._gate.in_flight)
            self._gate.rate = 0.0
        asking = [(v, v.requests) for v in self._gate.log if v.user is not None and not v.waits]
        deadline = now + self._timeout_s + 1.0
        while perf_counter() < deadline:
            self._give_up(0.0 if self.end else self.spec.give_up_s)
            asking = [(v, n) for v, n in asking if self._still_asks(v, n)]
            if not asking and not self._gate.queued:
                break
            gevent.sleep(0.01)
        self._give_up(0.0)
        for visit, _ in asking:
            self._recorder.on_dropped(visit)
        if self.end:
            self._gate.cut_off()
        self._send_visits()

    def _still_asks(self, visit: Visit, requests: int) -> bool:
        if visit.user is None or visit.waits:
            return False
        return self.end or visit.requests == requests

    def _send_visits(self) -> None:
        columns: dict[str, array[Any]] = {name: array(code) for name, code in VISIT_COLUMNS.items()}
        for visit in self._gate.log:
            columns["intended_s"].append(visit.intended - self._start)
            length_s = math.inf if visit.ended is None else visit.ended - visit.intended
            columns["length_s"].append(length_s)
            columns["requests"].append(min(visit.requests, 65_535))
        self._link.send({"is": "visits", "trial": self.spec.index, "columns": pack(columns)})
