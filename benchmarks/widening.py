"""Widen every input of the example plans, one at a time, and see what that does to the range.

Each range that touches neither 0 % nor 100 % is made 1.5, 2 and 4 times as wide about its median,
on the scale on which it is even, with the same draws and without earlier sales, which bring a range
of their own. Prints for each plan how many times as wide the 90 % range of the peak then is in the
worst case (the ratio of the logarithms of p95/p5), with which input, and the most of the peaks of
before that lie below the new p5 and above the new p95.

    python benchmarks/widening.py [--draws 100000]
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

from capplan.estimate import forecast
from capplan.plan.load import load_plan
from capplan.plan.schema import Plan
from capplan.units import Range

EXAMPLES = Path(__file__).parents[1] / "examples"
FACTORS = (1.5, 2.0, 4.0)
SHARES = {"visits", "early", "conversion", "overlap"}
INPUTS = {
    "audience": ("reach", "visits", "early"),
    "usual": ("orders_per_day", "multiple", "conversion"),
    "visit": ("requests", "first_page", "duration"),
}


def widened(plan: Plan, factor: float) -> Iterator[tuple[str, Plan]]:
    """Yield the plan with each of its inputs so many times as wide, by the input's name."""
    for index, channel in enumerate(plan.audience):
        for name, wider in _wider(channel, INPUTS["audience"], factor):
            channels = (*plan.audience[:index], wider, *plan.audience[index + 1 :])
            yield f"{channel.channel}: {name}", plan.model_copy(update={"audience": channels})
    for section in ("usual", "visit"):
        for name, wider in _wider(getattr(plan, section), INPUTS[section], factor):
            yield f"{section}.{name}", plan.model_copy(update={section: wider})
    yield from _wider(plan, ("overlap",), factor)


def _wider(part: Any, names: tuple[str, ...], factor: float) -> Iterator[tuple[str, Any]]:
    for name in names:
        found = getattr(part, name, None)
        share = name in SHARES
        if found is None or found.certain or found.low <= 0 or (share and found.high >= 1):
            continue
        scale, back = (logit, expit) if share else (np.log, np.exp)
        middle = (scale(found.low) + scale(found.high)) / 2
        half = factor * (scale(found.high) - scale(found.low)) / 2
        wider = Range(float(back(middle - half)), float(back(middle + half)))
        yield name, part.model_copy(update={name: wider})


def peaks(plan: Plan, draws: int) -> NDArray[np.float64]:
    """Return the sorted peaks of so many draws."""
    return np.sort(forecast(plan, 1, draws).peak)


def ends(found: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return p5 and p95."""
    return np.quantile(found, [0.05, 0.95])


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--draws", type=int, default=100_000)
    draws = parser.parse_args().draws
    print("| plan | cases | least wide | with | times | below p5 | above p95 |")
    print("|---|---|---|---|---|---|---|")
    for path in sorted([*EXAMPLES.glob("*.yaml"), *EXAMPLES.glob("backtest/*.yaml")]):
        plan = load_plan(path).plan.model_copy(update={"history": ()})
        before = peaks(plan, draws)
        width = float(np.diff(np.log(ends(before)))[0])
        cases = []
        for factor in FACTORS:
            for name, wider in widened(plan, factor):
                low, high = ends(peaks(wider, draws))
                below, upto = np.searchsorted(before, [low, high]) / draws
                cases.append((float(np.log(high / low)) / width, name, factor, below, 1 - upto))
        least, name, factor, *_ = min(cases)
        below, above = (max(case[side] for case in cases) for side in (3, 4))
        print(
            f"| {path.stem} | {len(cases)} | {least:.4f} | {name} | {factor:g} | {below:.1%} "
            f"| {above:.1%} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
