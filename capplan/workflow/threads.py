"""Work side by side on all cores: the compiled kernel does not hold the interpreter's lock."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import TypeVar

J = TypeVar("J")
T = TypeVar("T")


def side_by_side(work: Callable[[J, Callable[[], bool]], T], jobs: Sequence[J]) -> Iterator[T]:
    """Yield what jobs return, in their order.

    An interrupt drops those that have not begun, and tells those under way to halt.
    """
    pool, halt = ThreadPoolExecutor(len(os.sched_getaffinity(0))), Event()
    try:
        yield from pool.map(lambda job: work(job, halt.is_set), jobs)
    finally:
        halt.set()
        pool.shutdown(wait=True, cancel_futures=True)
