"""The schedule of arrivals: who draws it has to know nothing but its seed.

A child draws it to issue tickets, and the parent draws it again to check what was issued.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

from capplan.loadtest.protocol import TrialSpec


def arrivals(spec: TrialSpec) -> Iterator[float]:
    """Yield the intended starts of a trial's Poisson arrivals, in seconds since its start.

    Gaps are exponential with the mean 1/λ, λ = ``spec.arrivals_per_s``.
    """
    rng = random.Random(f"{spec.seed}.arrivals")
    due_s = rng.expovariate(spec.arrivals_per_s)
    while due_s < spec.duration_s:
        yield due_s
        due_s += rng.expovariate(spec.arrivals_per_s)


def count(spec: TrialSpec, held_s: Sequence[float]) -> int:
    """Count the arrivals of one trial that were due while each of its workers held the load."""
    total = 0
    for worker, until_s in enumerate(held_s):
        share = spec.share(worker, len(held_s))
        total += sum(due_s < until_s for due_s in arrivals(share))
    return total
