"""Work side by side on all cores: the compiled kernel does not hold the interpreter's lock."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Event
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from capplan.simulate.together import Workers

J = TypeVar("J")
T = TypeVar("T")


@contextmanager
def all_cores() -> Iterator[Workers]:
    """Give workers that begin at once with what they are given, after what they had before.

    So no core is idle while the last jobs of one kind are done. The end of the context, as an
    interrupt brings it, drops the jobs that have not begun, and tells those under way to halt.
    """
    pool, halt = ThreadPoolExecutor(len(os.sched_getaffinity(0))), Event()

    def begin(work: Callable[[J, Callable[[], bool]], T], jobs: Sequence[J]) -> Iterator[T]:
        return pool.map(lambda job: work(job, halt.is_set), jobs)

    try:
        yield begin
    finally:
        halt.set()
        pool.shutdown(wait=True, cancel_futures=True)


def side_by_side(work: Callable[[J, Callable[[], bool]], T], jobs: Sequence[J]) -> Iterator[T]:
    """Yield what jobs return, in their order; when nobody asks on, the rest is broken off."""
    with all_cores() as begin:
        yield from begin(work, jobs)
