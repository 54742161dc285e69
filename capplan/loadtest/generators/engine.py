"""Runs trials in processes that carry the user's Locust script.

One generator is a child that is alone. Several are workers of a Locust master, here or on other
machines. Each of n draws its own Poisson arrivals at λ/n: together they are Poisson at λ, so none
has to know of another. One that dies makes its trial worthless and is replaced; a worker on another
machine is missed from then on, until another one joins.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from time import monotonic
from types import TracebackType
from typing import Any

from capplan.errors import CapplanError, SetupError
from capplan.loadtest import schedule
from capplan.loadtest.generators.child import START_TIMEOUT_S, Child
from capplan.loadtest.generators.distributed import LocalWorker, Master, private_address
from capplan.loadtest.generators.peer import ChildDied, Peer
from capplan.loadtest.generators.remote import Entrance, RemoteWorker, Wanted
from capplan.loadtest.generators.running import Running
from capplan.loadtest.protocol import TrialSpec, WorkerConfig
from capplan.loadtest.reach import Reach, own_reach
from capplan.loadtest.recording import Recording

LONGEST_CHECK_S = 3600.0
SILENCE_S = 15.0
"""A child that says nothing for so long is stuck in a task that never gives control back."""

_WATCH_EVERY_S = 0.09
_LAST_WORDS_S = 0.2  # of a master that may be dying


@dataclass(frozen=True, slots=True)
class Ready:
    """What the child found in the script: user classes with their weights, and remarks."""

    classes: dict[str, float]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CheckedVisit:
    """What one user of a class called without load.

    In unit ``visit`` several users of the class made one visit each, of which the first is shown:
    ``lengths_s`` is how long each took, its waits included and infinite where it did not end in
    time, ``requests`` how many it made, ``names`` the names of all requests of the class.
    """

    user_class: str
    tasks: int
    calls: tuple[dict[str, Any], ...]
    error: str | None
    lengths_s: tuple[float, ...] = ()
    requests: tuple[int, ...] = ()
    names: tuple[str, ...] = ()


@dataclass
class Engine:
    """Processes here, and workers elsewhere, that serve one script. Use it as a context manager.

    ``processes`` is how many there are together, and at first how many are started here. When it is
    ``fixed`` none is added. ``tell`` hears of workers that come and go.
    """

    config: WorkerConfig
    log: Path
    processes: int = 1
    fixed: bool = False
    wanted: Wanted | None = None
    tell: Callable[[str], None] = lambda text: None
    ready: Ready = field(init=False)
    _children: list[Peer] = field(init=False, default_factory=list)
    _master: Master | None = field(init=False, default=None)
    _entrance: Entrance | None = field(init=False, default=None)
    _lost_before: bool = field(init=False, default=False)

    def __enter__(self) -> Engine:
        try:
            self.log.write_bytes(b"")
        except OSError as error:
            raise SetupError(f"the load generator could not start: {error}") from error
        try:
            self._start()
            ready = self._begin(list(self._children))[0]
        except BaseException:
            self.kill()
            raise
        self.processes = len(self._children)
        self.ready = Ready(ready["classes"], tuple(ready["notes"]))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self.quit()
        else:
            self.kill()

    def grow(self) -> None:
        """Add one process here, which takes its share from the next trial on.

        A generator that was alone leaves: two of them need a master.
        """
        self.processes += 1
        if self._master:
            self._children.append(self._child(len(self._children)))
            self._begin(self._children[-1:])
        else:
            self._children.pop().quit()
            self._start()
            self._begin(list(self._children))

    def check(
        self, expect: Iterable[str] = (), limit_s: float = math.inf
    ) -> tuple[CheckedVisit, ...]:
        """Run one visit of each user class without load.

        It is made longer where that may find requests whose names are in ``expect``. In unit
        ``visit`` each class makes several, without the script's waits, which are added up; what
        has not ended after ``limit_s`` is given up.
        """
        command = {"do": "check", "expect": list(expect), "limit_s": min(limit_s, LONGEST_CHECK_S)}
        with self._asking_the_master():
            self._children[0].send(command)
            message = self._children[0].expect("checked", SILENCE_S + self.config.timeout_s)
        return tuple(
            CheckedVisit(
                v["user_class"],
                v["tasks"],
                tuple(v["calls"]),
                v["error"],
                tuple(v.get("lengths_s", ())),
                tuple(v.get("requests", ())),
                tuple(v.get("names", ())),
            )
            for v in message["visits"]
        )

    def trial(self, spec: TrialSpec, watch: Callable[[Recording], bool]) -> Recording:
        """Hold one load and return its recording.

        ``watch`` sees the recording grow, about ten times a second; when it returns true the trial
        ends early. When a child dies the trial ends early as well, the recording says so, and the
        child is replaced. ``ChildDied`` when that happens in two trials running.
        """
        self._let_in()
        recording = Recording(spec, self.processes)
        running = Running(self._children, spec, SILENCE_S + self.config.timeout_s)
        watched_at = 0.0
        for worker, message in running.messages():
            if message["is"] == "rows":
                recording.add(message["columns"], message["endpoints"], worker)
            elif message["is"] == "wire":
                recording.add_wire(message)
            elif message["is"] == "visits":
                recording.add_visits(message["columns"])
            elif message["is"] != "prepared":
                recording.progress(message, worker)
            if monotonic() - watched_at >= _WATCH_EVERY_S and not running.ending:
                watched_at = monotonic()
                if self._master:
                    self._master.listen()
                if watch(recording):
                    recording.ended_early = True
                    running.end()
        recording.lost = tuple(str(error) for error in running.lost.values())
        self._replace(running.lost)
        recording.tickets_due = schedule.count(spec, recording.each("held_s"))
        return recording

    def quit(self) -> None:
        """Let the script's own clean-up run for a moment, then end the processes."""
        for child in (*self._children, *self._masters):
            child.quit()

    def kill(self) -> None:
        """End the processes at once; the load stops with them."""
        for child in (*self._children, *self._masters):
            child.kill()

    @property
    def pids(self) -> tuple[int, ...]:
        """The process ids of the generators that run here."""
        return tuple(child.pid for child in self._children if isinstance(child, Child))

    @property
    def master_pid(self) -> int | None:
        """The process id of Locust's master, which several generators have."""
        return self._master.pid if self._master else None

    @property
    def here(self) -> bool:
        """Whether some of the load comes from this machine."""
        return self.wanted is None or bool(self.pids)

    @property
    def reach(self) -> Reach:
        """The largest pool of users there may be."""
        elsewhere = [c.files for c in self._children if isinstance(c, RemoteWorker)]
        return own_reach(self.processes - len(elsewhere), elsewhere)

    def _start(self) -> None:
        """Start what there is to be from the beginning."""
        if self.wanted or self.processes > 1:
            at = self.wanted.address() if self.wanted else private_address()
            self._master = Master(self.config, self.log, at)
        for worker in range(self.processes):
            self._children.append(self._child(worker))
        if self._master and self.wanted:
            self._entrance = Entrance(self._master, self.wanted, self.config, self.tell)
            self._children += self._entrance.gather(self._free_indexes())

    def _begin(self, newcomers: list[Peer]) -> list[dict[str, Any]]:
        """Wait until they have loaded the script, and begin; return what each one found.

        One on another machine that dies meanwhile is left out.
        """
        found = self._from_each(newcomers, "ready")
        if self._master:
            self._master.begin()
        for child in found:
            if child is self._children[0]:
                child.send({"do": "lead"})
            child.send({"do": "begin"})
        begun = self._from_each(list(found), "begun")
        return [found[child] for child in begun]

    def _from_each(self, children: list[Peer], kind: str) -> dict[Peer, dict[str, Any]]:
        """Wait for a message of each, and return those of the ones that did not die."""
        found: dict[Peer, dict[str, Any]] = {}
        for child in children:
            try:
                with self._asking_the_master():
                    found[child] = child.expect(kind, START_TIMEOUT_S)
            except ChildDied as death:
                if child.replaceable:
                    raise
                self._go_on_without({child: death})
        return found

    @contextmanager
    def _asking_the_master(self) -> Iterator[None]:
        """Raise what the master says instead, where a worker died because that did."""
        try:
            yield
        except ChildDied:
            if self._master:
                self._master.listen(_LAST_WORDS_S)
            raise

    @property
    def _masters(self) -> tuple[Master, ...]:
        return (self._master,) if self._master else ()

    def _let_in(self) -> None:
        """Let workers take part that have come since the last trial."""
        if self._entrance is None:
            return
        for worker in self._entrance.newcomers(self._free_indexes()):
            self._children.append(worker)
            try:
                self._begin([worker])
            except CapplanError as error:  # it cannot cost those that work their load
                self.tell(f"the worker on {worker.name} is not used: {error}")
                self._leave_out(worker)
        self.processes = len(self._children)

    def _free_indexes(self) -> Iterator[int]:
        """Return the indexes that no generator has, from the lowest on."""
        taken = {child.index for child in self._children}
        return (index for index in count() if index not in taken)

    def _child(self, worker: int) -> Child:
        config = replace(self.config, index=worker)
        if self._master:
            return LocalWorker(config, self.log, self._master)
        return Child(config, self.log)

    def _replace(self, lost: dict[int, ChildDied]) -> None:
        if lost and self._master:
            self._master.listen(_LAST_WORDS_S)  # which raises when it has died, and they with it
        here = [worker for worker in lost if self._children[worker].replaceable]
        if here and self._lost_before:
            raise lost[here[0]]
        self._lost_before = bool(here)
        gone = {self._children[w]: death for w, death in lost.items() if w not in here}
        for worker in here:
            self._children[worker].kill()
            self._children[worker] = self._child(self._children[worker].index)
        if here:
            self._begin([self._children[worker] for worker in here])
        if gone:
            self._go_on_without(gone)

    def _go_on_without(self, gone: dict[Peer, ChildDied]) -> None:
        """Do without workers of other machines; raise when they were the last."""
        led = self._children[0]
        for child in gone:
            self._leave_out(child)
        if not self._children:
            raise next(iter(gone.values()))
        for death in gone.values():
            self.tell(f"{death}: the search goes on with the others")
        if led in gone:
            self._children[0].send({"do": "lead"})

    def _leave_out(self, child: Peer) -> None:
        child.kill()
        self._children.remove(child)
        self.processes = len(self._children)
