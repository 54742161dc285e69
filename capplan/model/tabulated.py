"""An arrival curve from a table: the user's own, from a spreadsheet or from an earlier sale."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from capplan.model.arrivals import Some

Floats = NDArray[np.float64]

_MOST_CELLS = 2**15
_STRETCHES = 12


@dataclass(frozen=True)
class Table:
    """How dense the visits are: ``weights[i]`` holds from ``t_s[i]`` to the next time.

    The last one holds as long as the one before. Times rise and count from the start of the sale;
    weights are not negative, and some are more than zero. Their unit does not matter.
    """

    t_s: tuple[float, ...]
    weights: tuple[float, ...]

    def __post_init__(self) -> None:
        times, weights = np.asarray(self.t_s), np.asarray(self.weights)
        if len(times) < 2 or len(times) != len(weights):
            raise ValueError("a curve needs two times or more, and a value for each")
        if not (np.isfinite(times).all() and np.isfinite(weights).all()):
            raise ValueError("a curve needs finite numbers")
        if (np.diff(times) <= 0).any():
            raise ValueError("the times of a curve must rise")
        if (weights < 0).any() or not weights.any():
            raise ValueError("the values of a curve must not be negative, and not all zero")


@dataclass(frozen=True)
class Tabulated:
    """The arrival curve of a :class:`Table`: F is linear between the edges of equal cells.

    A table with equal steps is kept exactly. Others are laid on cells as long as their shortest
    step, at most 32,768 of them.
    """

    table: Table
    _begin_s: float = field(init=False, repr=False)
    _cell_s: float = field(init=False, repr=False)
    _begun: Floats = field(init=False, repr=False)
    _integral: Floats = field(init=False, repr=False)

    def __post_init__(self) -> None:
        times, weights = np.asarray(self.table.t_s), np.asarray(self.table.weights)
        steps = np.append(np.diff(times), times[-1] - times[-2])
        edges = np.append(times, times[-1] + steps[-1])
        begun = np.append(0.0, np.cumsum(weights * steps))
        span = float(edges[-1] - edges[0])
        cells = min(round(span / steps.min()), _MOST_CELLS)
        grid = np.linspace(edges[0], edges[-1], cells + 1)
        on_grid = np.interp(grid, edges, begun / begun[-1])
        cell_s = span / cells
        means = (on_grid[1:] + on_grid[:-1]) / 2
        object.__setattr__(self, "_begin_s", float(edges[0]))
        object.__setattr__(self, "_cell_s", cell_s)
        object.__setattr__(self, "_begun", on_grid)
        object.__setattr__(self, "_integral", np.append(0.0, np.cumsum(means) * cell_s))

    @property
    def corners_s(self) -> tuple[float, ...]:
        """Its end; within it, the busiest stretches count."""
        return (self._end_s,)

    @property
    def busy_s(self) -> tuple[float, ...]:
        """The end of the busiest stretch of each length, from one cell to a quarter of all."""
        cells = len(self._begun) - 1
        lengths = np.unique(np.geomspace(1, max(cells // 4, 1), _STRETCHES).astype(int))
        ends = {int((self._begun[n:] - self._begun[:-n]).argmax()) + int(n) for n in lengths}
        return tuple(self._begin_s + end * self._cell_s for end in sorted(ends))

    @property
    def begins_s(self) -> float:
        """Its first time."""
        return self._begin_s

    @property
    def rises_until_s(self) -> float:
        """Its end."""
        return self._end_s

    def begun(self, t_s: Floats) -> Floats:
        """Return F(t)."""
        i, part = self._cell(t_s)
        low = self._begun[i]
        return np.asarray(low + part * (self._begun[i + 1] - low))

    def begun_integral(self, t_s: Floats) -> Floats:
        """Return the integral of F, exact for its pieces."""
        i, part = self._cell(t_s)
        low = self._begun[i]
        within = part * (low + part / 2 * (self._begun[i + 1] - low)) * self._cell_s
        return np.asarray(self._integral[i] + within + np.maximum(t_s - self._end_s, 0.0))

    def part(self, draws: Some) -> Tabulated:
        """Return the same curve: it is one for all draws."""
        return self

    @property
    def _end_s(self) -> float:
        return self._begin_s + (len(self._begun) - 1) * self._cell_s

    def _cell(self, t_s: Floats) -> tuple[NDArray[np.intp], Floats]:
        """Return the cell of each time, and which part of it has passed (0 to 1)."""
        cells = len(self._begun) - 1
        passed = np.clip((t_s - self._begin_s) / self._cell_s, 0.0, float(cells))
        i = np.minimum(passed.astype(np.intp), cells - 1)
        return i, passed - i


def table(t_s: Sequence[float] | Floats, weights: Sequence[float] | Floats) -> Table:
    """Return the table of these columns.

    >>> curve = Tabulated(table([-60, 0, 60], [0, 3, 1]))
    >>> curve.begun(np.array([0.0, 30.0, 60.0, 120.0])).tolist()
    [0.0, 0.375, 0.75, 1.0]
    """
    return Table(tuple(map(float, t_s)), tuple(map(float, weights)))
