"""Compare two simulated servers on a machine whose speed drifts, in pairs and one after the other.

No socket and no waiting, so many runs show what one cannot: how often the interval of head/base
contains the truth, and how much of its width the pairs take away. The machine's speed is common to
both servers: an Ornstein–Uhlenbeck process in its logarithm with the given standard deviation,
which forgets in a minute.

    python benchmarks/paired.py [--seeds 12] [--time-budget 240]
"""

from __future__ import annotations

import argparse
import math
from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from capplan.loadtest.evaluate import HOPELESS, evaluate
from capplan.loadtest.measure import FIRST_RATE
from capplan.loadtest.observed import observation
from capplan.loadtest.pairing import (
    BETWEEN_TRIALS_S,
    Estimate,
    PairedTrial,
    bracketed,
    estimate,
    next_rates,
    trial_s,
)
from capplan.loadtest.protocol import COLUMNS, SUCCESS, TrialSpec, pack
from capplan.loadtest.recording import Recording
from capplan.loadtest.search.policy import Bounds, Next, Settings, decide, known_bounds
from capplan.loadtest.validity import Usage
from capplan.model.ggc import fifo_sojourns_s, sustained_rate
from capplan.model.ratio import Ratio, independent
from capplan.model.service_time import FloatArray, ServiceTime, service_time
from capplan.plan.sla import Sla, parse_sla
from capplan.results.capacity import Trial

FORGETS_S = 60.0
_STEP_S = 0.5


@dataclass(frozen=True, slots=True)
class Server:
    """A queue with ``slots`` equal threads, and the SLA it has to keep."""

    slots: int
    service: ServiceTime
    sla: Sla

    @property
    def truth_rps(self) -> float:
        """The largest arrival rate at which the SLA holds in steady state."""
        limit = self.sla.latency[0]
        return sustained_rate(self.service, self.slots, limit.quantile, limit.limit_s).rate_rps


SLA = parse_sla("p95<150ms")
BASE = Server(4, service_time("exponential", 0.020), SLA)
HEADS = {
    "the same": BASE,
    "15 % slower": Server(4, service_time("exponential", 0.020 / 0.85), SLA),
    "30 % slower": Server(4, service_time("exponential", 0.020 / 0.70), SLA),
    "one slot less": Server(3, service_time("exponential", 0.020), SLA),
}


@dataclass
class Machine:
    """A clock, and the speed of the machine at each moment, the same for whatever runs on it."""

    noise: float
    rng: np.random.Generator
    now_s: float = 0.0
    _log_speeds: list[float] = field(default_factory=list)

    def speed(self, at_s: FloatArray) -> FloatArray:
        """Return the speeds at these seconds, around 1."""
        keep = math.exp(-_STEP_S / FORGETS_S)
        if not self._log_speeds:
            self._log_speeds.append(self.noise * self.rng.standard_normal())
        while len(self._log_speeds) <= at_s.max(initial=0.0) / _STEP_S + 1:
            fresh = self.noise * math.sqrt(1 - keep**2) * self.rng.standard_normal()
            self._log_speeds.append(keep * self._log_speeds[-1] + fresh)
        known = np.arange(len(self._log_speeds)) * _STEP_S
        return np.exp(np.interp(at_s, known, self._log_speeds))


@dataclass
class Bench:
    """One server on a machine, and the trials that it was given."""

    server: Server
    machine: Machine
    rng: np.random.Generator
    trials: list[Trial] = field(default_factory=list)
    spent_s: float = 0.0

    def run(self, step: Next, draw: int, *, to_the_end: bool = False) -> Trial:
        """Hold one load, with the arrivals of this ``draw``."""
        started_s = self.machine.now_s
        trial, took_s = simulated(
            self.server, step, self.machine, self.rng, draw, to_the_end=to_the_end
        )
        self.machine.now_s = started_s + took_s + BETWEEN_TRIALS_S
        self.spent_s += took_s + BETWEEN_TRIALS_S
        self.trials.append(trial)
        return trial

    def next_step(self, budget_s: float) -> tuple[bool, Next | None, Bounds]:
        """Ask the search; return whether pairs may begin, its next trial if any, what is known."""
        seen = [observation(trial) for trial in self.trials]
        step = decide(seen, Settings(budget_s, FIRST_RATE), self.spent_s)
        known = known_bounds(seen) if seen else Bounds()
        return bracketed(step, known), step if isinstance(step, Next) else None, known


