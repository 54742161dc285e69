"""How far a simulation is; it says nothing about what was found."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Progress:
    """``clock_s`` counts from the start of the sale, ``done`` is the share of all work.

    ``protected`` and ``clock_s`` are None where many runs are under way at once.
    """

    act: str
    protected: bool | None
    clock_s: float | None
    done: float
