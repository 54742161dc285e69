"""``capplan demo``: the whole way on a server that is started for it, and stopped after it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from capplan.errors import UsageError
from capplan.model.service_time import Exponential
from capplan.plan.load import load_plan
from capplan.refserver import RefServer, RefServerConfig, Theory, theory
from capplan.results.base import Result
from capplan.results.store import write_text
from capplan.workflow.demand import estimate
from capplan.workflow.gate import gate
from capplan.workflow.init import next_friday_noon, starter
from capplan.workflow.measuring import loadtest
from capplan.workflow.preparing import Overrides
from capplan.workflow.recommend import recommend
from capplan.workflow.shelf import shown
from capplan.workflow.watcher import Watcher

_SIGN = "# Written by capplan demo"
_LEAD = timedelta(days=14)
_SERVER = RefServerConfig(slots=4, service=Exponential(0.02), lifetime_s=300.0)
_TIME_BUDGET_S = 60.0


@dataclass(frozen=True, slots=True)
class Step:
    """One command of the demo; ``run`` does what the command line would do."""

    command: str
    run: Callable[[Watcher], Result]


@dataclass(frozen=True, slots=True)
class Demo:
    """What was prepared: the plan, the server and its true sustained rate, the steps to take."""

    plan: Path
    url: str
    truth: Theory
    steps: tuple[Step, ...]


@contextmanager
def demo(folder: Path, seed: int = 1) -> Iterator[Demo]:
    """Write a plan into ``folder``, start the server it names, and stop that in the end.

    Raises ``UsageError`` when the folder holds something else than an earlier demo.
    """
    plan = folder / "sale.yaml"
    _check_free(folder, plan)
    with RefServer(_SERVER) as server:
        _write(folder, plan, server.url)
        name = shown(plan.absolute())
        yield Demo(
            plan=plan,
            url=server.url,
            truth=theory(_SERVER, load_plan(plan).plan.service.sla),
            steps=(
                Step(f"capplan estimate {name}", lambda watcher: estimate(plan, seed=seed)),
                Step(
                    f"capplan loadtest {name} --time-budget {_TIME_BUDGET_S:.0f}s",
                    lambda watcher: loadtest(
                        plan,
                        overrides=Overrides(time_budget_s=_TIME_BUDGET_S),
                        seed=seed,
                        watcher=watcher,
                    ),
                ),
                Step(f"capplan recommend {name}", lambda watcher: recommend(plan, seed=seed)),
                Step(f"capplan gate {name}", lambda watcher: gate(plan, seed=seed)),
            ),
        )


def _check_free(folder: Path, plan: Path) -> None:
    if folder.is_dir() and not any(folder.iterdir()):
        return
    if plan.is_file() and plan.read_bytes().startswith(_SIGN.encode()):
        return
    if folder.exists():
        raise UsageError(
            f"{folder} is not empty and no earlier demo",
            "name another folder: capplan demo DIR",
        )


def _write(folder: Path, plan: Path, url: str) -> None:
    start = next_friday_noon((datetime.now(UTC) + _LEAD).date())
    text = starter("demo.yaml").replace("START_OF_THE_SALE", start.isoformat())
    write_text(plan, text.replace("TARGET", url).replace("PORT", url.rpartition(":")[2]))
    write_text(folder / "locustfile.py", starter("locustfile.py"))
