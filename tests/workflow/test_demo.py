import importlib
import shlex
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest
import typer

from capplan.cli.main import app
from capplan.errors import UsageError
from capplan.plan.load import load_plan
from capplan.results.demand import Demand
from capplan.workflow import Overrides, demo, estimate
from capplan.workflow.watcher import NOBODY

MODULE = importlib.import_module("capplan.workflow.staging")
COMMANDS: dict[str, Any] = typer.main.get_command(app).commands  # type: ignore[attr-defined]


def test_the_server_of_the_demo_lives_as_long_as_the_demo(tmp_path: Path) -> None:
    with demo(tmp_path / "d") as prepared:
        assert load_plan(prepared.plan).plan.service.target == prepared.url
        with urllib.request.urlopen(prepared.url, timeout=10) as answer:
            assert answer.status == 200
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(prepared.url, timeout=10)


def test_the_server_of_the_demo_ends_when_a_step_fails(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), demo(tmp_path / "d") as prepared:
        raise ZeroDivisionError
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(prepared.url, timeout=10)


def test_the_demo_takes_the_commands_in_their_order(tmp_path: Path) -> None:
    with demo(tmp_path / "d") as prepared:
        calls = [shlex.split(step.command) for step in prepared.steps]
    assert [call[:2] for call in calls] == [
        ["capplan", name] for name in ("estimate", "loadtest", "recommend", "gate")
    ]
    for _, name, *arguments in calls:
        assert COMMANDS[name].make_context(name, arguments).params["plan"].samefile(prepared.plan)


def test_a_step_does_what_its_command_would_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[Path, Overrides, int]] = []

    def measured(plan: Path, *, overrides: Overrides, seed: int, **watchers: object) -> None:
        asked.append((plan, overrides, seed))

    monkeypatch.setattr(MODULE, "loadtest", measured)
    with demo(tmp_path / "d", seed=3) as prepared:
        estimated, loaded = (step.run(NOBODY) for step in prepared.steps[:2])
    assert isinstance(estimated, Demand)
    again = estimate(prepared.plan, seed=3)
    assert again.model_copy(update={"made_at": estimated.made_at}) == estimated
    assert loaded is None
    assert asked == [(prepared.plan, Overrides(time_budget_s=60.0), 3)]
    assert "--time-budget 60s" in prepared.steps[1].command


def test_the_two_estimates_of_the_demo_agree(tmp_path: Path) -> None:
    with demo(tmp_path / "d") as prepared:
        pass
    codes = [note.code for note in estimate(prepared.plan).notes]
    assert "estimates_disagree" not in codes


def test_a_demo_may_be_repeated_in_its_folder(tmp_path: Path) -> None:
    for _ in range(2):
        with demo(tmp_path / "d") as prepared:
            assert load_plan(prepared.plan).plan.service.target == prepared.url


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "sale.yaml").write_text("sale: mine\n")
    with pytest.raises(UsageError, match="no earlier demo"), demo(tmp_path):
        raise AssertionError("the demo began")
    assert [path.name for path in tmp_path.iterdir()] == ["sale.yaml"]


def test_a_file_in_the_place_of_the_folder_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "d").write_text("mine")
    with pytest.raises(UsageError, match="no earlier demo"), demo(tmp_path / "d"):
        raise AssertionError("the demo began")
