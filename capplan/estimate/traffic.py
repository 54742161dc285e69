"""From visits to requests over time, draw by draw and without integrating over a time grid.

A visit sends its first requests evenly over 2 s and the rest evenly over its duration d. With V(t)
the visits begun by t and W its integral, the requests sent by t are

    R(t) = first·[W(t) - W(t-2)]/2 + later·[W(t) - W(t-d)]/d

which is the exact convolution of the arrivals with a visit's requests. The rate averaged over a
window w is [R(t) - R(t-w)]/w, and V(t) - V(t-d) visitors are there at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from capplan.model.arrivals import Curve

Floats = NDArray[np.float64]

FIRST_PAGE_S = 2.0
_ROUNDS = 3
_NEARER = np.array([-2 / 3, -1 / 3, 0.0, 1 / 3, 2 / 3])
"""Times round the best so far, as parts of the way to its neighbours."""


@dataclass(frozen=True)
class Traffic:
    """The draws of one chunk. Arrays of draws are columns: shape (draws, 1)."""

    visits: Mapping[str, Floats]
    curves: Mapping[str, Curve]
    first_requests: Floats
    later_requests: Floats
    visit_s: Floats

    def rate(self, t_s: Floats, window_s: float) -> Floats:
        """Return requests/s averaged over the ``window_s`` seconds before ``t_s``.

        ``t_s`` has the shape (times,) or (draws, times); the result is (draws, times).
        """
        sent = self._requests(t_s) - self._requests(t_s - window_s)
        return np.maximum(sent, 0.0) / window_s  # a difference of nothing may be rounded below 0

    def begun(self, t_s: Floats) -> Floats:
        """Return the visits that began by ``t_s``."""
        parts = [self.visits[name] * curve.begun(t_s) for name, curve in self.curves.items()]
        return np.asarray(sum(parts))

    def visitors(self, t_s: Floats) -> Floats:
        """Return the visitors present at ``t_s``."""
        return self.begun(t_s) - self.begun(t_s - self.visit_s)

    def peak_rate(self, window_s: float) -> Floats:
        """Return the highest rate over time, one value per draw, to less than 1 %.

        No curve rises in density after the start, so each part of the requests rises until the
        shorter of window and part has passed, and falls when both have. The highest point in
        between lies at a corner or between two: look at both, then twice more round the best.
        """
        low, high = self._bounds(window_s)
        corners = np.sort(np.clip(self._corners(window_s), low, high), axis=1)
        t_s = np.concatenate([corners, (corners[:, 1:] + corners[:, :-1]) / 2, low, high], axis=1)
        peak = np.zeros(len(t_s))
        for _ in range(_ROUNDS):
            rates = self.rate(t_s, window_s)
            peak = np.maximum(peak, rates.max(axis=1))
            best_s = np.take_along_axis(t_s, rates.argmax(axis=1, keepdims=True), axis=1)
            low = np.where(t_s < best_s, t_s, low).max(axis=1, keepdims=True)
            high = np.where(t_s > best_s, t_s, high).min(axis=1, keepdims=True)
            t_s = best_s + _NEARER * np.where(_NEARER < 0, best_s - low, high - best_s)
        return peak

    def peak_visitors(self) -> Floats:
        """Return the most visitors at once: when the first ones leave."""
        return self.visitors(self.visit_s)[:, 0]

    def _bounds(self, window_s: float) -> tuple[Floats, Floats]:
        shortest = np.minimum(np.minimum(self.visit_s, FIRST_PAGE_S), window_s)
        return shortest, np.maximum(self.visit_s, FIRST_PAGE_S) + window_s

    def _corners(self, window_s: float) -> Floats:
        """Return the times at which the rate may bend: a jump of a curve, a part, the window."""
        jumps = sorted({jump for curve in self.curves.values() for jump in curve.corners_s})
        begin = np.zeros_like(self.visit_s)
        parts = [begin, self.visit_s]
        if self.first_requests.any():
            parts.append(begin + FIRST_PAGE_S)
        return np.concatenate(
            [jump + part + w for jump in jumps for part in parts for w in (0.0, window_s)], axis=1
        )

    def _requests(self, t_s: Floats) -> Floats:
        whole = self._begun_integral(t_s)
        later = (whole - self._begun_integral(t_s - self.visit_s)) / self.visit_s
        requests = self.later_requests * later
        if self.first_requests.any():
            first = (whole - self._begun_integral(t_s - FIRST_PAGE_S)) / FIRST_PAGE_S
            requests = requests + self.first_requests * first
        return requests

    def _begun_integral(self, t_s: Floats) -> Floats:
        total = np.zeros(np.broadcast_shapes(t_s.shape, self.visit_s.shape))
        for name, curve in self.curves.items():
            total += self.visits[name] * curve.begun_integral(t_s)
        return total


def chunk(
    visits: Mapping[str, Floats],
    curves: Mapping[str, Curve],
    requests: tuple[Floats, Floats],
    visit_s: Floats,
    part: slice,
) -> Traffic:
    """Return the draws of ``part`` as columns."""
    return Traffic(
        {name: values[part, None] for name, values in visits.items()},
        {name: curve.part(part) for name, curve in curves.items()},
        requests[0][part, None],
        requests[1][part, None],
        visit_s[part, None],
    )
