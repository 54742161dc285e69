"""The wheel, installed into an environment of its own and run away from the checkout."""

import fcntl
import json
import os
import subprocess
import sys
import venv
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

import capplan
from capplan.model.service_time import Exponential
from capplan.plan.sla import parse_sla
from capplan.refserver import RefServerConfig, theory
from capplan.results.capacity import Capacity
from capplan.results.store import read_result

ROOT = Path(capplan.__file__).parents[1]
COMMANDS = ("init", "estimate", "loadtest", "recommend", "simulate", "gate", "report",
            "demo", "refserver")  # fmt: skip
DEMO_SERVER = RefServerConfig(slots=4, service=Exponential(0.02))
RESULTS = ("demand.json", "capacity.json", "recommendation.json", "verdict.json")

# the first test waits for the build and for the installation of all dependencies
pytestmark = pytest.mark.timeout(400)


@dataclass(frozen=True)
class Installed:
    """An environment that has the wheel and what it depends on, and nothing else."""

    bin: Path

    def run(self, *command: str, cwd: Path, timeout_s: float = 60) -> tuple[int, str, str]:
        """Run a command as a stranger would: no variable of this process reaches it."""
        done = subprocess.run(
            [self.bin / command[0], *command[1:]],
            cwd=cwd,
            env={"PATH": os.defpath, "HOME": str(cwd), "LC_ALL": "C.UTF-8", "TERM": "dumb"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )
        return done.returncode, done.stdout, done.stderr

    def answer(self, *command: str, cwd: Path, timeout_s: float = 60) -> str:
        """Return what a command prints that must succeed."""
        code, out, err = self.run(*command, cwd=cwd, timeout_s=timeout_s)
        assert code == 0, f"{command} ended with {code}:\n{err}"
        return out


def once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], None]) -> Path:
    """Make a folder in the process that needs it first; the others of this run wait for it."""
    shared = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent
    folder = shared / name
    with (shared / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            make(folder)
    return folder


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel that is built from the source distribution, as a registry would get both."""

    def build(folder: Path) -> None:
        subprocess.run(
            [sys.executable, "-m", "build", "--outdir", folder, ROOT],
            check=True,
            capture_output=True,
            stdin=subprocess.DEVNULL,
        )

    return next(once(tmp_path_factory, "dist", build).glob("*.whl"))


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    def install(home: Path) -> None:
        venv.create(home, with_pip=True)
        subprocess.run(
            [home / "bin" / "pip", "install", "--quiet", "--disable-pip-version-check", wheel],
            check=True,
            stdin=subprocess.DEVNULL,
        )

    return Installed(once(tmp_path_factory, "elsewhere", install) / "bin")


def test_the_wheel_holds_the_whole_package_and_nothing_else(wheel):
    with zipfile.ZipFile(wheel) as archive:
        packed = {name for name in archive.namelist() if ".dist-info/" not in name}
    files = [path for path in (ROOT / "capplan").rglob("*") if path.is_file()]
    there = {path.relative_to(ROOT).as_posix() for path in files if path.suffix != ".pyc"}
    assert packed == there
    assert {
        "capplan/py.typed",
        "capplan/plan/plan.schema.json",
        "capplan/starter/sale.yaml",
        "capplan/starter/demo.yaml",
        "capplan/starter/locustfile.py",
        "capplan/starter/workflow.yml",
    } <= packed


def test_the_installed_package_is_the_one_that_runs(installed, tmp_path):
    program = "import capplan; print(capplan.__file__)"
    where = installed.answer("python", "-c", program, cwd=tmp_path)
    assert Path(where.strip()).is_relative_to(installed.bin.parent)


@pytest.mark.parametrize("program", [("capplan",), ("python", "-m", "capplan")])
def test_the_program_and_the_module_are_the_same(program, installed, tmp_path):
    assert installed.answer(*program, "--version", cwd=tmp_path) == (
        f"capplan {capplan.__version__}\n"
    )
    shown = installed.answer(*program, "--help", cwd=tmp_path)
    assert all(command in shown for command in COMMANDS)


def test_the_version_is_that_of_the_package(installed, tmp_path):
    program = "from importlib.metadata import version; print(version('capplan'))"
    version = installed.answer("python", "-c", program, cwd=tmp_path)
    assert version.strip() == capplan.__version__


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_its_help(command, installed, tmp_path):
    assert "Usage: capplan" in installed.answer("capplan", command, "--help", cwd=tmp_path)


def test_a_new_project_is_estimated_recommended_and_judged(installed, tmp_path):
    installed.answer("capplan", "init", cwd=tmp_path)
    for command in ("estimate", "recommend", "gate"):
        said = installed.answer("capplan", command, "sale.yaml", "--json", cwd=tmp_path)
        assert json.loads(said)["capplan_version"] == capplan.__version__
    # nothing listens at the target of the starter plan
    code, _, err = installed.run("capplan", "loadtest", "sale.yaml", cwd=tmp_path)
    assert code == 4
    assert "http://127.0.0.1:8899" in err
    assert "Traceback" not in err


def test_the_reference_server_runs_until_its_time_is_over(installed, tmp_path):
    said = installed.answer("capplan", "refserver", "--for", "1s", cwd=tmp_path)
    assert "http://127.0.0.1:" in said


@pytest.mark.load
def test_the_demo_goes_the_whole_way_within_two_minutes_and_leaves_nothing_running(
    installed, tmp_path
):
    truth_rps = theory(DEMO_SERVER, parse_sla("p95<150ms, failures<1%")).rate_rps
    said = installed.answer("capplan", "demo", cwd=tmp_path, timeout_s=120)
    assert "results are in capplan-demo/" in said
    results = tmp_path / "capplan-demo" / "sale.capplan"
    assert all((results / name).is_file() for name in RESULTS)
    capacity = read_result(results / "capacity.json", Capacity)
    low, high = capacity.sustained_rps.low, capacity.sustained_rps.high
    assert low is not None
    assert high is not None
    # a factor of two is wide enough for a busy machine and far too narrow for a wrong search
    assert truth_rps / 2 < low < high < truth_rps * 2
    ours = str(installed.bin)
    assert [p.pid for p in psutil.process_iter() if ours in " ".join(_cmdline(p))] == []


def _cmdline(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:  # it ended meanwhile
        return []
