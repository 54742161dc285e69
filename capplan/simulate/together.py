"""Simulate acts without watching them; whoever asks says how many side by side."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol, TypeVar

from capplan.results.simulation import Act
from capplan.simulate.acts import Script, stage
from capplan.simulate.kernel.setup import advance, build
from capplan.simulate.outcome import act
from capplan.simulate.scaled import shrink
from capplan.simulate.scene import Scene

J = TypeVar("J")
T = TypeVar("T")


def perform(scene: Scene, script: Script, seed: int, scale: float = 1.0) -> Act:
    """Simulate one act to its end."""
    part, smaller = shrink(scene, script, scale)
    world = build(stage(part, smaller, seed))
    advance(world, float(part.seconds))
    return act(scene, script, world, part.share)


class Workers(Protocol):
    """Does jobs, perhaps side by side, and yields what they return in their order."""

    def __call__(self, work: Callable[[J], T], jobs: Sequence[J]) -> Iterator[T]:
        """Do the jobs."""
        ...


def one_by_one(work: Callable[[J], T], jobs: Sequence[J]) -> Iterator[T]:
    """Do jobs one after the other."""
    return map(work, jobs)
