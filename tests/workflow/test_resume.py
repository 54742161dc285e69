"""Which trials a search may go on with, and what is said when it may not."""

from pathlib import Path
from typing import Any

import pytest

from capplan.errors import UsageError
from capplan.plan.load import load_plan
from capplan.results.base import Provenance
from capplan.results.capacity import Capacity
from capplan.results.store import write_result
from capplan.workflow.resume import broken_off, require_time_left
from capplan.workflow.shelf import Shelf
from tests.workflow.test_capacity import measure, written_plan

PARTIAL = "capacity.partial.json"


def left(tmp_path: Path, name: str = PARTIAL, **changes: Any) -> tuple[Shelf, Capacity]:
    """Store what a run leaves that was broken off after a minute of load."""
    plan = written_plan(tmp_path)
    stored = measure(plan).model_copy(update={"requests_made": 7000, **changes})
    folder = load_plan(plan).results_dir
    (folder / "capacity.json").unlink()
    write_result(folder / name, stored)
    return Shelf(folder), stored


def origin(stored: Capacity, **sections: str) -> Provenance:
    plan = stored.plan.model_copy(update={"sections": stored.plan.sections | sections})
    return Provenance(plan=plan, made_at=stored.made_at, seed=1, environment={})


@pytest.mark.parametrize("name", [PARTIAL, "capacity.json"])
def test_the_trials_of_the_last_run_count_with_their_load(tmp_path, name):
    shelf, stored = left(tmp_path, name)
    found = broken_off(shelf, stored.identity, origin(stored))
    assert found is not None
    assert (found.trials, found.load_time_s, found.requests_made) == (stored.trials, 60, 7000)


def test_what_was_broken_off_comes_before_the_answer_of_an_earlier_run(tmp_path):
    shelf, stored = left(tmp_path, load_time_s=30)
    write_result(
        tmp_path / "sale.capplan" / "capacity.json", stored.model_copy(update={"load_time_s": 99})
    )
    found = broken_off(shelf, stored.identity, origin(stored))
    assert found is not None
    assert found.load_time_s == 30


def test_without_an_earlier_run_there_is_nothing_to_go_on_with(tmp_path):
    shelf, stored = left(tmp_path)
    (tmp_path / "sale.capplan" / PARTIAL).unlink()
    assert broken_off(shelf, stored.identity, origin(stored)) is None
    with pytest.raises(UsageError, match="standard input keeps no trials"):
        broken_off(Shelf(None), stored.identity, origin(stored))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"target": "http://b"}, "target was http://127.0.0.1:8899, is http://b"),
        ({"locustfile_hash": "1"}, "locustfile was shop.py as it was then, is shop.py"),
        ({"sla": "p99<1s"}, "sla was p95<300ms, failures<1%, is p99<1s"),
        ({"unit": "visit"}, "unit was task, is visit"),
        ({"servers": 4}, "servers was 1, is 4"),
        ({"arguments": ("--tags", "buy")}, "arguments was none, is --tags buy"),
        ({"servers": 2, "target": "http://b"}, "is http://b; servers was 1, is 2"),
    ],
)
def test_trials_of_something_else_are_refused_and_what_differs_is_named(tmp_path, changes, words):
    shelf, stored = left(tmp_path)
    now = stored.identity.model_copy(update=changes)
    with pytest.raises(UsageError) as refused:
        broken_off(shelf, now, origin(stored))
    assert words in refused.value.message
    assert PARTIAL in refused.value.message


def test_a_script_that_only_has_another_name_is_the_same(tmp_path):
    shelf, stored = left(tmp_path)
    now = stored.identity.model_copy(update={"locustfile": "other.py"})
    assert broken_off(shelf, now, origin(stored)) is not None


def test_another_timeout_in_the_plan_is_named_as_well(tmp_path):
    shelf, stored = left(tmp_path)
    with pytest.raises(UsageError, match=r"of something else: service\.timeout$"):
        broken_off(shelf, stored.identity, origin(stored, **{"service.timeout": "other"}))


def test_the_load_time_of_all_runs_counts(tmp_path):
    shelf, stored = left(tmp_path)
    found = broken_off(shelf, stored.identity, origin(stored))
    assert found is not None
    require_time_left(found, 70)
    with pytest.raises(UsageError, match="took 1 min of load, and all may take 1 min") as refused:
        require_time_left(found, 60)
    assert "--time-budget 120s" in refused.value.hint
