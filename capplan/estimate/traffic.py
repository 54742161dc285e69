"""From visits to requests over time, draw by draw and without integrating over a time grid.

A visit sends its first requests evenly over 2 s and the rest evenly over its duration d. With V(t)
the visits begun by t and W its integral, the requests sent by t are

    R(t) = first·[W(t) - W(t-2)]/2 + later·[W(t) - W(t-d)]/d

which is the exact convolution of the arrivals with a visit's requests. The rate averaged over a
window w is [R(t) - R(t-w)]/w, and V(t) - V(t-d) visitors are there at once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from capplan.model.arrivals import Curve

Floats = NDArray[np.float64]
Rate = Callable[[Floats], Floats]

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

    def peak_rate(self, window_s: float) -> tuple[Floats, Floats]:
        """Return the highest rate over time and when it is, one value each per draw.

        Each part of the requests rises until the shorter of window and part has passed since a
        curve was dense, and falls when both have. The highest point lies at a corner, at the end
        of a busy stretch, or between two of these: look there, then twice more round the best. It
        is found to less than 1 %, to 3 % with a curve from a table.
        """
        begin = np.zeros_like(self.visit_s)
        parts = [begin, self.visit_s]
        if self.first_requests.any():
            parts.append(begin + FIRST_PAGE_S)
        delays = [part + w for part in parts for w in (0.0, window_s)]
        longest = np.maximum(self.visit_s, FIRST_PAGE_S) + window_s
        shortest = np.minimum(np.minimum(self.visit_s, FIRST_PAGE_S), window_s)
        return self._highest(lambda t_s: self.rate(t_s, window_s), delays, longest, shortest)

    def peak_visitors(self) -> tuple[Floats, Floats]:
        """Return the most visitors at once and when it is, one value each per draw."""
        delays = [np.zeros_like(self.visit_s), self.visit_s]
        return self._highest(self.visitors, delays, self.visit_s, self.visit_s)

    def peak_begun(self, window_s: float) -> Floats:
        """Return the most visits that begin within ``window_s``, one value per draw."""
        begin = np.zeros_like(self.visit_s)
        whole = begin + window_s
        highest, _ = self._highest(
            lambda t_s: self.begun(t_s) - self.begun(t_s - window_s), [begin, whole], whole, whole
        )
        return highest

    def _highest(
        self, rate: Rate, delays: Sequence[Floats], longest: Floats, shortest: Floats
    ) -> tuple[Floats, Floats]:
        """Find the highest ``rate``, given how long after a corner of the curves it may bend.

        It falls once ``longest`` has passed since the density of all curves rose, and rises until
        ``shortest`` has passed since the first of them began with its highest density.
        """
        corners = {corner for curve in self.curves.values() for corner in curve.corners_s}
        busy = sorted({end for curve in self.curves.values() for end in curve.busy_s})
        until = max(curve.rises_until_s for curve in self.curves.values())
        high = until + longest
        low = shortest if self._all_begin_at_once else np.minimum(min([0.0, *busy]), shortest)
        if (low == high).all():
            return rate(low)[:, 0], low[:, 0]
        near = sorted(corner for corner in corners if corner <= high.max())
        bends = [corner + delay for corner in near for delay in delays]
        bends += [end + np.zeros_like(high) for end in busy]
        sides = np.sort(np.clip(np.concatenate([*bends, low, high], axis=1), low, high), axis=1)
        t_s = np.concatenate([sides, (sides[:, 1:] + sides[:, :-1]) / 2], axis=1)
        peak, at_s = np.zeros(len(t_s)), np.zeros((len(t_s), 1))
        for _ in range(_ROUNDS):
            rates = rate(t_s)
            best = rates.argmax(axis=1, keepdims=True)
            found = np.take_along_axis(rates, best, axis=1)
            at_s = np.where(found > peak[:, None], np.take_along_axis(t_s, best, axis=1), at_s)
            peak = np.maximum(peak, found[:, 0])
            low = np.where(t_s < at_s, t_s, low).max(axis=1, keepdims=True)
            high = np.where(t_s > at_s, t_s, high).min(axis=1, keepdims=True)
            t_s = at_s + _NEARER * np.where(_NEARER < 0, at_s - low, high - at_s)
        return peak, at_s[:, 0]

    @property
    def _all_begin_at_once(self) -> bool:
        """Whether no curve has begun before the start or is denser later than there."""
        curves = self.curves.values()
        return all(not c.busy_s and c.begins_s >= 0 for c in curves)

    def _requests(self, t_s: Floats) -> Floats:
        whole = self.begun_integral(t_s)
        later = (whole - self.begun_integral(t_s - self.visit_s)) / self.visit_s
        requests = self.later_requests * later
        if self.first_requests.any():
            first = (whole - self.begun_integral(t_s - FIRST_PAGE_S)) / FIRST_PAGE_S
            requests = requests + self.first_requests * first
        return requests

    def begun_integral(self, t_s: Floats) -> Floats:
        """Return the integral of the visits begun, in visits times seconds."""
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
