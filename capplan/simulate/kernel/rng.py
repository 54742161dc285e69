"""Random numbers for the kernel: xoshiro256++ (D. Blackman, S. Vigna 2021), one state per stream.

numba's own generator is one global state and half as fast. Here each purpose draws from a stream of
its own, so that switching a protection on leaves the arrivals of the visits as they were (common
random numbers).
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from capplan.model.streams import stream
from capplan.simulate.kernel.jit import at, jitted

STREAMS = (
    "visits", "bots", "thinking", "path", "service", "clients", "routing", "edge", "objects",
    "downstream", "reloads", "throttle", "wires", "callers",
)  # fmt: skip
(
    VISITS, BOTS, THINKING, PATH, SERVICE, CLIENTS, ROUTING, EDGE, OBJECTS, DOWNSTREAM, RELOADS,
    THROTTLE, WIRES, CALLERS,
) = range(len(STREAMS))  # fmt: skip

STATE = np.dtype([("s0", "u8"), ("s1", "u8"), ("s2", "u8"), ("s3", "u8")])
FIELDS = [("random", "i8")]

_17, _19, _23, _41, _45, _11 = (np.uint64(n) for n in (17, 19, 23, 41, 45, 11))
_ULP = 2.0**-53


def states(seed: int) -> NDArray[np.void]:
    """Return the states of all streams under one seed, at their beginning."""
    return np.frombuffer(_first_states(seed), STATE).copy()


@lru_cache(maxsize=16)  # acts that are compared have the same seed
def _first_states(seed: int) -> bytes:
    drawn = [
        stream(seed, f"simulate.{name}").integers(1, 2**64 - 1, 4, dtype=np.uint64)
        for name in STREAMS
    ]
    return np.array(drawn).tobytes()


@jitted
def uniform(w: Any, which: int) -> float:
    """Draw a number from 0 up to, not including, 1."""
    state = at(w.random, which, STATE)
    s0, s1, s2, s3 = state.s0, state.s1, state.s2, state.s3
    total = s0 + s3
    drawn = ((total << _23) | (total >> _41)) + s0
    shifted = s1 << _17
    s2 ^= s0
    s3 ^= s1
    state.s1 = s1 ^ s2
    state.s0 = s0 ^ s3
    state.s2 = s2 ^ shifted
    state.s3 = (s3 << _45) | (s3 >> _19)
    return (drawn >> _11) * _ULP


@jitted
def exponential(w: Any, which: int) -> float:
    """Draw from the exponential distribution of mean 1."""
    return -math.log(1.0 - uniform(w, which))


@jitted
def normal(w: Any, which: int) -> float:
    """Draw from the standard normal distribution (G. Box, M. Muller 1958)."""
    radius = math.sqrt(2.0 * exponential(w, which))
    return radius * math.cos(2.0 * math.pi * uniform(w, which))