def simulated(
    server: Server,
    step: Next,
    machine: Machine,
    rng: np.random.Generator,
    draw: int,
    *,
    to_the_end: bool = False,
) -> tuple[Trial, float]:
    """Hold one load; return the judged trial, and the seconds until the last answer."""
    limit, planned = server.sla.latency[0], step.rate * step.duration_s
    arrivals = np.random.default_rng(draw)
    gaps_s = arrivals.exponential(1 / step.rate, int(planned + 10 * math.sqrt(planned) + 10))
    arrivals_s = np.cumsum(gaps_s)
    arrivals_s = arrivals_s[arrivals_s < step.duration_s]
    speed = machine.speed(machine.now_s + arrivals_s)
    services_s = server.service.sample(rng, len(arrivals_s)) / speed
    sojourns_s = fifo_sojourns_s(arrivals_s, services_s, server.slots)
    # the load test sees a miss as soon as the limit has passed, and ends when there are too many
    missed_s = np.sort((arrivals_s + limit.limit_s)[sojourns_s > limit.limit_s])
    budget = int(HOPELESS * (1 - limit.quantile) * planned)
    hopeless = len(missed_s) > budget and not to_the_end
    held_s = min(step.duration_s, float(missed_s[budget]) if hopeless else math.inf)
    sent = arrivals_s < held_s
    recording = recorded(step, limit.limit_s, arrivals_s[sent], sojourns_s[sent])
    recording.ended_early = held_s < step.duration_s
    recording.progress({"held_s": held_s, "issued": int(sent.sum())})
    recording.tickets_due = int(sent.sum())
    last_s = float((arrivals_s + sojourns_s)[sent].max(initial=held_s))
    return evaluate(recording, step.purpose, step.warmup_s, server.sla, {}, usage=Usage()), last_s


def recorded(
    step: Next, limit_s: float, intended_s: FloatArray, latency_s: FloatArray
) -> Recording:
    """Return the recording of successful requests that all started in time."""
    columns: dict[str, array[Any]] = {
        "intended_s": array("d", intended_s),
        "latency_s": array("f", latency_s),
        "lateness_s": array("f", np.zeros_like(latency_s)),
        "endpoint": array("H", [0] * len(latency_s)),
        "ending": array("B", [SUCCESS] * len(latency_s)),
    }
    assert columns.keys() == COLUMNS.keys()
    recording = Recording(
        TrialSpec(
            index=0,
            arrivals_per_s=step.rate,
            duration_s=step.duration_s,
            limit_s=limit_s,
            give_up_s=limit_s,
            seed=0,
            users=1,
            max_users=1,
        )
    )
    recording.add(pack(columns), ["GET /"])
    return recording


def on_one_machine(head: Server, noise: float, seed: int) -> tuple[Bench, Bench]:
    """Put base and head on one machine; the seed decides on its speed and on all services."""
    machine = Machine(noise, np.random.default_rng([seed, 0]))
    return (
        Bench(BASE, machine, np.random.default_rng([seed, 1])),
        Bench(head, machine, np.random.default_rng([seed, 2])),
    )


def compare_in_pairs(head: Server, noise: float, seed: int, budget_s: float) -> Estimate | None:
    """Compare as ``loadtest --paired`` does, with simulated trials."""
    benches = on_one_machine(head, noise, seed)
    mids: list[float] = []
    while len(mids) < 2:
        mids = []
        for bench in benches:
            ready, step, known = bench.next_step(budget_s / 2)
            if ready and known.mid:
                mids.append(known.mid)
            elif step is None:
                return None
            else:
                bench.run(step, seed * 1000 + len(bench.trials))
    return hold_pairs(benches, (mids[0], mids[1]), seed, budget_s)


