"""Whether the units ``task`` and ``visit`` find the same sustained rate, on simulated queues.

Tasks are Poisson; visits are Poisson, and the requests inside wait for their answers and think. By
the theorem of Palm and Khinchine the sum of many long visits is Poisson as well, so both units
should agree where people think long against the time of an answer. Prints a table.

    python benchmarks/units.py [--requests 300000]
"""

from __future__ import annotations

import argparse
import heapq
import math
import random
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from capplan.model.queueing import mmc_sustained_rps

SLOTS, SERVICE_S, LIMIT_S, ALLOWED = 4, 0.02, 0.15, 0.05
WARM_UP = 0.1
GRID = np.linspace(0.93, 1.03, 5)


@dataclass(frozen=True)
class Visits:
    """Visits of ``requests`` requests each; between two of them people think, uniformly."""

    name: str
    requests: int
    think_s: tuple[float, float]


KINDS = (
    Visits("6 requests, 2 to 10 s between them (the example shop)", 6, (2.0, 10.0)),
    Visits("30 requests, 2 to 10 s between them", 30, (2.0, 10.0)),
    Visits("6 requests, 0.1 to 0.5 s between them", 6, (0.1, 0.5)),
    Visits("6 requests, one right after the other", 6, (0.0, 0.0)),
)


def sojourns_s(rps: float, visits: Visits, count: int, seed: int) -> NDArray[np.float64]:
    """Return the sojourn times of ``count`` requests at M servers, first come first served.

    Exponential service. The next request of a visit follows its answer; what comes first is served
    first, so requests are handled in the order of their arrival (Kiefer and Wolfowitz).
    """
    rng = random.Random(seed)
    visits_per_s = rps / visits.requests
    free_at = [0.0] * SLOTS
    due: list[tuple[float, int]] = [(rng.expovariate(visits_per_s), visits.requests)]
    found = np.empty(count)
    begin_s = WARM_UP * count / rps + visits.requests * visits.think_s[1]  # the shop is full then
    seen = 0
    while seen < count:
        now_s, left = heapq.heappop(due)
        if left == visits.requests:  # the next visitor comes whatever happens to this one
            heapq.heappush(due, (now_s + rng.expovariate(visits_per_s), visits.requests))
        end_s = max(now_s, free_at[0]) + rng.expovariate(1 / SERVICE_S)
        heapq.heapreplace(free_at, end_s)
        if left > 1:
            heapq.heappush(due, (end_s + rng.uniform(*visits.think_s), left - 1))
        if now_s >= begin_s:
            found[seen] = end_s - now_s
            seen += 1
    return found


def sustained_rps(visits: Visits, count: int, seed: int) -> float:
    """Return the rate at which the allowed share is over the limit.

    The log odds of the share are a nearly straight line in the load; one is laid through a grid
    around the truth for tasks.
    """
    truth = mmc_sustained_rps(SLOTS, SERVICE_S, 1 - ALLOWED, LIMIT_S)
    shares = [
        float((sojourns_s(truth * x, visits, count, seed + i) > LIMIT_S).mean())
        for i, x in enumerate(GRID)
    ]
    odds = [math.log(share / (1 - share)) for share in shares]
    slope, offset = np.polyfit(GRID, odds, 1)
    return float(truth * (math.log(ALLOWED / (1 - ALLOWED)) - offset) / slope)


def main() -> None:
    """Print how far apart the two units are."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=300_000, help="at each of five loads")
    parser.add_argument("--repeat", type=int, default=4)
    asked = parser.parse_args()
    truth = mmc_sustained_rps(SLOTS, SERVICE_S, 1 - ALLOWED, LIMIT_S)
    print(
        f"{SLOTS} slots of {1000 * SERVICE_S:g} ms (exponential), p95 < {1000 * LIMIT_S:g} ms: "
        f"{truth:.1f} rps in unit task, by theory"
    )
    print("unit visit against unit task, mean and standard error\n")
    for visits in (Visits("single requests, as a check", 1, (0.0, 0.0)), *KINDS):
        ratios = [
            sustained_rps(visits, asked.requests, 100 * repeat) / truth
            for repeat in range(asked.repeat)
        ]
        error = np.std(ratios, ddof=1) / math.sqrt(len(ratios))
        print(f"{visits.name:<52} {np.mean(ratios):.3f} ± {error:.3f}")


if __name__ == "__main__":
    main()
