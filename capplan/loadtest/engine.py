"""Runs trials in child processes that carry the user's Locust script.

Each of n children draws its own Poisson arrivals at λ/n: together they are Poisson at λ, so no
child has to know of another. They start at one instant, end together, and what they recorded is one
recording. A child that dies makes its trial worthless and is replaced; a worker on another machine
is missed from then on, until another one joins.
"""

from __future__ import annotations

import math
import selectors
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from time import monotonic, perf_counter
from types import TracebackType
from typing import Any

from capplan.errors import CapplanError, SetupError
from capplan.loadtest import schedule
from capplan.loadtest.child import Child
from capplan.loadtest.peer import ChildDied, Peer
from capplan.loadtest.protocol import TrialSpec, WorkerConfig
from capplan.loadtest.reach import Reach, own_reach
from capplan.loadtest.recording import Recording
from capplan.loadtest.remote import Entrance, RemoteWorker, Wanted

START_TIMEOUT_S = 30.0
LONGEST_CHECK_S = 3600.0
SILENCE_S = 15.0
"""A child that says nothing for so long is stuck in a task that never gives control back."""

_GO_IN_S = 0.1  # long enough for every child to hear of it first
_WATCH_EVERY_S = 0.09


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
    """Child processes, and workers elsewhere, that serve one script. Use it as a context manager.

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
    _entrance: Entrance | None = field(init=False, default=None)
    _lost_before: bool = field(init=False, default=False)

    def __enter__(self) -> Engine:
        try:
            self.log.write_bytes(b"")
        except OSError as error:
            raise SetupError(f"the load generator could not start: {error}") from error
        try:
            for worker in range(self.processes):
                self._children.append(self._child(worker))
            if self.wanted:
                self._entrance = Entrance(self.wanted, self.config, self.tell)
                self._children += self._entrance.gather(self.processes)
            found = [child.expect("ready", START_TIMEOUT_S) for child in self._children]
        except BaseException:
            self.kill()
            raise
        self.processes = len(self._children)
        self.ready = Ready(found[0]["classes"], tuple(found[0]["notes"]))
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
        """Add one process here, which takes its share from the next trial on."""
        child = self._child(len(self._children))
        self._children.append(child)
        child.expect("ready", START_TIMEOUT_S)
        self.processes += 1

    def check(
        self, expect: Iterable[str] = (), limit_s: float = math.inf
    ) -> tuple[CheckedVisit, ...]:
        """Run one visit of each user class without load.

        It is made longer where that may find requests whose names are in ``expect``. In unit
        ``visit`` each class makes several, without the script's waits, which are added up; what
        has not ended after ``limit_s`` is given up.
        """
        command = {"do": "check", "expect": list(expect), "limit_s": min(limit_s, LONGEST_CHECK_S)}
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
        running = _Running(self._children, spec, SILENCE_S + self.config.timeout_s)
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
                if watch(recording):
                    recording.ended_early = True
                    running.end()
        recording.lost = tuple(str(error) for error in running.lost.values())
        self._replace(running.lost)
        recording.tickets_due = schedule.count(spec, recording.each("held_s"))
        return recording

    def quit(self) -> None:
        """Let the script's own clean-up run for a moment, then end the children."""
        for child in self._children:
            child.quit()
        self._close()

    def kill(self) -> None:
        """End the children at once; the load stops with them."""
        for child in self._children:
            child.kill()
        self._close()

    @property
    def pids(self) -> tuple[int, ...]:
        """The process ids of the children that run here."""
        return tuple(child.pid for child in self._children if isinstance(child, Child))

    @property
    def here(self) -> bool:
        """Whether some of the load comes from this machine."""
        return self.wanted is None or bool(self.pids)

    @property
    def reach(self) -> Reach:
        """The largest pool of users there may be."""
        elsewhere = [c.files for c in self._children if isinstance(c, RemoteWorker)]
        return own_reach(self.processes - len(elsewhere), elsewhere)

    def _close(self) -> None:
        if self._entrance:
            self._entrance.close()

    def _let_in(self) -> None:
        """Let workers take part that have come since the last trial."""
        if self._entrance is None:
            return
        for worker in self._entrance.newcomers(len(self._children)):
            try:
                worker.expect("ready", START_TIMEOUT_S)
            except CapplanError as error:  # it cannot cost those that work their load
                self.tell(f"the worker on {worker.name} is not used: {error}")
                worker.kill()
            else:
                self._children.append(worker)
        self.processes = len(self._children)

    def _child(self, worker: int) -> Child:
        return Child(replace(self.config, index=worker), self.log)

    def _replace(self, lost: dict[int, ChildDied]) -> None:
        here = [worker for worker in lost if self._children[worker].replaceable]
        if here and self._lost_before:
            raise lost[here[0]]
        self._lost_before = bool(here)
        for worker in lost:
            self._children[worker].kill()
        for worker in here:
            self._children[worker] = self._child(worker)
        for worker in here:
            self._children[worker].expect("ready", START_TIMEOUT_S)
        if gone := {w: death for w, death in lost.items() if w not in here}:
            self._go_on_without(gone)

    def _go_on_without(self, gone: dict[int, ChildDied]) -> None:
        self._children = [c for w, c in enumerate(self._children) if w not in gone]
        self.processes = len(self._children)
        if not self._children:
            raise next(iter(gone.values()))
        for death in gone.values():
            self.tell(f"{death}: the search goes on with the others")
        if 0 in gone:
            self._children[0].send({"do": "lead"})


