"""Time the estimate of a plan with five channels and two estimates, and its memory.

Prints a table: for each number of draws the best time of several, and the most memory that the
process has held so far (the libraries alone take some 150 MB). ``peaks`` follows every draw to its
peak; ``by second`` is the band of λ(t) for each second of a sale of six hours, from 2,000 draws;
``summary`` is all else: percentiles, sensitivity, levers and what would reconcile two estimates.

    python benchmarks/estimate.py [--draws 100000] [--repeats 5]
"""

from __future__ import annotations

import argparse
import resource
import time
from datetime import UTC, datetime
from itertools import pairwise

from capplan.estimate import by_second, forecast, summary
from capplan.plan.schema import Plan
from capplan.results.base import PlanRef, Provenance

PLAN = {
    "sale": {"start": "2026-11-27T12:00:00+01:00", "duration": "6 h"},
    "audience": [
        {"channel": "email", "reach": "400k", "visits": "1% to 3%", "arrive": "within 1 h"},
        {"channel": "push", "reach": "150k", "visits": "1% to 3.5%", "arrive": "within 10 min"},
        {"channel": "social", "reach": "1.2M", "visits": "0.05% to 0.4%", "arrive": "within 6 h"},
        {"channel": "ads", "reach": "5M", "visits": "0.4% to 1.2%", "arrive": "evenly"},
        {
            "channel": "waiting",
            "reach": "8k to 20k",
            "visits": "80% to 100%",
            "arrive": "at the start",
        },
    ],
    "usual": {
        "orders_per_day": "300",
        "multiple": "3 to 8",
        "within": "2 h",
        "conversion": "2% to 3%",
    },
    "overlap": "10% to 30%",
    "visit": {"requests": "20 to 60", "first_page": "5 to 15", "duration": "2 min to 6 min"},
    "history": [{"name": "Spring sale", "forecast": "900 rps", "actual": "1450 rps"}],
}


def best_of(repeats: int, draws: int) -> list[float]:
    """Return the shortest of several times of each part, in seconds: undisturbed by others."""
    plan = Plan.model_validate(PLAN)
    provenance = Provenance(
        plan=PlanRef(name="benchmark", sections={}),
        made_at=datetime(2026, 11, 1, tzinfo=UTC),
        seed=1,
        environment={},
    )
    times_s = []
    for _ in range(repeats):
        moments_s = [time.perf_counter()]
        found = forecast(plan, 1, draws)
        moments_s.append(time.perf_counter())
        by_second(found)
        moments_s.append(time.perf_counter())
        summary(found, provenance)
        moments_s.append(time.perf_counter())
        times_s.append([after - before for before, after in pairwise(moments_s)])
    return [min(part) for part in zip(*times_s, strict=True)]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--draws", type=int, default=100_000)
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    print("| draws | peaks | by second | both | summary | memory |")
    print("|---|---|---|---|---|---|")
    for draws in (arguments.draws // 10, arguments.draws):
        peaks, seconds, rest = best_of(arguments.repeats, draws)
        memory_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(
            f"| {draws:,} | {peaks:.2f} s | {seconds:.2f} s | {peaks + seconds:.2f} s "
            f"| {rest:.2f} s | {memory_mb:.0f} MB |"
        )


if __name__ == "__main__":
    main()
