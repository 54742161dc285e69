"""Measure servers whose true sustained rate is known, over real sockets.

Prints a table: for each server and seed the truth, the interval, its width, the error of its middle
and the load time. Takes about two minutes per row; ``--seeds 1`` is quicker.

    python benchmarks/accuracy.py [--seeds 3] [--time-budget 120]
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from pathlib import Path

from capplan.loadtest.measure import Job, Measurement, measure
from capplan.plan.sla import Sla, parse_sla
from capplan.refserver import RefServer, RefServerConfig, parse_service, theory

SCRIPT = Path(__file__).parents[1] / "locustfiles" / "single.py"
SERVERS = {
    "M/M/4, S 20 ms": (4, parse_service("exponential", 0.020, None), "p95<150ms, failures<1%"),
    "M/G/8, S 20 ms, cv 1": (8, parse_service("lognormal", 0.020, 1.0), "p99<200ms, failures<1%"),
}


def measured(config: RefServerConfig, sla: Sla, seed: int, budget_s: float) -> Measurement:
    """Load one reference server and return what was found."""
    with RefServer(config) as server, tempfile.TemporaryDirectory() as folder:
        job = Job(
            target=server.url,
            locustfiles=(SCRIPT,),
            sla=sla,
            endpoints={},
            timeout_s=10.0,
            allowed_hosts=(),
            max_rate_rps=None,
            time_budget_s=budget_s,
            seed=seed,
            log=Path(folder) / "generator.log",
        )
        return measure(job, lambda progress: None, lambda so_far: None)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--time-budget", type=float, default=120.0)
    arguments = parser.parse_args()
    print("| server | seed | truth | interval | width | middle | contains | trials | load time |")
    print("|---|---|---|---|---|---|---|---|---|")
    widths, errors, hits = [], [], 0
    for name, (slots, service, limits) in SERVERS.items():
        sla = parse_sla(limits)
        for seed in range(1, arguments.seeds + 1):
            config = RefServerConfig(slots=slots, service=service, seed=seed, lifetime_s=900.0)
            truth = theory(config, sla).rate_rps
            found = measured(config, sla, seed, arguments.time_budget)
            low, mid, high = found.bounds_rps.low, found.bounds_rps.mid, found.bounds_rps.high
            if low is None or mid is None or high is None:
                print(f"| {name} | {seed} | {truth:.0f} | {found.verdict}: {found.reason} |")
                continue
            widths.append((high - low) / mid)
            errors.append(mid / truth - 1)
            hits += low <= truth <= high
            print(
                f"| {name} | {seed} | {truth:.0f} | {low:.0f} to {high:.0f} | {widths[-1]:.0%} "
                f"| {errors[-1]:+.1%} | {'yes' if low <= truth <= high else 'no'} "
                f"| {len(found.trials)} | {found.load_time_s:.0f} s |",
                flush=True,
            )
    rows = len(SERVERS) * arguments.seeds
    print(
        f"\n{hits} of {rows} intervals contain the truth; median width "
        f"{statistics.median(widths):.0%}; largest error of a middle "
        f"{max(map(abs, errors)):.1%}"
    )


if __name__ == "__main__":
    main()
