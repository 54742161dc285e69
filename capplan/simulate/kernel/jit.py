"""Mark what is compiled, and reach the tables of a simulation from compiled code.

The kernel keeps its state in plain tables of records, and one record, the *world*, that holds their
addresses and everything that is single. A compiled function is handed the world alone: one pointer,
where arrays would be copied and counted at every call (measured: ten times slower, and half a
minute of compiling).

Its functions are plain Python until :mod:`capplan.simulate.kernel.compiler` makes machine code of
all of them. They run as they are, too, a thousand times slower: to be debugged, and compared.
"""

from __future__ import annotations

from collections.abc import Callable
from ctypes import c_char
from functools import cache
from typing import Any, TypeVar

import numpy as np

F = TypeVar("F", bound=Callable[..., Any])

FUNCTIONS: list[Callable[..., Any]] = []
"""All that is compiled."""


def jitted(function: F) -> F:
    """Mark a function as one that is compiled.

    Functions that it calls become part of it, also from other files. A division by zero gives
    infinity.
    """
    FUNCTIONS.append(function)
    return function


wide: Any = np.int64
"""Widen a whole number from a table: what takes it is compiled once, not for every width."""


def at(address: int, index: int, dtype: np.dtype[Any]) -> Any:
    """Return a record of the table at ``address``; nobody checks bounds."""
    place = address + index * dtype.itemsize
    cells: Any = (c_char * dtype.itemsize).from_address(int(place))
    return np.frombuffer(cells, _record(dtype))[0]


@cache
def _record(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Return the same, whose fields are reached as attributes."""
    return np.dtype((np.record, dtype))
