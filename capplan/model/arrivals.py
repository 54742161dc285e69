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

OPENING_SHARE = 0.32
OPENING_S = 805.0
"""Of the shoppers of a day: those who come for its opening, and the mean delay of these."""


class Curve(Protocol):
    """An arrival curve; ``t_s`` may have any shape that broadcasts with the curve's parameters."""

    @property
    def corners_s(self) -> tuple[float, ...]:
        """The times at which the density jumps."""
        ...

    def begun(self, t_s: Floats) -> Floats:
        """Return F(t), the share of visits that began by ``t_s``."""
        ...

    def begun_integral(self, t_s: Floats) -> Floats:
        """Return the integral of F from minus infinity to ``t_s``, in seconds."""
        ...

    def part(self, draws: slice) -> Curve:
        """Return the curve of these draws alone."""
        ...


@dataclass(frozen=True)
class Decay:
    """Visits at a rate that decays exponentially: F(t) = 1 - exp(-t/mean).

    The response to a message that is sent once, and the burst of people who waited for the start.
    ``mean_s`` is a number or a column of shape (draws, 1).
    """

    mean_s: Floats

    @property
    def corners_s(self) -> tuple[float, ...]:
        """The burst begins at once."""
        return (0.0,)

    def begun(self, t_s: Floats) -> Floats:
        """Return F(t)."""
        return -np.expm1(-np.maximum(t_s, 0.0) / self.mean_s)

    def begun_integral(self, t_s: Floats) -> Floats:
        """Return the integral t - mean·F(t)."""
        t = np.maximum(t_s, 0.0)
        return t + self.mean_s * np.expm1(-t / self.mean_s)

    def part(self, draws: slice) -> Decay:
        """Return the curve of these draws alone."""
        return Decay(self.mean_s[draws]) if self.mean_s.ndim else self


@dataclass(frozen=True)
class Even:
    """Visits at a constant rate for ``duration_s``."""

    duration_s: float

    @property
    def corners_s(self) -> tuple[float, ...]:
        """It begins and ends at once."""
        return (0.0, self.duration_s)

    def begun(self, t_s: Floats) -> Floats:
        """Return F(t)."""
        return np.clip(t_s / self.duration_s, 0.0, 1.0)

    def begun_integral(self, t_s: Floats) -> Floats:
        """Return the integral: t²/2T during the sale, T/2 + (t - T) after it."""
        during = np.clip(t_s, 0.0, self.duration_s)
        after = np.maximum(t_s - self.duration_s, 0.0)
        return during**2 / (2 * self.duration_s) + after

    def part(self, draws: slice) -> Even:
        """Return the same curve: it is one for all draws."""
        return self


@dataclass(frozen=True)
class Mixed:
    """A share of the visits by one curve and the rest by another."""

    share: float
    first: Curve
    rest: Curve

    @property
    def corners_s(self) -> tuple[float, ...]:
        """The corners of both."""
        return (*self.first.corners_s, *self.rest.corners_s)

    def begun(self, t_s: Floats) -> Floats:
        """Return F(t)."""
        return self.share * self.first.begun(t_s) + (1 - self.share) * self.rest.begun(t_s)

    def begun_integral(self, t_s: Floats) -> Floats:
        """Return the weighted integral."""
        first, rest = self.first.begun_integral(t_s), self.rest.begun_integral(t_s)
        return self.share * first + (1 - self.share) * rest

    def part(self, draws: slice) -> Mixed:
        """Return the curve of these draws alone."""
        return Mixed(self.share, self.first.part(draws), self.rest.part(draws))


def within(within_s: float) -> Decay:
    """Return the decay that brings ``WITHIN_SHARE`` of the visits within ``within_s``.

    Nobody has to be first: each of those who will click does so at the same rate at any time, so
    the clicks per second fall exponentially from the moment the message is out. The opening of a
    sale was seen to fall like this, see :func:`opening`.

    >>> round(float(within(3600.0).begun(np.array(3600.0))), 6)
    0.9
    """
    return Decay(np.asarray(within_s / -np.log1p(-WITHIN_SHARE)))


def opening(duration_s: float) -> Mixed:
    """Return the shape of a sale that everybody knows of: a rush at the opening, then evenly.

    F(t) = .32·(1 - exp(-t/805 s)) + .68·t/T, which fits the orders of Alibaba's 11.11 of 2019, a
    sale of one day, within 3 %.

    >>> day = opening(86400.0)
    >>> round(float(day.begun(np.array(96.0))) * 86400 / 96, 1)  # 33.5 times the mean was seen
    33.1
    """
    return Mixed(OPENING_SHARE, Decay(np.asarray(OPENING_S)), Even(duration_s))
