"""Which phases a user asks for, and in which words."""

from __future__ import annotations

import re
from dataclasses import dataclass

from capplan.units import parse_duration, parse_multiple

BACK = 0.8
SHORTEST_SOAK_S = 20.0


@dataclass(frozen=True, slots=True)
class Surge:
    """An overload: ``factor`` times the sustained rate for ``duration_s``, then ``back_factor``."""

    factor: float
    duration_s: float
    back_factor: float = BACK


@dataclass(frozen=True, slots=True)
class AskedPhases:
    """The phases to run; ``soak_s`` is how long."""

    opening: bool = False
    overload: Surge | None = None
    soak_s: float | None = None

    def __bool__(self) -> bool:
        """Whether there is any."""
        return self.opening or self.overload is not None or self.soak_s is not None


NO_PHASES = AskedPhases()


def parse_overload(text: str) -> Surge:
    """Read an overload; raises ``ValueError`` that says what is wrong.

    >>> parse_overload("1.5x for 20s")
    Surge(factor=1.5, duration_s=20.0, back_factor=0.8)
    >>> parse_overload("3x for 1 min then 0.5x").back_factor
    0.5
    """
    words = " ".join(text[:200].split())
    match = re.fullmatch(r"(\S+) for (.+?)(?:,? then (\S+))?", words)
    if match is None:
        raise ValueError(f"{text[:60]!r} is not of the form '1.5x for 20s'")
    factor, duration_s = parse_multiple(match[1]), parse_duration(match[2])
    back = parse_multiple(match[3]) if match[3] else BACK
    if not 1 < factor <= 20:
        raise ValueError(f"{match[1]!r} is no overload: use more than 1x and at most 20x")
    if not 1 <= duration_s <= 3600:
        raise ValueError(f"{match[2]!r} must be from 1 s to 1 h")
    if not 0.05 <= back < 1:
        raise ValueError(f"{match[3]!r} must be from 0.05x to less than 1x, or nothing recovers")
    return Surge(factor, duration_s, back)


def parse_soak(text: str) -> float:
    """Read how long a soak lasts, in seconds; raises ``ValueError`` that says what is wrong.

    >>> parse_soak("10 min")
    600.0
    """
    duration_s = parse_duration(text)
    if not SHORTEST_SOAK_S <= duration_s <= 7 * 86400:
        shortest = f"{SHORTEST_SOAK_S:.0f} s, below which no drift can be told"
        raise ValueError(f"{text!r} must be from {shortest}, to 7 d")
    return duration_s
