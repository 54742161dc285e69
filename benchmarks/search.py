"""Let the search run against simulated servers whose true sustained rate is known.

No socket and no waiting, so many searches show what one cannot: how often the interval contains the
truth, how far its middle is off, and how other methods do on the same servers. T* is the load time
that a method needs which only counts misses at the true rate, for a standard error of 2.5 %.
``accuracy.py`` measures real servers.

    pip install --group bench
    python -m benchmarks.search [--runs 100] [--seed 1] [--time-budget 120] [--server NAME]
        [--alone]

The tables in the documentation are those of the seeds from 1 on: try changes on others.
"""

from __future__ import annotations

import argparse
import math
import os
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np

from benchmarks.servers import SERVERS, Answers, Bench, Server
from capplan.loadtest.evaluate import evaluate, hopeless_share
from capplan.loadtest.measure import FIRST_RATE
from capplan.loadtest.observed import observation
from capplan.loadtest.protocol import COLUMNS, FAILURE, SUCCESS, TrialSpec, pack
from capplan.loadtest.recording import Recording
from capplan.loadtest.recovery import after_a_break
from capplan.loadtest.search.observation import Observation
from capplan.loadtest.search.policy import Next, Settings, Stop, decide
from capplan.loadtest.validity import Usage
from capplan.loadtest.warmup import settled_s
from capplan.model.service_time import FloatArray
from capplan.results.capacity import Trial

OURS = "capplan"


@dataclass(frozen=True, slots=True)
class Found:
    """How one search ended."""

    stop: Stop
    trials: int
    spent_s: float


@dataclass(frozen=True, slots=True)
class Run:
    """One search by any method; bounds and middle over the truth.

    A ``ratio`` that is not a number is no answer; the interval may still have one end or both.
    """

    ratio: float
    low: float
    high: float
    spent_s: float
    trials: int = 0


def search(server: Server, seed: int, time_budget_s: float = 120.0) -> Found:
    """Search as a load test does, with simulated trials; the same seed gives the same answer."""
    bench = Bench(server, np.random.default_rng(seed))
    settings = Settings(time_budget_s, FIRST_RATE)
    trials: list[Trial] = []
    seen: list[Observation] = []
    while isinstance(step := decide(seen, settings, bench.spent_s), Next):
        trials.append(trial(bench, step, trials))
        if trials[-1].outcome != "invalid":
            seen.append(observation(trials[-1]))
    return Found(step, len(trials), bench.spent_s)


def trial(bench: Bench, step: Next, before: Sequence[Trial] = ()) -> Trial:
    """Hold one load and judge it; what is hopeless ends early, as in a real load test."""
    server, limit_s = bench.server, bench.server.sla.latency[0].limit_s
    arrivals_s = bench.arrivals(step.rate, step.duration_s)
    answers = bench.answer(arrivals_s)
    planned = step.rate * step.duration_s
    slow = (arrivals_s + limit_s)[(answers.sojourn_s > limit_s) & ~answers.refused]
    allowed = 1 - server.sla.latency[0].quantile
    held_s = min(
        step.duration_s,
        _nth(slow, hopeless_share(allowed, step.purpose) * planned),
        _nth(
            arrivals_s[answers.refused], hopeless_share(server.sla.failures, step.purpose) * planned
        ),
    )
    sent = arrivals_s < held_s
    spec = TrialSpec(
        index=0,
        arrivals_per_s=step.rate,
        duration_s=step.duration_s,
        limit_s=limit_s,
        give_up_s=limit_s,
        seed=0,
        users=1,
        max_users=1,
    )
    kept = Answers(answers.sojourn_s[sent], answers.refused[sent])
    recording = recorded(spec, arrivals_s[sent], kept)
    recording.ended_early = held_s < step.duration_s
    recording.progress({"held_s": held_s, "issued": int(sent.sum())})
    recording.tickets_due = int(sent.sum())
    bench.spend(arrivals_s[sent], kept, held_s)
    warmup_s = settled_s(recording.rows(), spec)
    judged = evaluate(recording, step.purpose, warmup_s, server.sla, {}, usage=Usage())
    return after_a_break(judged, recording.rows(), before)


def _nth(times_s: FloatArray, count: float) -> float:
    index = int(max(count, 10))
    return float(np.sort(times_s)[index]) if len(times_s) > index else math.inf


def recorded(spec: TrialSpec, intended_s: FloatArray, answers: Answers) -> Recording:
    """Return the recording of requests that all started in time."""
    columns: dict[str, array[Any]] = {
        "intended_s": array("d", intended_s),
        "latency_s": array("f", answers.sojourn_s),
        "lateness_s": array("f", np.zeros_like(intended_s)),
        "endpoint": array("H", [0] * len(intended_s)),
        "ending": array("B", [FAILURE if refused else SUCCESS for refused in answers.refused]),
    }
    assert columns.keys() == COLUMNS.keys()
    recording = Recording(spec)
    recording.add(pack(columns), ["GET /"])
    return recording


