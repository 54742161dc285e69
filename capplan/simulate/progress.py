"""How far a simulation is; it says nothing about what was found."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Progress:
    """``clock_s`` counts from the start of the sale, ``done`` is the share of all work."""

    act: str
    protected: bool
    clock_s: float
    done: float
