"""One trial as the search sees it: what it asked for, what came, and what missed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from capplan.loadtest.search.levels import Level

Purpose = Literal["probe", "bisect", "refine", "confirm"]


@dataclass(frozen=True, slots=True)
class Misses:
    """One criterion in one trial.

    ``share`` of the ``requests`` missed it where ``allowed`` may; ``variance`` is the squared
    standard error of the share by batch means; ``limit_s`` is the limit on latency, None for
    failures. Of latencies, ``mean_s`` is the mean in seconds, and ``slower`` are points of their
    distribution in rising order: a latency, and the share of requests that were slower.
    """

    allowed: float
    share: float
    requests: int
    variance: float
    limit_s: float | None
    mean_s: float | None = None
    slower: tuple[tuple[float, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Observation:
    """One trial as the search sees it.

    ``rate`` was asked, ``offered`` is how many arrivals/s chance then drew in the time that counts.
    That time begins ``start_s`` after the trial did, at an idle target, and lasts ``measured_s``.
    ``at_least``: the trial was ended early because it could no longer pass; its misses would have
    become more, so that each share is a lower bound.
    ``served`` is false when no request at all succeeded. ``levels`` of the target have limits, too.
    """

    rate: float
    offered: float
    measured_s: float
    purpose: Purpose
    passed: bool
    at_least: bool
    misses: tuple[Misses, ...]
    served: bool = True
    levels: tuple[Level, ...] = ()
    start_s: float = 0.0

    @property
    def failed(self) -> bool:
        """Whether the SLA was missed; a short probe has to miss it clearly to count."""
        clearly = any(m.share - m.allowed > 2 * m.variance**0.5 for m in self.misses)
        clearly = clearly or any(level.clearly_over for level in self.levels)
        return not self.passed and (clearly or self.at_least or self.purpose != "probe")
