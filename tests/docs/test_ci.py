"""The action for GitHub and the recipe for GitLab: what they would run does run."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import yaml

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
        for key, value in found["env"].items()
    }
    return subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", found["run"]],
        cwd=folder,
        env=os.environ | environment | {"GITHUB_ACTIONS": "true"},
        capture_output=True,
        text=True,
        timeout=60,
    )


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


def test_the_recipes_for_other_ci_are_yaml_and_call_what_exists():
    text = (ROOT / "docs" / "ci.md").read_text()
    recipes = [yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", text, re.S)]
    github, gitlab = recipes
    assert any("action" in str(step) or "uses" in step for step in github["jobs"]["gate"]["steps"])
    assert any("capplan gate" in line for line in gitlab["capacity"]["script"])
    assert gitlab["capacity"]["artifacts"]["reports"]["junit"] == "capplan-junit.xml"
