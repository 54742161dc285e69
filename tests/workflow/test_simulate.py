import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from threading import Barrier, Event

import pytest

from capplan.errors import UsageError
from capplan.results.breaking import BreakingPoints
from capplan.results.simulation import Act, Simulation
from capplan.results.store import read_result
from capplan.results.sweep import Sweep
from capplan.simulate.progress import Progress
from capplan.workflow import estimate, find_breaking_point, report, simulate, sweep
from capplan.workflow.threads import all_cores, side_by_side

PLAN = """
sale: {start: 2026-11-27T12:00:00+01:00, duration: 5 min}
audience: [{channel: push, reach: 10k, visits: 2% to 5%, arrive: within 2 min}]
visit: {requests: 8, duration: 40 s}
servers: {planned: 2, capacity: 50 rps, price: $0.17/h}
saleday: {attempts: 3, timeout: 2 s, surprise: 5x}
"""


pytestmark = pytest.mark.usefixtures("compiled")


def written_plan(folder: Path, text: str = PLAN) -> Path:
    plan = folder / "sale.yaml"
    plan.write_text(text)
    estimate(plan, draws=1000)
    return plan


def test_a_simulation_is_kept_beside_the_plan(tmp_path: Path) -> None:
    result = simulate(written_plan(tmp_path))
    assert read_result(tmp_path / "sale.capplan" / "simulation.json", Simulation) == result
    assert [act.name for act in result.acts][-1] == "the second sale"
    assert {"saleday", "servers", "audience"} <= set(result.plan.sections)


def test_the_second_sale_has_the_fleet_that_is_recommended_for_the_surprise(tmp_path: Path) -> None:
    result = simulate(written_plan(tmp_path), ranking=False)
    first, second = result.acts[0], result.acts[-1]
    assert second.servers > first.servers
    assert second.abandoned < 0.03 * second.visits
    # so few want to pay that their number says little, which is noted
    assert "few_pay" in [note.code for note in result.notes]


def test_protections_can_be_added_left_out_and_chosen(tmp_path: Path) -> None:
    plan = written_plan(tmp_path)
    assert (
        "token-bucket" in simulate(plan, with_=["token-bucket"], ranking=False).acts[-1].protections
    )
    assert "waf" not in simulate(plan, without=["waf"], ranking=False).acts[-1].protections
    only = simulate(plan, only=["queue-bound", "waf"], ranking=False)
    assert only.acts[-1].protections == ("waf", "queue-bound")  # as a request meets them


def test_without_any_protection_there_is_nothing_to_compare(tmp_path: Path) -> None:
    result = simulate(written_plan(tmp_path), only=[], ranking=False)
    assert [act.name for act in result.acts] == [
        "as planned", "surprise", "surprise + bots", "the second sale",
    ]  # fmt: skip
    assert result.settings == ()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"with_": ["moat"]}, "--with: 'moat' is not a protection"),
        ({"without": ["moat"]}, "--without: 'moat'"),
        ({"only": ["waf"], "with_": ["waf"]}, "exclude each other"),
    ],
)
def test_a_wrong_choice_is_named(
    tmp_path: Path, options: dict[str, list[str]], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        simulate(written_plan(tmp_path), **options)  # type: ignore[arg-type]


def test_an_interrupt_keeps_the_acts_that_are_over(tmp_path: Path) -> None:
    over: list[Act] = []

    def impatient(progress: Progress) -> None:
        if len(over) >= 2:
            raise KeyboardInterrupt

    result = simulate(written_plan(tmp_path), show=impatient, act_done=over.append)
    assert result.interrupted
    assert list(result.acts) == over
    assert len(over) >= 2  # and those beside which were over when it came
    kept = read_result(tmp_path / "sale.capplan" / "simulation.json", Simulation)
    assert kept.interrupted


def test_an_interrupt_before_the_first_act_is_over_leaves_nothing(tmp_path: Path) -> None:
    def impatient(progress: Progress) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        simulate(written_plan(tmp_path), show=impatient)
    assert not (tmp_path / "sale.capplan" / "simulation.json").exists()


def after(count: int) -> Callable[[Progress], None]:
    """Press Ctrl-C once so much is over."""
    shown: list[Progress] = []

    def show(progress: Progress) -> None:
        shown.append(progress)
        if len(shown) == count:
            raise KeyboardInterrupt

    return show


def test_an_interrupted_search_keeps_the_most_telling_points(tmp_path: Path) -> None:
    plan = written_plan(tmp_path)
    found = find_breaking_point(plan, only=["waf", "queue-bound"], show=after(3))
    assert found.interrupted
    assert [(one.attacked, one.protections) for one in found.points] == [
        (False, ()), (False, ("waf", "queue-bound")), (True, ()),
    ]  # fmt: skip
    assert read_result(tmp_path / "sale.capplan" / "breakingpoints.json", BreakingPoints) == found
    page = report(plan)
    assert "Up to which surprise it holds" in page
    assert "what is not in the table was not found out" in page


def test_an_interrupted_sweep_keeps_the_values_that_are_over(tmp_path: Path) -> None:
    plan = written_plan(tmp_path)
    found = sweep(plan, "saleday.attempts=1..3", steps=3, only=[], show=after(4))
    assert found.interrupted
    assert [point.text for point in found.points] == ["1"]
    assert read_result(tmp_path / "sale.capplan" / "sweep.json", Sweep) == found
    assert "What saleday.attempts changes" in report(plan)
    plan.write_text(PLAN.replace("attempts: 3", "attempts: 2"))
    assert "a key of the plan, varied, as saleday changed since" in report(plan)


def test_an_interrupt_halts_what_is_under_way() -> None:
    begun, halted = Barrier(2), []

    def work(job: int, halt: Callable[[], bool]) -> int:
        if job:
            begun.wait(30)
            while not halt():
                pass
            halted.append(job)
        return job

    results = side_by_side(work, [0, 1])
    assert next(results) == 0
    begun.wait(30)
    results.close()  # type: ignore[attr-defined]
    assert halted == [1]


def test_more_work_begins_before_the_results_of_the_first_are_asked_for() -> None:
    begun = Event()

    def last(job: int, halt: Callable[[], bool]) -> int:
        begun.set()
        return 10 * job

    with all_cores() as begin:
        first, second = begin(lambda job, halt: job, [1, 2]), begin(last, [1])
        assert begun.wait(30)
        assert (list(first), list(second)) == ([1, 2], [10])


def test_progress_rises_to_the_end(tmp_path: Path) -> None:
    shown: list[Progress] = []
    simulate(written_plan(tmp_path), show=shown.append)
    done = [progress.done for progress in shown]
    assert done == sorted(done)
    assert done[-1] == pytest.approx(1.0)


def test_more_visitors_can_be_asked_for_than_are_expected(tmp_path: Path) -> None:
    plan = written_plan(tmp_path)
    # a Poisson count of 1,000: four standard deviations
    assert simulate(plan, visitors=1000, only=[], ranking=False).acts[0].visits == pytest.approx(
        1000, abs=130
    )


def test_the_compiled_kernel_is_used_again_by_the_next_process(tmp_path: Path) -> None:
    program = """
import sys
from capplan.workflow import simulate
simulate("sale.yaml", only=["prescale"], ranking=False)
print("numba" in sys.modules)
"""
    written_plan(tmp_path)
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        timeout=100,
        check=True,
    )
    # this process has compiled or loaded it, so that one only has to load
    assert done.stdout == "False\n"
