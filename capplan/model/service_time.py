"""How long one request keeps a server busy: five distributions with a known mean and tail.

Each knows its mean and its coefficient of variation (``cv``, standard deviation over mean), draws
from a given generator, and tells the share of requests that need more than a time. That share is
the floor under every latency: no number of servers brings it down.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, TypeAlias

import numpy as np
from numpy.typing import NDArray

FloatArray: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Exponential:
    """Memoryless service of mean ``mean_s`` seconds; cv 1."""

    mean_s: float
    kind: ClassVar[str] = "exponential"
    cv: ClassVar[float] = 1.0

    def __post_init__(self) -> None:
        _check_mean(self.mean_s)

    def sample(self, rng: np.random.Generator, size: int) -> FloatArray:
        """Draw ``size`` service times in seconds."""
        return rng.exponential(self.mean_s, size)

    def tail(self, t_s: float) -> float:
        """Return P(S > t)."""
        return math.exp(-t_s / self.mean_s)


@dataclass(frozen=True, slots=True)
class Deterministic:
    """Service that always takes ``mean_s`` seconds; cv 0."""

    mean_s: float
    kind: ClassVar[str] = "deterministic"
    cv: ClassVar[float] = 0.0

    def __post_init__(self) -> None:
        _check_mean(self.mean_s)

    def sample(self, rng: np.random.Generator, size: int) -> FloatArray:
        """Return ``size`` times the mean; the generator is left as it was."""
        return np.full(size, self.mean_s)

    def tail(self, t_s: float) -> float:
        """Return P(S > t), which is 0 or 1."""
        return float(self.mean_s > t_s)


@dataclass(frozen=True, slots=True)
class Lognormal:
    """Service whose logarithm is normal: the usual shape of measured service times.

    With variance s² = ln(1 + cv²) and mean ln(mean) − s²/2 of the logarithm.
    """

    mean_s: float
    cv: float
    kind: ClassVar[str] = "lognormal"

    def __post_init__(self) -> None:
        _check_mean(self.mean_s)
        if not 0 < self.cv < math.inf:
            raise ValueError(f"cv={self.cv} of a lognormal service time must be more than 0")

    def sample(self, rng: np.random.Generator, size: int) -> FloatArray:
        """Draw ``size`` service times in seconds."""
        return rng.lognormal(self._log_mean, self._log_sd, size)

    def tail(self, t_s: float) -> float:
        """Return P(S > t)."""
        if t_s <= 0:
            return 1.0
        return math.erfc((math.log(t_s) - self._log_mean) / (self._log_sd * math.sqrt(2))) / 2

    @property
    def _log_sd(self) -> float:
        return math.sqrt(math.log1p(self.cv**2))

    @property
    def _log_mean(self) -> float:
        return math.log(self.mean_s) - self._log_sd**2 / 2


@dataclass(frozen=True, slots=True)
class Hyperexponential:
    """Many short and a few long services: a mixture of two exponentials with balanced means.

    The short kind has share p = (1 + √((cv²−1)/(cv²+1)))/2 and mean mean/(2p), the long kind mean
    mean/(2(1−p)), so that each contributes half of the work (W. Whitt 1982).
    """

    mean_s: float
    cv: float
    kind: ClassVar[str] = "hyperexponential"

    def __post_init__(self) -> None:
        _check_mean(self.mean_s)
        if not 1 < self.cv < math.inf:
            raise ValueError(f"cv={self.cv} of a hyperexponential service time must be more than 1")

    def sample(self, rng: np.random.Generator, size: int) -> FloatArray:
        """Draw ``size`` service times in seconds."""
        short = rng.random(size) < self._short_share
        return rng.exponential(1.0, size) * np.where(short, self._short_s, self._long_s)

    def tail(self, t_s: float) -> float:
        """Return P(S > t)."""
        share = self._short_share
        return share * math.exp(-t_s / self._short_s) + (1 - share) * math.exp(-t_s / self._long_s)

    @property
    def _short_share(self) -> float:
        return (1 + math.sqrt((self.cv**2 - 1) / (self.cv**2 + 1))) / 2

    @property
    def _short_s(self) -> float:
        return self.mean_s / (2 * self._short_share)

    @property
    def _long_s(self) -> float:
        return self.mean_s / (2 * (1 - self._short_share))


@dataclass(frozen=True, slots=True)
class TwoSpeeds:
    """Requests of which the share ``slow`` takes ``factor`` times as long; exponential each.

    >>> service = TwoSpeeds(0.1, slow=0.05, factor=21.0)
    >>> service.quick_s, service.slow_s, round(service.cv**2, 3)
    (0.05, 1.05, 10.5)
    """

    mean_s: float
    slow: float
    factor: float
    kind: ClassVar[str] = "two speeds"

    def __post_init__(self) -> None:
        _check_mean(self.mean_s)
        if not (0 <= self.slow <= 1 and 0 < self.factor < math.inf):
            raise ValueError(f"slow={self.slow} and factor={self.factor} are no two speeds")

    @property
    def quick_s(self) -> float:
        """The mean of the quick ones."""
        return self.mean_s / (1 - self.slow + self.slow * self.factor)

    @property
    def slow_s(self) -> float:
        """The mean of the slow ones."""
        return self.factor * self.quick_s

    @property
    def cv(self) -> float:
        """The standard deviation over the mean."""
        square = 2 * ((1 - self.slow) * self.quick_s**2 + self.slow * self.slow_s**2)
        return math.sqrt(square / self.mean_s**2 - 1)

    def sample(self, rng: np.random.Generator, size: int) -> FloatArray:
        """Draw ``size`` service times in seconds."""
        means = np.where(rng.random(size) < self.slow, self.slow_s, self.quick_s)
        return rng.exponential(1.0, size) * means

    def tail(self, t_s: float) -> float:
        """Return P(S > t)."""
        quick = (1 - self.slow) * math.exp(-t_s / self.quick_s)
        return quick + self.slow * math.exp(-t_s / self.slow_s)


ServiceTime: TypeAlias = Exponential | Deterministic | Lognormal | Hyperexponential | TwoSpeeds

KINDS = ("exponential", "deterministic", "lognormal", "hyperexponential")


def service_time(kind: str, mean_s: float, cv: float | None = None) -> ServiceTime:
    """Return the distribution called ``kind``, one of ``KINDS``.

    A lognormal or hyperexponential one needs its ``cv``; for the two others it is known, and a
    different one is refused. Raises ``ValueError`` that names the value.

    >>> service_time("lognormal", 0.02, 1.0)
    Lognormal(mean_s=0.02, cv=1.0)
    """
    if kind not in KINDS:
        raise ValueError(f"{kind!r} is not a service time: use one of {', '.join(KINDS)}")
    if kind in ("exponential", "deterministic"):
        fixed = Exponential(mean_s) if kind == "exponential" else Deterministic(mean_s)
        if cv is not None and cv != fixed.cv:
            raise ValueError(f"cv={cv} does not fit: of {kind} service it is always {fixed.cv:g}")
        return fixed
    if cv is None:
        raise ValueError(f"a {kind} service time needs its cv")
    return Lognormal(mean_s, cv) if kind == "lognormal" else Hyperexponential(mean_s, cv)


def _check_mean(mean_s: float) -> None:
    if not 0 < mean_s < math.inf:
        raise ValueError(f"mean_s={mean_s} must be finite and more than zero")