def hold_pairs(
    benches: Sequence[Bench], mids: tuple[float, float], seed: int, until_s: float
) -> Estimate | None:
    """Hold pairs until the machine's clock says so, from what a search said of both."""
    machine = benches[0].machine
    held_s = trial_s(until_s - machine.now_s, math.sqrt(mids[0] * mids[1]), SLA)
    pairs: list[PairedTrial] = []
    while machine.now_s + 2 * (held_s + BETWEEN_TRIALS_S) <= until_s:
        rates = next_rates(pairs, *mids)
        order = (0, 1) if len(pairs) % 2 == 0 else (1, 0)
        held: dict[int, Trial] = {}
        for side in order:
            step = Next(rates[side], held_s, "refine")
            draw = seed * 1000 + 500 + len(pairs)
            held[side] = benches[side].run(step, draw, to_the_end=True)
        pairs.append(PairedTrial(held[0], held[1]))
    return estimate(pairs)


def compare_one_by_one(head: Server, noise: float, seed: int, budget_s: float) -> Ratio:
    """Search for both, one after the other on the same machine, each in half of the time."""
    machine = Machine(noise, np.random.default_rng([seed, 0]))
    found = []
    for side, server in enumerate((BASE, head)):
        bench = Bench(server, machine, np.random.default_rng([seed, 1 + side]))
        while (step := bench.next_step(budget_s / 2)[1]) is not None:
            bench.run(step, seed * 1000 + len(bench.trials))
        known = bench.next_step(budget_s / 2)[2]
        found.append(Ratio(known.low, known.mid, known.high))
    return independent(found[0], found[1])


def search_alone(server: Server, seed: int, budget_s: float) -> Ratio:
    """Search for what one server sustains on a machine that stays as it is, as a load test does."""
    bench = Bench(server, Machine(0.0, np.random.default_rng(0)), np.random.default_rng(seed))
    while (step := bench.next_step(budget_s)[1]) is not None:
        bench.run(step, seed * 1000 + len(bench.trials))
    known = bench.next_step(budget_s)[2]
    return Ratio(known.low, known.mid, known.high)


def row(name: str, noise: float, found: Sequence[Ratio], how: str, truth: float) -> str:
    """Return one line of the table."""
    known = [(f.low, f.mid, f.high) for f in found if f.low and f.mid and f.high]
    low, mid, high = np.array(known).T / truth
    p5, p50, p95 = np.quantile(mid, [0.05, 0.5, 0.95])
    return (
        f"| {name} | {noise:.0%} | {how} | {len(known)} | {p5:.3f} / {p50:.3f} / {p95:.3f} "
        f"| {np.mean((low <= 1) & (high >= 1)):.0%} | {np.median(high - low):.0%} |"
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=12)
    parser.add_argument("--time-budget", type=float, default=240.0)
    arguments = parser.parse_args()
    print(
        "| head | noise | how | runs | middle/truth p5 / p50 / p95 | contains truth | width |\n"
        "|---|---|---|---|---|---|---|"
    )
    for name, head in HEADS.items():
        truth = head.truth_rps / BASE.truth_rps
        for noise in (0.0, 0.05, 0.10):
            seeds = range(1, arguments.seeds + 1)
            budget_s = arguments.time_budget
            pairs = [compare_in_pairs(head, noise, seed, budget_s) for seed in seeds]
            known = [found for found in pairs if found]
            apart = [compare_one_by_one(head, noise, seed, budget_s) for seed in seeds]
            print(row(name, noise, [f.paired for f in known], "in pairs", truth))
            print(row(name, noise, [f.unpaired for f in known], "same trials, unpaired", truth))
            print(row(name, noise, apart, "one after the other", truth), flush=True)


if __name__ == "__main__":
    main()
