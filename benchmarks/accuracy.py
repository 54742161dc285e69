"""Measure servers whose true sustained rate is known, over real sockets.

Prints a table: for each configuration the truth, T*, the interval, its width, the error of its
middle and the load time. T* is the load time that a method needs which only counts misses at the
true rate, for a standard error of 2.5 % (``benchmarks/search.py``). A row takes two minutes;
``--only M/D`` measures the rows whose name contains that.

    python -m benchmarks.accuracy [--only TEXT] [--seed 1] [--time-budget 120]
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from benchmarks.search import informative_time_s
from benchmarks.servers import Answers, Server
from capplan.loadtest.measure import Job, Measurement, measure
from capplan.model.service_time import ServiceTime
from capplan.plan.sla import Sla, parse_sla
from capplan.refserver import RefServer, RefServerConfig, parse_service, theory

ONE_PAGE = """
from locust import HttpUser, task

class Visitor(HttpUser):
    @task
    def page(self):
        self.client.get("/")
"""
BUYERS = """
from locust import HttpUser, task

class Buyer(HttpUser):
    @task(3)
    def look(self):
        self.client.get("/product")

    @task
    def order(self):
        self.client.post("/order", json={})
"""


@dataclass(frozen=True, slots=True)
class Configuration:
    """A server, its users, and the SLA: ``binding`` is the one that decides.

    ``share`` is the part of the requests to which the binding one applies. All requests are alike
    to the server, so those of one endpoint are Poisson and see what all see.
    """

    name: str
    slots: int
    service: ServiceTime
    binding: Sla
    script: str = ONE_PAGE
    mix: Sla | None = None
    endpoints: Mapping[str, Sla] = field(default_factory=dict)
    share: float = 1.0


@dataclass(frozen=True, slots=True)
class _Part(Server):
    """A simulated server, of whose requests only a share is judged."""

    share: float = 1.0

    def missed(self, answers: Answers, start: int = 0) -> float:
        judged = np.random.default_rng(0).random(len(answers.sojourn_s)) < self.share
        judged[:start] = False
        return Server.missed(self, Answers(answers.sojourn_s[judged], answers.refused[judged]))


def _configuration(
    name: str, slots: int, kind: str, mean_s: float, sla: str, cv: float | None = None
) -> Configuration:
    return Configuration(name, slots, parse_service(kind, mean_s, cv), parse_sla(sla))


_ORDERS = parse_sla("p95<100ms")
CONFIGURATIONS = (
    _configuration("M/M/6, S 25 ms", 6, "exponential", 0.025, "p95<150ms"),
    _configuration("the same, another percentile", 6, "exponential", 0.025, "p90<100ms"),
    _configuration("M/D/4, S 20 ms", 4, "deterministic", 0.020, "p95<60ms"),
    _configuration("M/G/8, S 20 ms, cv 1", 8, "lognormal", 0.020, "p99<200ms", 1.0),
    _configuration("M/G/10, S 20 ms, cv 2", 10, "lognormal", 0.020, "p95<250ms", 2.0),
    Configuration(
        "M/M/8, S 20 ms, orders are 1 in 4",
        8,
        parse_service("exponential", 0.020, None),
        _ORDERS,
        BUYERS,
        parse_sla("p95<300ms"),
        {"POST /order": _ORDERS},
        0.25,
    ),
)


def star_s(configuration: Configuration) -> float:
    """Return T*, from a simulation."""
    return informative_time_s(
        _Part(
            configuration.name,
            configuration.slots,
            configuration.service,
            configuration.binding,
            share=configuration.share,
        )
    )


def measured(
    configuration: Configuration, config: RefServerConfig, seed: int, budget_s: float
) -> Measurement:
    """Load one reference server and return what was found."""
    with RefServer(config) as server, tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "users.py"
        script.write_text(configuration.script)
        job = Job(
            target=server.url,
            locustfiles=(script,),
            sla=configuration.mix or configuration.binding,
            endpoints=configuration.endpoints,
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
    parser.add_argument("--only", default="")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--time-budget", type=float, default=120.0)
    arguments = parser.parse_args()
    print(
        "| server | SLA | truth | T* | interval | width | middle | contains | trials, invalid "
        "| load time |\n|---|---|---|---|---|---|---|---|---|---|",
        flush=True,
    )
    rows = [c for c in CONFIGURATIONS if arguments.only in c.name]
    widths, errors, times_s, hits = [], [], [], 0
    for row in rows:
        config = RefServerConfig(
            slots=row.slots, service=row.service, seed=arguments.seed, lifetime_s=900.0
        )
        truth = theory(config, row.binding).rate_rps
        found = measured(row, config, arguments.seed, arguments.time_budget)
        limits = [str(row.mix), *(f"{n} {sla}" for n, sla in row.endpoints.items())]
        sla = "; ".join(limits) if row.mix else str(row.binding)
        print(f"| {row.name} | {sla} | {truth:.0f} | {star_s(row):.0f} s |", end="")
        times_s.append(found.load_time_s)
        low, mid, high = found.bounds_rps.low, found.bounds_rps.mid, found.bounds_rps.high
        if low is None or mid is None or high is None:
            print(f" {found.verdict}: {found.reason} |", flush=True)
            continue
        widths.append((high - low) / mid)
        errors.append(abs(mid / truth - 1))
        hits += low <= truth <= high
        invalid = sum(t.outcome == "invalid" for t in found.trials)
        print(
            f" {low:.0f} to {high:.0f} | {widths[-1]:.0%} | {mid / truth - 1:+.1%} "
            f"| {'yes' if low <= truth <= high else 'no'} | {len(found.trials)}, {invalid} "
            f"| {found.load_time_s:.0f} s |",
            flush=True,
        )
    if errors:
        print(
            f"\n{sum(e <= 0.05 for e in errors)} of {len(rows)} middles within 5 % of the truth, "
            f"{sum(e <= 0.08 for e in errors)} within 8 %, the largest error {max(errors):.1%}; "
            f"{hits} intervals contain it; median width {statistics.median(widths):.0%}; load time "
            f"at most {max(times_s):.0f} s"
        )


if __name__ == "__main__":
    main()
