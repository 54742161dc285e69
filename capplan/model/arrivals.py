"""Arrival curves: how the visits of one channel spread over time.

A curve is given by F(t), the share of its visits that have begun by t seconds after the start of
the sale, and by the integral of F, from which averages over windows follow without any grid.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Some = slice | NDArray[np.int_]
"""Which draws: a stretch of them, or their numbers."""

WITHIN_SHARE = 0.9
"""The share of the visits that ``arrive: within W`` means to come in W."""

OPENING_SHARE = 0.32
OPENING_S = 805.0
"""Of the shoppers of a day: those who come for its opening, and the mean delay of these."""


class Curve(Protocol):
    """An arrival curve; ``t_s`` may have any shape that broadcasts with the curve's parameters."""

    @property
    def corners_s(self) -> tuple[float, ...]:
        """The times at which the density jumps, or its slope."""
        ...

    @property
    def busy_s(self) -> tuple[float, ...]:
        """The ends of its busiest stretches, where corners do not tell them."""
        ...

    @property
    def begins_s(self) -> float:
        """The time before which next to no visit has begun."""
        ...

    @property
    def rises_until_s(self) -> float:
        """The time after which the density never rises again."""
        ...

    def begun(self, t_s: Floats) -> Floats:
        """Return F(t), the share of visits that began by ``t_s``."""
        ...

    def begun_integral(self, t_s: Floats) -> Floats:
        """Return the integral of F from minus infinity to ``t_s``, in seconds."""
        ...

    def part(self, draws: Some) -> Curve:
        """Return the curve of these draws alone."""
        ...


@dataclass(frozen=True)
class FromTheStart:
    """A curve that is densest at the start of the sale."""

    @property
    def busy_s(self) -> tuple[float, ...]:
        """None but at its corners."""
        return ()

    @property
    def begins_s(self) -> float:
        """The start."""
        return 0.0

    @property
    def rises_until_s(self) -> float:
        """The start."""
        return 0.0


@dataclass(frozen=True)
class Decay(FromTheStart):
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

    def begun_twice(self, t_s: Floats) -> Floats:
        """Return the integral of the integral, t²/2 - mean·t + mean²·F(t), in s².

        >>> Decay(np.asarray(10.0)).begun_twice(np.array([-1.0, 1e-3, 10.0])).round(12).tolist()
        [0.0, 1.7e-11, 13.212055882856]
        """
        x = np.maximum(t_s, 0.0) / self.mean_s
        found = np.asarray(x * (x / 2 - 1) - np.expm1(-x))
        # for small x the three terms cancel: their series takes over
        small = x < 1e-2
        if small.any():
            y = x[small]
            found[small] = y**3 * (1 / 6 - y * (1 / 24 - y * (1 / 120 - y / 720)))
        return self.mean_s**2 * found

    def part(self, draws: Some) -> Decay:
        """Return the curve of these draws alone."""
        return Decay(self.mean_s[draws]) if self.mean_s.ndim else self


@dataclass(frozen=True)
class Rising(FromTheStart):
    """Visits that become ever denser up to the start, and end there: F(t) = exp(t/mean) before it.

    ``mean_s`` is a number or a column of shape (draws, 1): how long before the start they come.
    """

    mean_s: Floats

    @property
    def corners_s(self) -> tuple[float, ...]:
        """It ends at once."""
        return (0.0,)

    @property
    def begins_s(self) -> float:
        """When 95 % are still to come, in all but the earliest twentieth of the draws."""
        return -3.0 * float(np.quantile(self.mean_s, 0.95))

    def begun(self, t_s: Floats) -> Floats:
        """Return F(t)."""
        return np.exp(np.minimum(t_s, 0.0) / self.mean_s)

    def begun_integral(self, t_s: Floats) -> Floats:
        """Return the integral: mean·F(t) before the start, mean + t after it."""
        return self.mean_s * self.begun(t_s) + np.maximum(t_s, 0.0)

    def part(self, draws: Some) -> Rising:
        """Return the curve of these draws alone."""
        return Rising(self.mean_s[draws]) if self.mean_s.ndim else self


@dataclass(frozen=True)
class Even(FromTheStart):
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

    def part(self, draws: Some) -> Even:
        """Return the same curve: it is one for all draws."""
        return self


@dataclass(frozen=True)
class Mixed:
    """A share of the visits by one curve and the rest by another.

    ``share`` is a number or a column of shape (draws, 1).
    """

    share: Floats
    first: Curve
    rest: Curve

    @property
    def corners_s(self) -> tuple[float, ...]:
        """The corners of both."""
        return (*self.first.corners_s, *self.rest.corners_s)

    @property
    def busy_s(self) -> tuple[float, ...]:
        """Those of both."""
        return (*self.first.busy_s, *self.rest.busy_s)

    @property
    def begins_s(self) -> float:
        """The earlier of both."""
        return min(self.first.begins_s, self.rest.begins_s)

    @property
    def rises_until_s(self) -> float:
        """The later of both."""
        return max(self.first.rises_until_s, self.rest.rises_until_s)

    def begun(self, t_s: Floats) -> Floats:
        """Return F(t)."""
        return self.share * self.first.begun(t_s) + (1 - self.share) * self.rest.begun(t_s)

    def begun_integral(self, t_s: Floats) -> Floats:
        """Return the weighted integral."""
        first, rest = self.first.begun_integral(t_s), self.rest.begun_integral(t_s)
        return self.share * first + (1 - self.share) * rest

    def part(self, draws: Some) -> Mixed:
        """Return the curve of these draws alone."""
        share = self.share[draws] if self.share.ndim else self.share
        return Mixed(share, self.first.part(draws), self.rest.part(draws))


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
    return Mixed(np.asarray(OPENING_SHARE), Decay(np.asarray(OPENING_S)), Even(duration_s))
