"""One trial in several load generators: which of them still work, and which have died."""

from __future__ import annotations

import selectors
from collections.abc import Iterator
from dataclasses import asdict
from time import monotonic, perf_counter
from typing import Any

from capplan.loadtest.generators.peer import ChildDied, Peer
from capplan.loadtest.protocol import TrialSpec

_GO_IN_S = 0.1  # long enough for every generator to hear of it first


class Running:
    """A trial from the first word to the last; ``lost`` are those that died in it, and how."""

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
