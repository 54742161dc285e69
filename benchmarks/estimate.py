"""Time the estimate of a plan with five channels and two estimates, and its memory.

Prints a table: for each number of draws the best time of several, draws per second and the most
memory that the process has held so far (the libraries alone take most of it).

    python benchmarks/estimate.py [--draws 100000] [--repeats 5]
"""

from __future__ import annotations

import argparse
import resource
import time
from datetime import UTC, datetime

from capplan.estimate import estimate
from capplan.plan.schema import Plan
from capplan.results.base import PlanRef, Provenance

PLAN = {
    "sale": {"start": "2026-11-27T12:00:00+01:00", "duration": "2 h"},
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


def best_of(repeats: int, draws: int) -> float:
    """Return the shortest of several times in seconds: what the machine can do undisturbed."""
    plan = Plan.model_validate(PLAN)
    provenance = Provenance(
        plan=PlanRef(name="benchmark", sections={}),
        made_at=datetime(2026, 11, 1, tzinfo=UTC),
        seed=1,
        environment={},
    )
    times_s = []
    for _ in range(repeats):
        began_s = time.perf_counter()
        estimate(plan, provenance, draws)
        times_s.append(time.perf_counter() - began_s)
    return min(times_s)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--draws", type=int, default=100_000)
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    print("| draws | time | draws/s | memory |")
    print("|---|---|---|---|")
    for draws in (arguments.draws // 10, arguments.draws):
        seconds = best_of(arguments.repeats, draws)
        memory_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(f"| {draws:,} | {seconds:.2f} s | {draws / seconds:,.0f} | {memory_mb:.0f} MB |")


if __name__ == "__main__":
    main()
