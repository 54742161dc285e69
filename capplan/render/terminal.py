"""Each result as an answer for the terminal: a pure function from a result to a renderable.

The first line is the answer in words and can be read alone. ``plan`` is the plan as the user named
it, for the command that comes next.
"""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import RenderableType

from capplan.render.breaking import breaking_points, sweep, sweep_csv
from capplan.render.capacity import capacity, run_of
from capplan.render.comparison import comparison
from capplan.render.demand import demand
from capplan.render.outcome import outcome
from capplan.render.paired import paired
from capplan.render.parts import answer, bullets, next_step
from capplan.render.recommendation import recommendation
from capplan.render.simulation import simulation
from capplan.render.verdict import verdict
from capplan.results.base import Result
from capplan.results.breaking import BreakingPoints
from capplan.results.capacity import Capacity
from capplan.results.comparison import Comparison
from capplan.results.demand import Demand
from capplan.results.outcome import Outcome
from capplan.results.paired import Paired
from capplan.results.recommendation import Recommendation
from capplan.results.simulation import Simulation
from capplan.results.sweep import Sweep
from capplan.results.verdict import Verdict

__all__ = [
    "breaking_points",
    "capacity",
    "comparison",
    "demand",
    "outcome",
    "paired",
    "recommendation",
    "run_of",
    "show",
    "simulation",
    "sweep",
    "sweep_csv",
    "verdict",
    "written",
]


def show(result: Result, plan: str) -> RenderableType:
    """Show a result of any kind."""
    if isinstance(result, Demand):
        return demand(result, plan)
    if isinstance(result, BreakingPoints):
        return breaking_points(result, plan)
    if isinstance(result, Capacity):
        return capacity(result, plan)
    if isinstance(result, Comparison):
        return comparison(result)
    if isinstance(result, Outcome):
        return outcome(result, plan)
    if isinstance(result, Paired):
        return paired(result, plan)
    if isinstance(result, Recommendation):
        return recommendation(result, plan)
    if isinstance(result, Simulation):
        return simulation(result, plan)
    if isinstance(result, Sweep):
        return sweep(result, plan)
    if isinstance(result, Verdict):
        return verdict(result, plan)
    raise TypeError(f"no rendering of {type(result).__name__}")


def written(paths: Sequence[str], plan: str) -> RenderableType:
    """Show which files a project begins with."""
    return answer(
        f"Wrote {paths[0]}: put your own numbers into it.",
        bullets(paths),
        next_step("capplan estimate", plan),
    )
