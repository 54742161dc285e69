"""Simulate whole acts; whoever asks says how many side by side."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol, TypeAlias, TypeVar

from capplan.results.simulation import ActInShort
from capplan.simulate.acts import Script, stage
from capplan.simulate.kernel.setup import advance, build
from capplan.simulate.kernel.world import World
from capplan.simulate.outcome import in_short
from capplan.simulate.scaled import attempts, shrink
from capplan.simulate.scene import Scene

J = TypeVar("J")
T = TypeVar("T")

_SLICE = 2e5
"""Attempts, by the estimate, after which a simulation says how far it is: a tenth of a second."""

Halt: TypeAlias = Callable[[], bool]
"""Says whether nobody waits for the answer any more."""


class Halted(Exception):
    """A simulation was broken off, because nobody waits for it."""


def never() -> bool:
    """Do not halt."""
    return False


def perform(
    scene: Scene, script: Script, seed: int, scale: float = 1.0, halt: Halt = never
) -> ActInShort:
    """Simulate one act to its end and sum it up. Raises ``Halted`` as :func:`run` does."""
    world, share = run(scene, script, seed, scale, halt)
    return in_short(scene, script, world, share)


def run(
    scene: Scene,
    script: Script,
    seed: int,
    scale: float = 1.0,
    halt: Halt = never,
    tell: Callable[[float], None] = lambda until_s: None,
) -> tuple[World, float]:
    """Simulate one act to its end; return its world, and the share of the sale that it is.

    ``tell`` hears now and then how many seconds are over. Raises ``Halted`` soon after ``halt``
    says so.
    """
    part, smaller = shrink(scene, script, scale)
    world = build(stage(part, smaller, seed))
    until_s, seconds = 0.0, float(part.seconds)
    slice_s = max(seconds * _SLICE / max(attempts(part, smaller), 1.0), 1.0)
    while until_s < seconds:
        until_s = min(until_s + slice_s, seconds)
        advance(world, until_s)
        tell(until_s)
        if halt():
            raise Halted
    return world, part.share


class Workers(Protocol):
    """Does jobs, perhaps side by side, and yields what they return in their order.

    It may begin before the first result is asked for. Each job is given along with what tells it
    to halt, because the work was broken off.
    """

    def __call__(self, work: Callable[[J, Halt], T], jobs: Sequence[J]) -> Iterator[T]:
        """Do the jobs."""
        ...


def one_by_one(work: Callable[[J, Halt], T], jobs: Sequence[J]) -> Iterator[T]:
    """Do jobs one after the other."""
    return (work(job, never) for job in jobs)
