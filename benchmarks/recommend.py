"""Time a recommendation and a verdict on a real estimate, and compare the risk with its formula.

Prints a table: the commands as whole processes, with a stored estimate and a measured capacity, and
the calls inside. The first call of a process also pays for loading scipy, so both are shown.

    python benchmarks/recommend.py [--repeat 5]
"""

from __future__ import annotations

import argparse
import math
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from capplan.estimate import estimate
from capplan.gate import judge
from capplan.plan.schema import Plan
from capplan.recommend import recommend
from capplan.results.base import PlanRef, Provenance

PLAN = {
    "sale": {"start": "2026-11-27T12:00:00+01:00", "duration": "2 h"},
    "audience": [
        {"channel": "email", "reach": "400k", "visits": "1% to 3%", "arrive": "within 1 h"},
        {"channel": "social", "reach": "1.2M", "visits": "0.05% to 0.4%", "arrive": "within 6 h"},
        {"channel": "waiting", "reach": "8k to 20k", "visits": "80% to 100%",
         "arrive": "at the start"},
    ],
    "visit": {"requests": "20 to 60", "first_page": "5 to 15"},
    "servers": {"today": "6", "planned": "24", "capacity": "350 to 420 rps", "price": "$0.17/h",
                "zones": "3", "ceilings": [{"name": "database", "rate": "9000 rps"}]},
    "policy": {"value_per_visit": "$0.40"},
}  # fmt: skip


ROOT = Path(__file__).parents[1]
KINDS = """\
  instance: m7i.large
  alternatives:
    - {instance: m7g.large, relative_speed: 1 to 1.2}
    - {instance: m7i.xlarge}
    - {name: big box, price: $0.50/h, relative_speed: 3}
"""


def processes(repeat: int) -> dict[str, list[float]]:
    """Return how long commands take as whole processes, by what they do."""
    with tempfile.TemporaryDirectory() as folder:
        here = Path(folder) / "examples"
        shutil.copytree(ROOT / "examples", here, ignore=shutil.ignore_patterns("shop"))
        shutil.copytree(ROOT / "locustfiles", Path(folder) / "locustfiles")
        text = (here / "sale.yaml").read_text("utf-8")
        (here / "kinds.yaml").write_text(text.replace("  price: $0.17/h\n", KINDS))
        shutil.copytree(here / "sale.capplan", here / "kinds.capplan")

        def run(*arguments: str) -> None:
            command = [sys.executable, "-m", "capplan", *arguments]
            subprocess.run(command, cwd=here, check=True, capture_output=True)

        for plan in ("sale.yaml", "kinds.yaml"):
            run("estimate", plan)
        return {
            "recommend": seconds(lambda: run("recommend", "sale.yaml"), repeat),
            "recommend, four kinds of server": seconds(
                lambda: run("recommend", "kinds.yaml", "--why", "14"), repeat
            ),
            "gate": seconds(lambda: run("gate", "sale.yaml"), repeat),
        }


def seconds(work: Callable[[], object], repeat: int) -> list[float]:
    """Return how long each of ``repeat`` calls took."""
    taken = []
    for _ in range(repeat):
        start = time.perf_counter()
        work()
        taken.append(time.perf_counter() - start)
    return taken


def largest_error() -> float:
    """Return how far P(overload) of two lognormals is from its formula, at most."""
    from scipy.special import ndtr, ndtri

    from capplan.model.overload import FleetModel, ServerRate, overload_probability
    from capplan.units import Range

    reach, nothing = float(ndtri(0.95)), Range(0.0, 0.0)
    u = (np.arange(4000) + 0.5) / 4000
    worst = 0.0
    for peak_sigma in (0.1, 0.4, 0.8):
        peaks = 5000 * np.exp(peak_sigma * ndtri(u))
        for sigma in (0.02, 0.1, 0.3):
            ends = math.exp(reach * sigma)
            server = ServerRate(400 / ends, 400, 400 * ends, 0.9)
            fleet = FleetModel(server, Range(1.0, 1.0), nothing, nothing)
            for servers in range(5, 200, 3):
                z = math.log(5000 / (400 * servers)) / math.hypot(peak_sigma, sigma)
                found = overload_probability(peaks, fleet.rates(servers))
                worst = max(worst, abs(found - float(ndtr(z))))
    return worst


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--repeat", type=int, default=5)
    repeat = parser.parse_args().repeat
    print("| whole process | median | largest |")
    print("|---|---|---|")
    for name, taken in processes(repeat).items():
        print(f"| {name} | {statistics.median(taken):.2f} s | {max(taken):.2f} s |")
    plan = Plan.model_validate(PLAN)
    origin = Provenance(
        plan=PlanRef(name="benchmark", sections={}),
        made_at=datetime(2026, 11, 13, tzinfo=UTC),
        seed=1,
        environment={},
    )
    demand = estimate(plan, origin)
    result = recommend(plan, demand, None, origin)
    print(f"\n{result.servers} servers, {len(result.options)} options, {demand.draws:,} draws\n")
    print("| | first | median |")
    print("|---|---|---|")
    for name, work in (
        ("recommend", lambda: recommend(plan, demand, None, origin, 18)),
        ("gate", lambda: judge(plan, demand, None, origin)),
    ):
        taken = seconds(work, repeat)
        print(f"| {name} | {taken[0]:.3f} s | {statistics.median(taken):.3f} s |")
    print(f"\nP(overload) against its formula: at most {largest_error():.1e} off")


if __name__ == "__main__":
    main()
