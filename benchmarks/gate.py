"""How often chance alone fails the gate, and how often a real loss does.

Whole measurements on simulated servers, judged as ``capplan gate`` judges them with an accepted
loss of 10 %. *In pairs* is ``loadtest --paired`` on a machine whose speed drifts; *baseline* are
two whole load tests, an earlier one and today's, on a machine that stays as it is.

    python -m benchmarks.gate [--runs 100] [--load-tests 20] [--time-budget 240]
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterator

from benchmarks.paired import BASE, HEADS, compare_in_pairs, search_alone
from capplan.gate.drop import Change, drop_check
from capplan.loadtest.pairing import CONFIDENCE
from capplan.model.ratio import Ratio, independent
from capplan.results.paired import RatioRange

ACCEPTED = 0.1
OUTCOMES: tuple[str, ...] = ("pass", "fail", "inconclusive")


def judged(ratio: Ratio, *, paired: bool) -> str:
    """Return what the gate makes of a ratio head/base."""
    seen = RatioRange(low=ratio.low, mid=ratio.mid, high=ratio.high, confidence=CONFIDENCE)
    return drop_check(Change(seen, "paired" if paired else "baseline"), ACCEPTED).outcome


def in_pairs(head: str, noise: float, runs: int, budget_s: float) -> Iterator[str]:
    """Give the outcome of each paired run; one whose pairs disagree too much is inconclusive."""
    for seed in range(1, runs + 1):
        found = compare_in_pairs(HEADS[head], noise, seed, budget_s)
        yield judged(found.paired, paired=True) if found and found.narrow else "inconclusive"


def by_baseline(head: str, runs: int, budget_s: float) -> Iterator[str]:
    """Give the outcome of each load test against an earlier one of the base."""
    for seed in range(1, runs + 1):
        earlier = search_alone(BASE, 2 * seed, budget_s)
        today = search_alone(HEADS[head], 2 * seed + 1, budget_s)
        yield judged(independent(earlier, today), paired=False)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=100, help="in pairs")
    parser.add_argument("--load-tests", type=int, default=20, help="against a baseline")
    parser.add_argument("--time-budget", type=float, default=240.0)
    arguments = parser.parse_args()
    runs, budget_s = arguments.runs, arguments.time_budget
    print(f"| how | head | drift | runs | {' | '.join(OUTCOMES)} |\n|---|---|---|---|---|---|---|")

    def row(how: str, head: str, drift: str, found: Iterator[str]) -> None:
        counted = Counter(found)
        shares = " | ".join(f"{counted[one] / counted.total():.0%}" for one in OUTCOMES)
        print(f"| {how} | {head} | {drift} | {counted.total()} | {shares} |", flush=True)

    heads = ("the same", "15 % slower")
    for noise in (0.0, 0.05, 0.10):
        for head in heads:
            row("in pairs", head, f"{noise:.0%}", in_pairs(head, noise, runs, budget_s))
    for head in heads:
        row("baseline", head, "0%", by_baseline(head, arguments.load_tests, budget_s))


if __name__ == "__main__":
    main()
