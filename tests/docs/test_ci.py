"""The action for GitHub and the recipe for GitLab: what they would run does run."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest
import typer
import yaml

from capplan.cli.main import app

ROOT = Path(__file__).parents[2]
ACTION = yaml.safe_load((ROOT / "action.yml").read_text())
STEPS = ACTION["runs"]["steps"]


def test_every_input_is_described_and_reaches_a_shell_only_through_its_environment():
    assert ACTION["runs"]["using"] == "composite"
    used = set()
    for step in STEPS:
        assert "${{" not in step["run"]  # a value in a script would be run as a part of it
        assert step["shell"] == "bash"
        for value in step.get("env", {}).values():
            used |= set(re.findall(r"inputs\.([\w-]+)", value))
    assert used == set(ACTION["inputs"])
    assert all(given["description"] for given in ACTION["inputs"].values())


def run(step: str, folder: Path, **inputs: str) -> subprocess.CompletedProcess[str]:
    """Run a step as GitHub does, with defaults for inputs that are not given."""
    found = next(s for s in STEPS if s["name"] == step)
    given = {name: i["default"] for name, i in ACTION["inputs"].items()} | inputs
    environment = {
        key: re.sub(r"\$\{\{ inputs\.([\w-]+) \}\}", lambda m: given[m[1]], value)
        for key, value in found.get("env", {}).items()
    }
    return shell(found["run"], folder, environment)


def shell(
    script: str, folder: Path, environment: dict[str, str]
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script],
        cwd=folder,
        env=os.environ | environment | {"GITHUB_ACTIONS": "true"},
        capture_output=True,
        text=True,
        timeout=60,
    )


def noting(folder: Path, name: str) -> Path:
    """A program that notes its arguments, one to a line, in the file that is returned."""
    folder.mkdir(parents=True, exist_ok=True)
    noted = folder / f"{name}.args"
    program = folder / name
    program.write_text(f"#!/bin/sh\nprintf '%s\\n' \"$@\" > '{noted}'\nexit ${{CODE:-0}}\n")
    program.chmod(0o755)
    return noted


def test_the_installing_step_makes_an_environment_of_its_own(tmp_path, monkeypatch):
    temp, source = tmp_path / "temp dir", tmp_path / "the action"
    noted = noting(temp / "capplan" / "bin", "pip")
    made = noting(tmp_path, "python3")
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    path = tmp_path / "path"
    github = {"RUNNER_TEMP": temp, "GITHUB_ACTION_PATH": source, "GITHUB_PATH": path}
    done = shell(
        next(s for s in STEPS if s["name"] == "Install capplan")["run"],
        tmp_path,
        {key: str(value) for key, value in github.items()},
    )
    assert done.returncode == 0, done.stderr
    assert made.read_text().splitlines() == ["-m", "venv", f"{temp}/capplan"]
    assert noted.read_text().splitlines() == ["install", "--quiet", str(source)]
    # later steps find the command there
    assert path.read_text() == f"{temp}/capplan/bin\n"


def test_the_comparing_step_hands_over_what_was_given_and_nothing_else(tmp_path, monkeypatch):
    noted = noting(tmp_path, "capplan")
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    done = run(
        "Compare both versions in turns",
        tmp_path,
        plan="a plan; $(exit 9).yaml",
        **{"base-url": "http://127.0.0.1:8001", "head-url": "http://127.0.0.1:8002"},
    )
    assert done.returncode == 0, done.stderr
    arguments = noted.read_text().splitlines()
    assert arguments == [
        "loadtest", "a plan; $(exit 9).yaml", "--paired", "http://127.0.0.1:8001",
        "http://127.0.0.1:8002", "--time-budget", "240s",
    ]  # fmt: skip
    # a version that misses the SLA or noise go on to the judging step, anything else ends the job
    ended = {}
    for code in ("0", "2", "3", "4", "5", "130"):
        monkeypatch.setenv("CODE", code)
        ended[code] = run("Compare both versions in turns", tmp_path).returncode
    assert ended == {"0": 0, "2": 2, "3": 0, "4": 4, "5": 0, "130": 130}
    command = typer.main.get_command(app)
    assert isinstance(command, typer.core.TyperGroup)
    known = {name for option in command.commands["loadtest"].params for name in option.opts}
    assert {"--paired", "--time-budget"} <= known


def test_the_judging_step_fails_when_the_fleet_is_too_small(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    shutil.copy(ROOT / "examples" / "drop.yaml", tmp_path / "a plan; $(exit 9).yaml")
    name = "a plan; $(exit 9).yaml"
    done = run("Judge", tmp_path, plan=name)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "capplan-junit.xml").exists()
    plan = tmp_path / name
    plan.write_text(plan.read_text().replace("planned: 4", "planned: 1"))
    done = run("Judge", tmp_path, plan=name)
    assert done.returncode == 3
    assert "::error title=capplan gate%3A overload::" in done.stderr
    done = run("Judge", tmp_path, plan=name, baseline="old.json")
    assert done.returncode == 2
    assert "--baseline needs a measured capacity" in done.stderr


def commands(lines: Iterable[str]) -> list[str]:
    return [line for line in lines if line.startswith("capplan ")]


def test_the_recipe_for_gitlab_and_the_workflow_of_init_run(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    text = (ROOT / "docs" / "ci.md").read_text()
    _, gitlab = [yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", text, re.S)]
    workflow = yaml.safe_load((ROOT / "capplan" / "starter" / "workflow.yml").read_text())
    steps = workflow["jobs"]["gate"]["steps"]
    shutil.copy(ROOT / "examples" / "drop.yaml", tmp_path / "sale.yaml")
    report = tmp_path / "capplan-junit.xml"
    for lines in (
        [line for step in steps for line in commands(step.get("run", "").splitlines())],
        commands(gitlab["capacity"]["script"]),
    ):
        report.unlink(missing_ok=True)
        for line in lines:
            done = shell(line, tmp_path, {})
            assert done.returncode == 0, done.stderr
        assert report.exists()


@pytest.mark.parametrize("program", ["sh", "bash"])
@pytest.mark.parametrize(
    ("code", "goes_on"), [(0, True), (2, False), (3, True), (4, False), (5, True)]
)
def test_the_recipe_leaves_to_the_gate_what_the_gate_judges(tmp_path, program, code, goes_on):
    (recipe,) = re.findall(
        r"```sh\n(\./start-both.*?)```", (ROOT / "docs" / "ci.md").read_text(), re.S
    )
    for name, script in (("start-both-versions.sh", "true"), ("capplan", f"exit {code}")):
        (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / name).chmod(0o755)
    done = subprocess.run(
        [program, "-ec", f"{recipe}echo judged"],
        cwd=tmp_path,
        env=os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=20,
    )
    assert (done.returncode, done.stdout) == ((0, "judged\n") if goes_on else (code, ""))


def test_the_recipes_for_other_ci_are_yaml_and_call_what_exists():
    text = (ROOT / "docs" / "ci.md").read_text()
    recipes = [yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", text, re.S)]
    github, gitlab = recipes
    assert any("action" in str(step) or "uses" in step for step in github["jobs"]["gate"]["steps"])
    assert any("capplan gate" in line for line in gitlab["capacity"]["script"])
    assert gitlab["capacity"]["artifacts"]["reports"]["junit"] == "capplan-junit.xml"
