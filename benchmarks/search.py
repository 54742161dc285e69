"""Let the search run against simulated queues whose true sustained rate is known.

No socket and no waiting, so many searches show what one cannot: how often the interval contains the
truth, and how far its middle is off. With 5 % noise the server's speed differs from trial to trial,
and the truth is that of its usual speed. ``accuracy.py`` measures real servers.

    python benchmarks/search.py [--seeds 20] [--time-budget 120]
"""

from __future__ import annotations

import argparse
import math
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from capplan.loadtest.evaluate import HOPELESS, evaluate
from capplan.loadtest.measure import FIRST_RATE, observation
from capplan.loadtest.protocol import COLUMNS, SUCCESS, TrialSpec, pack
from capplan.loadtest.recording import Recording
from capplan.loadtest.search import Next, Observation, Settings, Stop, decide
from capplan.loadtest.validity import Usage
from capplan.model.ggc import fifo_sojourns_s, sustained_rate
from capplan.model.service_time import FloatArray, ServiceTime, service_time
from capplan.plan.sla import Sla, parse_sla
from capplan.results.capacity import Trial

BETWEEN_TRIALS_S = 0.4  # to start the schedule, and to send and judge what was recorded


@dataclass(frozen=True, slots=True)
class Queue:
    """A server of ``slots`` equal threads, and the SLA it has to keep."""

    slots: int
    service: ServiceTime
    sla: Sla

    @property
    def truth_rps(self) -> float:
        """The largest arrival rate at which the SLA holds in steady state."""
        limit = self.sla.latency[0]
        return sustained_rate(self.service, self.slots, limit.quantile, limit.limit_s).rate_rps


QUEUES = {
    "M/M/4": Queue(4, service_time("exponential", 0.020), parse_sla("p95<150ms")),
    "M/G/8, cv 1": Queue(8, service_time("lognormal", 0.020, 1.0), parse_sla("p99<200ms")),
    "M/D/3": Queue(3, service_time("deterministic", 0.010), parse_sla("p99<50ms")),
}


@dataclass(frozen=True, slots=True)
class Found:
    """How one search ended."""

    stop: Stop
    trials: int
    spent_s: float


def search(queue: Queue, seed: int, time_budget_s: float = 120.0, noise: float = 0.0) -> Found:
    """Search as a load test does, with simulated trials; the same seed gives the same answer.

    ``noise`` is the standard deviation of the logarithm of the server's speed in a trial.
    """
    rng = np.random.default_rng(seed)
    settings = Settings(time_budget_s, FIRST_RATE)
    seen: list[Observation] = []
    spent_s = 0.0
    while isinstance(step := decide(seen, settings, spent_s), Next):
        speed = math.exp(noise * rng.standard_normal())
        judged, took_s = trial(queue, step, speed, rng)
        seen.append(observation(judged))
        spent_s += took_s + BETWEEN_TRIALS_S
    return Found(step, len(seen), spent_s)


def trial(queue: Queue, step: Next, speed: float, rng: np.random.Generator) -> tuple[Trial, float]:
    """Hold one load; return the judged trial, and the seconds until the last answer."""
    limit = queue.sla.latency[0]
    planned = step.rate * step.duration_s
    gaps_s = rng.exponential(1 / step.rate, int(planned + 10 * math.sqrt(planned) + 10))
    arrivals_s = np.cumsum(gaps_s)
    arrivals_s = arrivals_s[arrivals_s < step.duration_s]
    services_s = queue.service.sample(rng, len(arrivals_s)) / speed
    sojourns_s = fifo_sojourns_s(arrivals_s, services_s, queue.slots)
    # the load test sees a miss as soon as the limit has passed, and ends when there are too many
    seen_s = np.sort((arrivals_s + limit.limit_s)[sojourns_s > limit.limit_s])
    budget = int(HOPELESS * (1 - limit.quantile) * planned)
    held_s = min(step.duration_s, float(seen_s[budget]) if len(seen_s) > budget else math.inf)
    sent = arrivals_s < held_s
    spec = TrialSpec(
        index=0,
        arrivals_per_s=step.rate,
        duration_s=step.duration_s,
        limit_s=limit.limit_s,
        give_up_s=limit.limit_s,
        seed=0,
        users=1,
        max_users=1,
    )
    recording = recorded(spec, arrivals_s[sent], sojourns_s[sent])
    recording.ended_early = held_s < step.duration_s
    recording.progress({"held_s": held_s, "issued": int(sent.sum())})
    recording.tickets_due = int(sent.sum())
    last_s = float((arrivals_s + sojourns_s)[sent].max(initial=held_s))
    return evaluate(recording, step.purpose, step.warmup_s, queue.sla, {}, usage=Usage()), last_s


def recorded(spec: TrialSpec, intended_s: FloatArray, latency_s: FloatArray) -> Recording:
    """Return the recording of successful requests that all started in time."""
    columns: dict[str, array[Any]] = {
        "intended_s": array("d", intended_s),
        "latency_s": array("f", latency_s),
        "lateness_s": array("f", np.zeros_like(latency_s)),
        "endpoint": array("H", [0] * len(latency_s)),
        "ending": array("B", [SUCCESS] * len(latency_s)),
    }
    assert columns.keys() == COLUMNS.keys()
    recording = Recording(spec)
    recording.add(pack(columns), ["GET /"])
    return recording


def row(name: str, queue: Queue, noise: float, founds: Sequence[Found], truth_rps: float) -> str:
    """Return one line of the table."""
    bounds = [found.stop.bounds for found in founds if found.stop.verdict == "measured"]
    known = [(b.low, b.mid, b.high) for b in bounds if b.low and b.mid and b.high]
    low, mid, high = np.array(known).T / truth_rps
    p5, p50, p95 = np.quantile(mid, [0.05, 0.5, 0.95])
    return (
        f"| {name} | {queue.sla} | {noise:.0%} | {truth_rps:.0f} | {len(known)} of {len(founds)} "
        f"| {p5:.3f} / {p50:.3f} / {p95:.3f} | {np.mean((low <= 1) & (high >= 1)):.0%} "
        f"| {np.median(high - low):.0%} | {np.median([f.trials for f in founds]):.0f} "
        f"| {np.median([f.spent_s for f in founds]):.0f} s |"
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--time-budget", type=float, default=120.0)
    arguments = parser.parse_args()
    print(
        "| queue | SLA | noise | truth | measured | middle/truth p5 / p50 / p95 | contains truth "
        "| width | trials | load time |\n|---|---|---|---|---|---|---|---|---|---|"
    )
    for name, queue in QUEUES.items():
        truth_rps = queue.truth_rps
        for noise in (0.0, 0.05):
            seeds = range(1, arguments.seeds + 1)
            founds = [search(queue, seed, arguments.time_budget, noise) for seed in seeds]
            print(row(name, queue, noise, founds, truth_rps), flush=True)


if __name__ == "__main__":
    main()
