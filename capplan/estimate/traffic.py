"""From visits to requests over time, draw by draw and without a time grid.

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

from capplan.model.arrivals import Curve, Decay

Floats = NDArray[np.float64]

FIRST_PAGE_S = 2.0
_PEAK_POINTS = 14


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
        return (self._requests(t_s) - self._requests(t_s - window_s)) / window_s

    def visitors(self, t_s: Floats) -> Floats:
        """Return the visitors present at ``t_s``."""
        return self._total("begun", t_s) - self._total("begun", t_s - self.visit_s)

    def peak_rate(self, window_s: float) -> Floats:
        """Return the highest rate over time, one value per draw.

        No curve rises in density after the start, so the first pages peak within 2 s plus the
        window, the later requests when the first visits end; the sum peaks in between.
        """
        earliest = np.full_like(self.visit_s, min(FIRST_PAGE_S, window_s))
        latest = np.maximum(self.visit_s, FIRST_PAGE_S) + window_s
        steps = np.linspace(0.0, 1.0, _PEAK_POINTS)
        t_s = np.concatenate([earliest * (latest / earliest) ** steps, self._corners(window_s)], 1)
        return np.asarray(self.rate(t_s, window_s).max(axis=1))

    def peak_visitors(self) -> Floats:
        """Return the most visitors at once: when the first ones leave."""
        return self.visitors(self.visit_s)[:, 0]

    def _corners(self, window_s: float) -> Floats:
        """Times at which a part of the requests peaks exactly."""
        first = np.full_like(self.visit_s, FIRST_PAGE_S + window_s)
        return np.concatenate([first, np.full_like(first, window_s), self.visit_s + window_s], 1)

    def _requests(self, t_s: Floats) -> Floats:
        whole = self._total("begun_integral", t_s)
        later = (whole - self._total("begun_integral", t_s - self.visit_s)) / self.visit_s
        requests = self.later_requests * later
        if self.first_requests.any():
            first = (whole - self._total("begun_integral", t_s - FIRST_PAGE_S)) / FIRST_PAGE_S
            requests = requests + self.first_requests * first
        return requests

    def _total(self, what: str, t_s: Floats) -> Floats:
        total: Floats = np.zeros(())
        for name, curve in self.curves.items():
            total = total + self.visits[name] * getattr(curve, what)(t_s)
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
        {name: _part(curve, part) for name, curve in curves.items()},
        requests[0][part, None],
        requests[1][part, None],
        visit_s[part, None],
    )


def _part(curve: Curve, part: slice) -> Curve:
    if isinstance(curve, Decay) and curve.mean_s.ndim == 2:
        return Decay(curve.mean_s[part])
    return curve
