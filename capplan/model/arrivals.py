"""Arrival curves: how the visits of one channel spread over time.

A curve is given by F(t), the share of its visits that have begun by t seconds after the start of
the sale, and by the integral of F, from which averages over windows follow without any grid.
All curves here begin at the start of the sale and never rise again in density.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

WITHIN_SHARE = 0.9
"""The share of the visits that ``arrive: within W`` means to come in W."""


class Curve(Protocol):
    """An arrival curve; ``t_s`` may have any shape that broadcasts with the curve's parameters."""

    def begun(self, t_s: Floats) -> Floats:
        """Return F(t), the share of visits that began by ``t_s``."""
        ...

    def begun_integral(self, t_s: Floats) -> Floats:
        """Return the integral of F from minus infinity to ``t_s``, in seconds."""
        ...


@dataclass(frozen=True)
class Decay:
    """Visits at a rate that decays exponentially: F(t) = 1 - exp(-t/mean).

    The response to a message that is sent once, and the burst of people who waited for the start.
    ``mean_s`` is a number or an array, one value per draw.
    """

    mean_s: Floats

    def begun(self, t_s: Floats) -> Floats:
        """Return F(t)."""
        return -np.expm1(-np.maximum(t_s, 0.0) / self.mean_s)

    def begun_integral(self, t_s: Floats) -> Floats:
        """Return the integral t - mean·F(t)."""
        t = np.maximum(t_s, 0.0)
        return t + self.mean_s * np.expm1(-t / self.mean_s)


@dataclass(frozen=True)
class Even:
    """Visits at a constant rate for ``duration_s``."""

    duration_s: float

    def begun(self, t_s: Floats) -> Floats:
        """Return F(t)."""
        return np.clip(t_s / self.duration_s, 0.0, 1.0)

    def begun_integral(self, t_s: Floats) -> Floats:
        """Return the integral: t²/2T during the sale, T/2 + (t - T) after it."""
        during = np.clip(t_s, 0.0, self.duration_s)
        after = np.maximum(t_s - self.duration_s, 0.0)
        return during**2 / (2 * self.duration_s) + after


def within(within_s: float) -> Decay:
    """Return the decay that brings ``WITHIN_SHARE`` of the visits within ``within_s``.

    >>> round(float(within(3600.0).begun(np.array(3600.0))), 6)
    0.9
    """
    return Decay(np.asarray(within_s / -np.log1p(-WITHIN_SHARE)))
