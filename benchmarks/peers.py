"""Other ways to find the sustained rate, for comparison on the same simulated servers.

MLRsearch is its own library (IETF draft "Multiple Loss Ratio Search"); the ramp and the bisection
do what the k6 and Nighthawk documentation describe. Each returns the rate it would report.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from MLRsearch import (
    AbstractMeasurer,
    Config,
    MeasurementResult,
    MultipleLossRatioSearch,
    SearchGoal,
)

from benchmarks.servers import Answers, Bench


def ramp(bench: Bench) -> float:
    """Raise the rate evenly for ten minutes until the SLA is missed by all requests so far."""
    server, length_s = bench.server, 600.0
    top = 1.5 * server.nominal_rps
    count = int(top * length_s / 2)
    arrivals_s = length_s * np.sqrt(np.sort(bench.rng.random(bench.rng.poisson(count))))
    answers = bench.answer(arrivals_s)
    # a threshold is looked at every few seconds, and not before there is something to look at
    for end_s in np.arange(20.0, length_s, 2.0):
        seen = arrivals_s + answers.sojourn_s < end_s
        if server.missed(Answers(answers.sojourn_s[seen], answers.refused[seen])) > 1:
            bench.spent_s += float(end_s)
            return float(top * end_s / length_s)
    bench.spent_s += length_s
    return top


def bisection(bench: Bench) -> float:
    """Double the rate until a level of ten seconds fails, then halve the bracket to 5 %."""
    good, bad = 0.0, bench.server.nominal_rps / 10
    while bench.missed(bad, 10.0) <= 1:
        good, bad = bad, 2 * bad
    while bad / max(good, bad / 10) > 1.05:
        rate = (good + bad) / 2
        if bench.missed(rate, 10.0) <= 1:
            good = rate
        else:
            bad = rate
    return good


@dataclass
class _Measurer(AbstractMeasurer):  # type: ignore[misc]
    bench: Bench
    loss: float = field(default=0.0)

    def measure(self, intended_duration: float, intended_load: float) -> MeasurementResult:
        """Hold one load; misses count as losses, so that the allowed share is the goal."""
        before_s = self.bench.spent_s
        share = min(self.bench.missed(intended_load, intended_duration) * self.loss, 1.0)
        count = round(intended_load * intended_duration)
        return MeasurementResult(
            intended_duration=intended_duration,
            intended_load=intended_load,
            offered_count=count,
            # a share that just misses must not be rounded to one that holds
            loss_count=math.ceil(share * count) if share > self.loss else int(share * count),
            duration_with_overheads=self.bench.spent_s - before_s,
        )


def mlrsearch(bench: Bench) -> float:
    """Search with trials of 10 s, 60 s at each bound, exceed ratio 0.2 and a width of 3 %."""
    server = bench.server
    limits = server.sla.latency
    loss = 1 - limits[0].quantile if limits else server.sla.failures
    config = Config()
    config.min_load = server.nominal_rps / 20
    config.max_load = 2 * server.nominal_rps
    config.search_duration_max = 3600.0
    config.warmup_duration = 0.0
    goal = SearchGoal(
        loss_ratio=loss,
        exceed_ratio=0.2,
        relative_width=0.03,
        initial_trial_duration=1.0,
        final_trial_duration=10.0,
        duration_sum=60.0,
    )
    config.goals = (goal,)
    results = MultipleLossRatioSearch(config).search(_Measurer(bench, loss), debug=_silent)
    return float(results[goal].conditional_throughput)


def _silent(text: str) -> None:
    """Take the library's running commentary."""


PEERS: dict[str, Callable[[Bench], float]] = {
    "MLRsearch": mlrsearch,
    "ramp, 10 min": ramp,
    "bisection, 10 s": bisection,
}
