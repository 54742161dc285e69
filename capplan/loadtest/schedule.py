"""The schedule of arrivals: who draws it has to know nothing but its seed.

A child draws it to issue tickets, and the parent draws it again to check what was issued.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

from capplan.loadtest.protocol import TrialSpec


def arrivals(spec: TrialSpec) -> Iterator[float]:
    """Yield the intended starts of a trial's Poisson arrivals, in seconds since its start.

    Gaps are exponential with the mean 1/λ, λ = ``spec.arrivals_per_s`` times the factor of the
    step. A Poisson process forgets: where a step ends, the gap is drawn anew at the next rate.

    >>> steps = ((4.0, 1.0), (4.0, 0.0), (1.0, 2.0))
    >>> came = list(arrivals(TrialSpec(0, 50.0, 9.0, 1.0, 1.0, 1, 1, 1, steps)))
    >>> [sum(a <= t < b for t in came) for a, b in ((0, 4), (4, 8), (8, 9))]
    [206, 0, 105]
    """
    rng = random.Random(f"{spec.seed}.arrivals")
    end_s = 0.0
    for number, (length_s, factor) in enumerate(spec.steps or ((spec.duration_s, 1.0),), start=1):
        start_s, rate = end_s, spec.arrivals_per_s * factor
        last = number >= len(spec.steps)
        end_s = spec.duration_s if last else min(start_s + length_s, spec.duration_s)
        due_s = start_s + rng.expovariate(rate) if rate > 0 else end_s
        while due_s < end_s:
            yield due_s
            due_s += rng.expovariate(rate)


def count(spec: TrialSpec, held_s: Sequence[float]) -> int:
    """Count the arrivals of one trial that were due while each of its workers held the load."""
    total = 0
    for worker, until_s in enumerate(held_s):
        share = spec.share(worker, len(held_s))
        total += sum(due_s < until_s for due_s in arrivals(share))
    return total
