"""One trial in the child: issue tickets by a Poisson schedule, drain, report."""

from __future__ import annotations

import gc
import random
import time
from time import perf_counter
from typing import Any

import gevent

from capplan.loadtest import schedule
from capplan.loadtest.protocol import TrialSpec
from capplan.loadtest.worker.gate import Gate, Ticket
from capplan.loadtest.worker.link import Link
from capplan.loadtest.worker.pool import Pool
from capplan.loadtest.worker.recorder import Recorder
from capplan.loadtest.worker.wire import Wire

REPORT_EVERY_S = 0.1
_HOUSEKEEPING_S = 0.02
_TICK_S = 0.001  # an idle event loop waits no less for a timer; a busy one is not to be woken more
_COLLECT_AFTER = 20_000  # objects: those of a few hundred requests, where Python's own 700 are few
_HELD_UP_S = 0.01  # a wake-up that is later than this was held up


class TrialRun:
    """Holds one load.

    Set from outside: ``go_at``, the instant of the performance counter at which the schedule
    starts, and ``end`` when the parent has seen enough.
    """

    def __init__(
        self,
        spec: TrialSpec,
        timeout_s: float,
        link: Link,
        gate: Gate,
        pool: Pool,
        rec: Recorder,
        wire: Wire,
    ) -> None:
        self.spec = spec
        self.end = False
        self.go_at: float | None = None
        self._timeout_s = timeout_s
        self._link, self._pool, self._recorder = link, pool, rec
        self._gate = gate
        self._wire = wire
        self._start = 0.0
        self._due = 0
        self._capped = False
        self._issuing = True
        self._held_up_s = 0.0

    def run(self) -> None:
        """Run the trial to its end, drained, and send ``done``."""
        self._gate.reset()
        self._recorder.reset()
        self._pool.failed_starts = 0
        ready = self._prepare()
        spare_the_collector()
        self._link.send({"is": "prepared", "trial": self.spec.index, "ready": ready})
        while self.go_at is None and not self.end:
            gevent.sleep(0.005)
        self._start = perf_counter() if self.go_at is None else self.go_at
        self._recorder.open(self.spec.index, self._start)
        self._wire.open(self.spec, self._start)
        gevent.sleep(max(0.0, self._start - perf_counter()))
        cpu, wall = time.process_time(), perf_counter()
        watchers = [gevent.spawn(self._report), gevent.spawn(self._keep_pool)]
        self._issue_tickets()
        self._wait_for_the_end()
        self._issuing = False
        held_s = perf_counter() - self._start
        busy = (time.process_time() - cpu) / (perf_counter() - wall)
        self._drain()
        self._wire.close()
        gevent.killall(watchers, block=True)
        self._flush(
            "done",
            ready=ready,
            held_s=held_s,
            generator_cpu=busy,
            held_up=self._held_up_s / held_s,
            lateness_s_p99=self._lateness_p99(),
            capped=self._capped,
        )
        self._recorder.made = 0

    def _prepare(self) -> int:
        """Make ready for the first arrival; return how many users are."""
        return self._pool.grow_to(self.spec.users, settle_s=self._timeout_s)

    def _ticket(self, due: float) -> Ticket:
        return Ticket(self.spec.index, due)

    def _issue_tickets(self) -> None:
        mix = random.Random(f"{self.spec.seed}.mix")
        gate, now = self._gate, perf_counter()
        for due_s in schedule.arrivals(self.spec):
            due = self._start + due_s
            while due > now and not self.end:
                gevent.sleep(min(max(due - now, _TICK_S), 0.1))
                now = perf_counter()
            if self.end or self._at_cap():
                return
            self._due += 1
            gate.issue(self._ticket(due), gate.choose(mix))
            if self._due % 50 == 0:
                gevent.sleep(0)  # far behind the schedule users must still get their turn

    def _wait_for_the_end(self) -> None:
        """Hold on after the last arrival: at a low rate there may be none, or none for long."""
        end = self._start + self.spec.duration_s
        while not self.end and (left_s := end - perf_counter()) > 0:
            gevent.sleep(min(left_s, 0.1))

    def _at_cap(self) -> bool:
        most, gate = self.spec.most_requests, self._gate
        if most is not None and not self._capped:
            self._capped = self._recorder.made + len(gate.in_flight) + gate.queued >= most
            self.end = self.end or self._capped
        return self._capped

    def _drain(self) -> None:
        """Wait until nothing is in flight, so that the next trial meets an idle target.

        Arrivals that no user could serve by the limit are recorded as misses. When the trial was
        ended early, what is still queued has no outcome and is forgotten.
        """
        retry = self.spec.retry
        patience_s = self._timeout_s if retry is None else retry.patience_s
        deadline = perf_counter() + patience_s + 1.0
        while (self._gate.in_flight or self._gate.queued) and perf_counter() < deadline:
            self._give_up(0.0 if self.end else self.spec.give_up_s)
            gevent.sleep(0.01)
        self._give_up(0.0)
        for ticket in self._gate.in_flight:
            self._recorder.on_dropped(ticket)
        self._pool.recycle()
        self._gate.in_flight.clear()

    def _give_up(self, older_than_s: float) -> None:
        now = perf_counter()
        for ticket in self._gate.drop_backlog(older_than_s, now):
            if now - ticket.intended >= self.spec.give_up_s:
                self._recorder.on_dropped(ticket)

    def _keep_pool(self) -> None:
        while True:
            before = perf_counter()
            gevent.sleep(_HOUSEKEEPING_S)
            late_s = perf_counter() - before - _HOUSEKEEPING_S
            if self._issuing and late_s > _HELD_UP_S:
                self._held_up_s += late_s
            if self._issuing and not self._at_cap():
                self._make_room()

    def _make_room(self) -> None:
        if self._gate.queued:
            self._pool.widen(self.spec.max_users)

    def _users(self) -> int:
        return self._pool.size

    def _report(self) -> None:
        while True:
            gevent.sleep(REPORT_EVERY_S)
            self._flush("progress")

    def _flush(self, kind: str, **extra: Any) -> None:
        rows = self._recorder.take()
        if rows is not None:
            self._link.send({"is": "rows", "trial": self.spec.index, **rows})
        if wire := self._wire.take():
            self._link.send({"is": "wire", "trial": self.spec.index, **wire})
        now = perf_counter()
        gate = self._gate
        self._link.send(
            {
                "is": kind,
                "trial": self.spec.index,
                "elapsed_s": now - self._start,
                "due": self._due,
                "issued": gate.issued,
                "starved": gate.starved,
                "requests_squared": gate.requests_squared,
                "in_flight": len(gate.in_flight),
                "queued": gate.queued,
                "overdue": gate.overdue(self.spec.limit_s, now),
                "users": self._users(),
                "outside": self._recorder.outside,
                "made": self._recorder.made,
                "answers": self._recorder.answers,
                "silence": self._recorder.silence,
                "errors": self._recorder.errors if kind == "done" else {},
                "last_error": self._pool.last_error,
                "failed_starts": self._pool.failed_starts,
                "start_error": self._pool.start_error,
                **extra,
            }
        )

    def _lateness_p99(self) -> float:
        late = sorted(self._gate.lateness_s)
        return late[min(len(late) - 1, int(0.99 * len(late)))] if late else 0.0


def spare_the_collector() -> None:
    """Take what is there now out of Python's garbage collection, until the next trial.

    The script, its libraries and its idle users are hundreds of thousands of objects. To look
    through them again and again during a load would cost the generator a tenth of its speed, and
    each look is a pause in which arrivals leave late.
    """
    gc.unfreeze()
    gc.collect()
    gc.freeze()
    gc.set_threshold(_COLLECT_AFTER)
