"""The Universal Scalability Law: throughput of N servers behind one service.

    X(N) = γN / (1 + α(N-1) + βN(N-1))

with γ the rate of one server, α the share that is serialised (contention) and β the cost of keeping
each pair of servers consistent (coherency), all at least 0. Source: N. J. Gunther, *Guerrilla
Capacity Planning*, 2007, chapters 4 to 6. With β > 0 throughput peaks at N* = √((1-α)/β) and falls
beyond it; with β = 0 it approaches γ/α.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_NO_COHERENCY = 1e-6
_TINY = 1e-12
_REACH = 1.2
_BENT = 0.75
"""The curve has bent clearly when the largest N measured yields this share of γN or less."""


@dataclass(frozen=True, slots=True)
class Fit:
    """A fitted law. ``peak_servers`` is None when the data show no peak.

    ``identified`` says whether the law may be used beyond what was measured: only when the peak
    lies at most 1.2 times past the largest N measured, or the curve has bent clearly.
    """

    alpha: float
    beta: float
    gamma: float
    peak_servers: float | None
    peak_throughput: float | None
    identified: bool

    def throughput(self, servers: float) -> float:
        """Return X(N) in the unit of the data."""
        return float(_throughput(self.alpha, self.beta, self.gamma, servers))


@dataclass(frozen=True, slots=True)
class Laws:
    """Equally likely laws; each parameter is an array with one entry per law.

    ``reach`` is the largest N for which they may be used: the largest measured, or the whole number
    nearest the peak when the law is identified (infinite without a peak). ``peak_servers`` is the
    peak, None when none is identified.
    """

    alpha: Floats
    beta: Floats
    gamma: Floats
    reach: float
    peak_servers: float | None

    def throughput(self, servers: float | Floats) -> Floats:
        """Return X(N) of each law, for one N or for one of its own."""
        return np.asarray(_throughput(self.alpha, self.beta, self.gamma, servers))

    def rising(self, servers: int) -> Floats:
        """Return X(N) of each law, held at its own peak once N has passed that.

        The laws peak at different N. Held, more servers never count for less up to the peak of the
        fitted law, around which they are flat anyway.
        """
        squared = np.maximum(1 - self.alpha, 0) / np.maximum(self.beta, _TINY)
        peak = np.clip(np.sqrt(squared), 1, None)
        return self.throughput(np.minimum(peak, servers))

    def at(self, u: Floats) -> Laws:
        """Return the laws at the probabilities ``u`` (0 to 1) in their own order."""
        index = np.minimum((u * len(self.gamma)).astype(int), len(self.gamma) - 1)
        return replace(
            self, alpha=self.alpha[index], beta=self.beta[index], gamma=self.gamma[index]
        )

    def faster(self, speed: Floats) -> Laws:
        """Return the laws of servers that are faster by a factor."""
        return replace(self, gamma=self.gamma * speed)


def fit(servers: Sequence[float], throughput: Sequence[float]) -> Fit:
    """Fit the law by least squares on X with α, β ≥ 0.

    Raises ``ValueError`` for fewer than three different server counts and for values that are not
    positive.
    """
    n, x = np.asarray(servers, dtype=float), np.asarray(throughput, dtype=float)
    if len(n) != len(x) or len(set(n.tolist())) < 3:
        raise ValueError(f"a scaling law needs three different server counts, not {list(servers)}")
    if not (np.all(n > 0) and np.all(x > 0) and np.all(np.isfinite(x))):
        raise ValueError("server counts and throughputs must be positive")
    starts = ([0.1, 0.0, 1.0], [1.0, 0.1, 1.0], [1.0, 1.0, 1.2], [5.0, 1.0, 1.5])
    return _best(n, x, starts, 1e-15)


def resample(servers: Sequence[float], throughputs: Floats) -> tuple[Fit, ...]:
    """Fit the law to each row of ``throughputs``: equally likely values at each server count.

    How much the fits differ is the doubt about the law. Raises ``ValueError`` as ``fit`` does.
    """
    middle = fit(servers, np.median(throughputs, axis=0).tolist())
    n = np.asarray(servers, dtype=float)
    span, scale = float(n.max()), float((np.median(throughputs, axis=0) / n).max())
    start = [middle.alpha * span, middle.beta * span**2, middle.gamma / scale]
    # the solver begins inside the bounds
    inside = [max(start[0], 0.01), max(start[1], 0.01), start[2]]
    return tuple(_best(n, row, (inside,), 1e-9) for row in throughputs)


def _best(n: Floats, x: Floats, starts: Sequence[Sequence[float]], tolerance: float) -> Fit:
    from scipy.optimize import least_squares  # takes its time to load

    # in units of the data the three parameters are of the same size, which the solver needs
    scale, span = float((x / n).max()), float(n.max())

    def residuals(p: Floats) -> Floats:
        alpha, beta, gamma = p[0] / span, p[1] / span**2, p[2] * scale
        return np.asarray((_throughput(alpha, beta, gamma, n) - x) / x.max())

    def slopes(p: Floats) -> Floats:
        alpha, beta, gamma = p[0] / span, p[1] / span**2, p[2] * scale
        below = 1 + alpha * (n - 1) + beta * n * (n - 1)
        by_alpha = -gamma * n * (n - 1) / below**2
        columns = [by_alpha / span, by_alpha * n / span**2, n / below * scale]
        return np.asarray(np.column_stack(columns) / x.max())

    solutions = [
        least_squares(residuals, start, slopes, bounds=([0, 0, 1e-9], np.inf), xtol=tolerance,
                      ftol=tolerance, gtol=tolerance)
        for start in starts
    ]  # fmt: skip
    best = min(solutions, key=lambda solution: float(solution.cost)).x
    alpha, beta, gamma = best[0] / span, best[1] / span**2, best[2] * scale
    return _describe(float(alpha), float(beta), float(gamma), span)


def _throughput(alpha: Any, beta: Any, gamma: Any, servers: Any) -> Any:
    """Return X(N): of numbers a number, of arrays an array."""
    n = servers
    return gamma * n / (1 + alpha * (n - 1) + beta * n * (n - 1))


def _describe(alpha: float, beta: float, gamma: float, largest: float) -> Fit:
    if beta <= _NO_COHERENCY or alpha >= 1:
        plain = Fit(alpha, 0.0 if beta <= _NO_COHERENCY else beta, gamma, None, None, False)
        bent = plain.throughput(largest) <= _BENT * gamma * largest
        return Fit(plain.alpha, plain.beta, gamma, None, None, bent)
    peak = math.sqrt((1 - alpha) / beta)
    law = Fit(alpha, beta, gamma, peak, None, False)
    bent = law.throughput(largest) <= _BENT * gamma * largest
    return Fit(alpha, beta, gamma, peak, law.throughput(peak), peak <= _REACH * largest or bent)
