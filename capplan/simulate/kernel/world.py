"""The state of a simulation: everything the kernel reads and changes.

It is one record, to which each module of the kernel contributes its fields, and the tables whose
addresses the record holds. So a run can be stopped and continued at any virtual time.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from capplan.simulate.kernel import (
    cache,
    calls,
    clients,
    desks,
    downstream,
    edge,
    gateway,
    guards,
    loop,
    rng,
    room,
    stations,
    tally,
    timers,
    wires,
)

PARTS = (
    cache, calls, clients, desks, downstream, edge, gateway, guards, loop, rng, room, stations,
    tally, timers, wires,
)  # fmt: skip
WORLD = np.dtype(
    [field for part in PARTS for field in part.FIELDS],
    align=True,
)


class World:
    """The record, and the tables, which it keeps alive."""

    def __init__(self, tables: dict[str, NDArray[Any]]) -> None:
        self.scaler: Any = None
        """What changes the number of servers, see :mod:`capplan.simulate.kernel.scaling`."""
        self._one = np.zeros(1, WORLD)
        self.record: Any = self._one.view(np.recarray)[0]
        self.address = int(self._one.ctypes.data)
        self.tables: dict[str, NDArray[Any]] = {}
        for name, table in tables.items():
            self.replace(name, table)

    def set(self, **values: float) -> None:
        """Set fields of the record."""
        for name, value in values.items():
            self.record[name] = value

    def replace(self, name: str, table: NDArray[Any]) -> None:
        """Put a table where the kernel finds it."""
        self.tables[name] = np.ascontiguousarray(table)
        self.record[name] = self.tables[name].ctypes.data