class _Running:
    """One trial in several children: which of them still work, and which have died."""

    def __init__(self, children: list[Peer], spec: TrialSpec, silence_s: float) -> None:
        self.ending = False
        self.lost: dict[int, ChildDied] = {}
        self._children = children
        self._spec = spec
        self._silence_s = silence_s
        self._active = set(range(len(children)))
        self._preparing = set(self._active)
        for worker, child in enumerate(children):
            child.heard_at = monotonic()
            share = spec.share(worker, len(children))
            self._tell(worker, {"do": "trial", "spec": asdict(share)})

    def end(self) -> None:
        """Tell all children to issue no more."""
        self.ending = True
        self._tell_all({"do": "end"})

    def messages(self) -> Iterator[tuple[int, dict[str, Any]]]:
        """Yield what the children say of this trial, until each is done or dead."""
        with selectors.DefaultSelector() as selector:
            for worker in self._active:
                selector.register(self._children[worker], selectors.EVENT_READ, worker)
            while self._active:
                for key, _ in selector.select(timeout=self._patience_s()):
                    for message in self._hear(key.data):
                        if message.get("trial") == self._spec.index:
                            yield key.data, message
                for key in list(selector.get_map().values()):
                    if key.data not in self._active:
                        selector.unregister(key.fileobj)

    def _hear(self, worker: int) -> list[dict[str, Any]]:
        try:
            messages = self._children[worker].receive()
        except ChildDied as death:
            self._bury(worker, death)
            return []
        kinds = {m["is"] for m in messages if m.get("trial") == self._spec.index}
        if "prepared" in kinds:
            self._preparing.discard(worker)
            self._go()
        if "done" in kinds:
            self._active.discard(worker)
        return messages

    def _go(self) -> None:
        if not self._preparing:
            at = perf_counter() + _GO_IN_S
            for worker in sorted(self._active):
                try:
                    self._children[worker].go(at)
                except ChildDied as death:
                    self._bury(worker, death)
            for child in self._children:  # who stood by had nothing to say
                child.heard_at = monotonic()

    def _patience_s(self) -> float:
        """Return how long the most silent child may still say nothing.

        One here that is stuck raises; one elsewhere is as good as dead.
        """
        speaking = self._preparing or self._active
        worker = min(speaking, key=lambda w: self._children[w].heard_at)
        silent = self._children[worker]
        left_s = silent.heard_at + self._silence_s - monotonic()
        if left_s > 0:
            return left_s
        stuck = silent.stuck(self._silence_s)
        if not isinstance(stuck, ChildDied):
            raise stuck
        self._bury(worker, stuck)
        return 0.0

    def _bury(self, worker: int, death: ChildDied) -> None:
        self.lost[worker] = death
        self._active.discard(worker)
        self._preparing.discard(worker)
        if not self.ending:
            self.end()

    def _tell_all(self, message: dict[str, Any]) -> None:
        for worker in sorted(self._active):
            self._tell(worker, message)

    def _tell(self, worker: int, message: dict[str, Any]) -> None:
        try:
            self._children[worker].send(message)
        except ChildDied as death:
            self._bury(worker, death)