def ours(server: Server, truth: float, time_budget_s: float, seed: int) -> Run:
    """Run this search once."""
    found = search(server, seed, time_budget_s)
    low, mid, high = found.stop.bounds.low, found.stop.bounds.mid, found.stop.bounds.high
    return Run(
        math.nan if mid is None else mid / truth,
        0.0 if low is None else low / truth,
        math.inf if high is None else high / truth,
        found.spent_s,
        found.trials,
    )


def peer(server: Server, truth: float, method: Callable[[Bench], float], seed: int) -> Run:
    """Run another method once; it gives no interval."""
    bench = Bench(server, np.random.default_rng(seed))
    return Run(method(bench) / truth, math.nan, math.nan, bench.spent_s)


def informative_time_s(server: Server, seed: int = 1) -> float:
    """Return T*: the seconds at the true rate that give a standard error of 2.5 %.

    From the variance of the share of misses in long batches of one run, and its slope against load.
    """
    truth, batch_s, batches = server.truth_rps, 50.0, 120

    def shares(rate: float) -> FloatArray:
        rng = np.random.default_rng(seed)
        gaps = rng.exponential(1.0, int(truth * batch_s * (batches + 1)))
        arrivals_s = np.cumsum(gaps) / rate
        answers = server.answer(arrivals_s, 1e6, 1.0, rng)
        edges = np.searchsorted(arrivals_s, batch_s * truth / rate * np.arange(1, batches + 2))
        parts = [slice(a, b) for a, b in pairwise(edges)]
        return np.array(
            [server.missed(Answers(answers.sojourn_s[p], answers.refused[p])) for p in parts]
        )

    below, at, above = (shares(truth * x) for x in (0.98, 1.0, 1.02))
    slope = (above.mean() - below.mean()) / 0.04
    return float(batch_s * at.var(ddof=1) / (slope * 0.025) ** 2)


def row(name: str, method: str, runs: Iterable[Run]) -> str:
    """Return one line of the table."""
    everything = list(runs)
    known = [run for run in everything if math.isfinite(run.ratio)]
    ratio = np.array([run.ratio for run in known]) if known else np.array([math.nan])
    p5, p50, p95 = np.quantile(ratio, [0.05, 0.5, 0.95])
    within, above = np.mean(np.abs(ratio - 1) <= 0.05), np.mean(ratio > 1.05)
    contains = width = "–"
    if not math.isnan(everything[0].low):
        low, high = (np.array([getattr(run, end) for run in everything]) for end in ("low", "high"))
        contains = f"{np.mean((low <= 1) & (high >= 1)):.0%}"
        width = f"{np.median(high - low):.1%}"
    return (
        f"| {name} | {method} | {len(known)}/{len(everything)} | {p5:.3f} / {p50:.3f} / {p95:.3f} "
        f"| {within:.0%} | {above:.0%} | {contains} | {width} "
        f"| {np.median([run.spent_s for run in everything]):.0f} s |"
    )


def table(
    servers: Iterable[Server], seeds: Sequence[int], budget_s: float, alone: bool
) -> Iterator[str]:
    """Yield the table line by line, one search for each seed; they run on all cores."""
    yield (
        "| server | method | answers | estimate/truth p5 / p50 / p95 | within 5 % "
        "| > 5 % too high | contains | width | load time |\n|---|---|---|---|---|---|---|---|---|"
    )
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        for server in servers:
            truth, star_s = server.truth_rps, informative_time_s(server)
            name = f"{server.name}, {server.sla}, truth {truth:.0f}, T* {star_s:.0f} s"
            methods: dict[str, Callable[[int], Run]] = {
                OURS: partial(ours, server, truth, budget_s)
            }
            if not alone:
                from benchmarks.peers import PEERS

                methods |= {who: partial(peer, server, truth, how) for who, how in PEERS.items()}
            for method, once in methods.items():
                yield row(name, method, pool.map(once, seeds, chunksize=5))
                name = ""


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1, help="of the first run")
    parser.add_argument("--time-budget", type=float, default=120.0)
    parser.add_argument("--server", help="only servers whose name contains this")
    parser.add_argument("--alone", action="store_true", help="without the other methods")
    arguments = parser.parse_args()
    servers = [s for s in SERVERS if (arguments.server or "") in s.name]
    seeds = range(arguments.seed, arguments.seed + arguments.runs)
    for line in table(servers, seeds, arguments.time_budget, arguments.alone):
        print(line, flush=True)


if __name__ == "__main__":
    main()
