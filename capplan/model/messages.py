"""When the people come who were sent a message: the published timing of clicks, and slow sending.

A minority reacts at once and the rest when they next look: two exponentials,

    F(t) = q·(1 - exp(-t/quick)) + (1 - q)·(1 - exp(-t/slow))

E-mail, clicks (GetResponse, 5.5 billion e-mails of July 2019 to June 2020): 33.6 % within an hour,
51.4 % within three, 81 % within a day. Three figures give the three parameters exactly.

Push, opens (Leanplum, 1.5 billion notifications, 2016): the median is 7 min on iOS and 48 min on
Android, of which 1.77 % and 3.48 % are opened; so with as many phones of each kind, q = .337.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from capplan.model.arrivals import Decay, Some
from capplan.units import Range

Floats = NDArray[np.float64]

EMAIL_QUICK_S, EMAIL_SLOW_S = 3215.2, 83_506.0
EMAIL_QUICK = Range(0.30, 0.63)
"""The published figures give .465. Campaigns differ: this is 23 % to 44 % within the first hour."""

PUSH_QUICK_S, PUSH_SLOW_S = 420.0 / float(np.log(2)), 2880.0 / float(np.log(2))
PUSH_QUICK = Range(0.15, 0.60)
"""The published figures give .337. The mix of phones is not known."""


@dataclass(frozen=True)
class Message:
    """Visits that answer a message sent evenly over ``over_s`` from the start; 0 is all at once.

    ``quick`` of them, a number or a column of shape (draws, 1), decay as one, the rest as another.
    Sent over S seconds, F becomes its mean over S: [W(t) - W(t-S)]/S with W the integral of F.
    """

    quick: Floats
    first: Decay
    rest: Decay
    over_s: float = 0.0

    @property
    def corners_s(self) -> tuple[float, ...]:
        """The first and the last message."""
        return (0.0, self.over_s) if self.over_s else (0.0,)

    @property
    def busy_s(self) -> tuple[float, ...]:
        """None but at its corners."""
        return ()

    @property
    def begins_s(self) -> float:
        """The first message."""
        return 0.0

    @property
    def rises_until_s(self) -> float:
        """The last message."""
        return self.over_s

    def begun(self, t_s: Floats) -> Floats:
        """Return F(t)."""
        if not self.over_s:
            return self.quick * self.first.begun(t_s) + (1 - self.quick) * self.rest.begun(t_s)
        return (self._once(t_s) - self._once(t_s - self.over_s)) / self.over_s

    def begun_integral(self, t_s: Floats) -> Floats:
        """Return the integral of F."""
        if not self.over_s:
            return self._once(t_s)
        return (self._twice(t_s) - self._twice(t_s - self.over_s)) / self.over_s

    def part(self, draws: Some) -> Message:
        """Return the curve of these draws alone."""
        quick = self.quick[draws] if self.quick.ndim else self.quick
        return Message(quick, self.first, self.rest, self.over_s)

    def _once(self, t_s: Floats) -> Floats:
        first, rest = self.first.begun_integral(t_s), self.rest.begun_integral(t_s)
        return self.quick * first + (1 - self.quick) * rest

    def _twice(self, t_s: Floats) -> Floats:
        first, rest = self.first.begun_twice(t_s), self.rest.begun_twice(t_s)
        return self.quick * first + (1 - self.quick) * rest


def email(quick: Floats, over_s: float = 0.0) -> Message:
    """Return the clicks of an e-mail, of which ``quick`` come at once.

    >>> hours = np.array([1.0, 3.0, 24.0]) * 3600
    >>> email(np.asarray(0.4653)).begun(hours).round(3).tolist()
    [0.336, 0.514, 0.81]
    """
    return _message(quick, EMAIL_QUICK_S, EMAIL_SLOW_S, over_s)


def push(quick: Floats, over_s: float = 0.0) -> Message:
    """Return the opens of a push notification, of which ``quick`` come at once.

    >>> push(np.asarray(1.0)).begun(np.array([420.0])).round(6).tolist()
    [0.5]
    """
    return _message(quick, PUSH_QUICK_S, PUSH_SLOW_S, over_s)


def _message(quick: Floats, quick_s: float, slow_s: float, over_s: float) -> Message:
    return Message(quick, Decay(np.asarray(quick_s)), Decay(np.asarray(slow_s)), over_s)
