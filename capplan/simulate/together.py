"""Simulate acts without watching them; whoever asks says how many side by side."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol, TypeAlias, TypeVar

from capplan.results.simulation import Act
from capplan.simulate.acts import Script, stage
from capplan.simulate.kernel.setup import advance, build
from capplan.simulate.outcome import act
from capplan.simulate.scaled import shrink
from capplan.simulate.scene import Scene

J = TypeVar("J")
T = TypeVar("T")

_SLICE_S = 20.0

Halt: TypeAlias = Callable[[], bool]
"""Says whether nobody waits for the answer any more."""


class Halted(Exception):
    """A simulation was broken off, because nobody waits for it."""


def never() -> bool:
    """Do not halt."""
    return False


def perform(scene: Scene, script: Script, seed: int, scale: float = 1.0, halt: Halt = never) -> Act:
    """Simulate one act to its end. Raises ``Halted`` soon after ``halt`` says so."""
    part, smaller = shrink(scene, script, scale)
    world = build(stage(part, smaller, seed))
    until_s = 0.0
    while until_s < part.seconds:
        if halt():
            raise Halted
        until_s = min(until_s + _SLICE_S, float(part.seconds))
        advance(world, until_s)
    return act(scene, script, world, part.share)


class Workers(Protocol):
    """Does jobs, perhaps side by side, and yields what they return in their order.

    Each job is given along with what tells it to halt, because the work was broken off.
    """

    def __call__(self, work: Callable[[J, Halt], T], jobs: Sequence[J]) -> Iterator[T]:
        """Do the jobs."""
        ...


def one_by_one(work: Callable[[J, Halt], T], jobs: Sequence[J]) -> Iterator[T]:
    """Do jobs one after the other."""
    return (work(job, never) for job in jobs)
