"""What a nearer limit, which more requests miss, tells of the limit that counts.

Pure. A trial of some seconds sees few of the requests of which one in a hundred may miss, and those
in bunches. Near saturation the tail of the latency is exponential (Kingman's heavy-traffic limit):
beyond the latency b of an idle target, ln P(T > b + x) falls in a line with x. So with f the part
of the way from b to the limit at which the nearer limit lies, share(nearer) = share(limit)^f: of it
a trial sees many times more misses, and at the same load.

No target keeps to that exactly. How far it is off is believed to be little, or, rarely, much; what
the limit itself saw decides between the two.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, inf, log

import numpy as np

from capplan.loadtest.search.observation import Misses
from capplan.loadtest.search.trial_model import Floats

_EXPONENT = 2.0  # -ln of the share over the nearer limit: f²·exp(-f·y) is largest at f·y = 2
_PART = 0.7  # of the way at most; nearer to the limit it would tell little more
_RARE = 0.1  # where more than this may miss the limit, there is nothing to gain
_OFTEN_IDLE = 0.25  # of the share may be over the nearer limit at an idle target
_AS_IDLE = 1.2  # times the lowest mean latency is that of an idle target, too
# how much steeper the tail is beyond the nearer limit, as a part: mean and standard deviation
_USUAL, _USUAL_OFF = -0.1, 0.15
_STRANGE, _STRANGE_OFF = 0.04, 1.0  # and with which probability it is another tail altogether


@dataclass(frozen=True, slots=True)
class Idle:
    """An idle target: its mean latency in seconds, and the squared cv of its latencies."""

    mean_s: float
    variation: float


@dataclass(frozen=True, slots=True)
class Nearer:
    """A nearer limit, and what each trial saw of it.

    It lies ``wait_s`` beyond the latency of the idle target; the share ``allowed`` may miss it.
    """

    wait_s: float
    allowed: float
    misses: tuple[Misses, ...]


def idle(misses: Sequence[Misses]) -> Idle | None:
    """Return what the trials with the lowest latencies show; None where nothing was answered."""
    means_s = [m.mean_s for m in misses if m.mean_s is not None]
    if not means_s:
        return None
    calm = [m for m in misses if m.mean_s is not None and m.mean_s <= _AS_IDLE * min(means_s)]
    return Idle(min(means_s), _variation(max(calm, key=lambda m: m.requests)))


def nearer(misses: Sequence[Misses], idle_s: float) -> Nearer | None:
    """Return a nearer limit; None where it would tell nothing.

    ``idle_s`` is the latency of the idle target.
    """
    limit_s, allowed = misses[0].limit_s, misses[0].allowed
    if limit_s is None or limit_s <= idle_s or not 0 < allowed <= _RARE:
        return None
    part = min(_EXPONENT / -log(allowed), _PART)
    wait_s, often = part * (limit_s - idle_s), allowed**part
    near = tuple(_over(m, idle_s + wait_s, often, wait_s) for m in misses)
    calmest = min(range(len(misses)), key=lambda i: misses[i].mean_s or inf)
    told = near[calmest].share <= _OFTEN_IDLE * often
    return Nearer(wait_s, often, near) if told else None


def beyond(
    log_theta: Floats, near: Floats, far: Floats, steepness: float, shares: tuple[float, float]
) -> Floats:
    """Return the density of the sustained rate, from that by the nearer limit and that by itself.

    ``shares`` may miss the nearer limit and the limit itself, ``steepness`` is that at the nearer
    one. A tail that is steeper by the part r beyond it moves the sustained rate by
    r·f(1 - f)·ln(1/allowed)/s, on the scale of logarithms.
    """
    often, allowed = shares
    part = log(often) / log(allowed)
    moved = -part * (1 - part) * log(allowed) / steepness
    off = (log_theta[:, None] - log_theta[None, :]) / moved
    finest = (log_theta[1] - log_theta[0]) / moved / 2  # what the grid resolves

    def spread(mean: float, sd: float) -> Floats:
        kernel = np.exp(-0.5 * ((off - mean) / max(sd, finest)) ** 2)
        return np.asarray(kernel / kernel.sum(axis=0) @ near)

    usual, strange = spread(_USUAL, _USUAL_OFF), spread(0.0, _STRANGE_OFF) * far
    # the misses of both limits are of the same requests: they count twice for no density
    weight = (1 - _STRANGE) * float(usual @ far)
    density = weight * usual + _STRANGE * strange
    total = float(density.sum())
    return np.asarray(density / total) if total > 0 else far


def _over(m: Misses, latency_s: float, allowed: float, wait_s: float) -> Misses:
    """Return the share of requests over a latency, between the points that are known of it."""
    share, requests = m.share, max(m.requests, 1)
    if m.slower and latency_s >= m.slower[-1][0]:
        share = m.slower[-1][1]
    elif m.slower:
        at_s, over = np.array([(0.0, 1.0), *m.slower]).T
        share = exp(np.interp(latency_s, at_s, np.log(np.maximum(over, 0.5 / requests))))
    some = (share * requests + 0.5) / (requests + 1)
    return Misses(allowed, share, m.requests, some * (1 - some) / requests, wait_s)


def _variation(m: Misses) -> float:
    """Return the squared coefficient of variation of latency; 1 where its end is not known.

    Between two known points of its distribution latency is taken to be spread evenly.
    """
    if not m.slower or m.slower[-1][1] > 0:
        return 1.0
    at_s, over = np.array([(0.0, 1.0), *m.slower]).T
    part, low, high = -np.diff(over), at_s[:-1], at_s[1:]
    mean_s = float(part @ (low + high)) / 2
    square = float(part @ (low**2 + low * high + high**2)) / 3
    return max(square / mean_s**2 - 1, 0.0) if mean_s > 0 else 1.0
