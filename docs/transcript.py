"""Renew what the documentation shows of the commands, by running them.

    python docs/transcript.py             what the seed determines
    python docs/transcript.py --measure   load the example shop, too (two minutes)

With the documents go the results of the examples, as far as their numbers have changed.

A console block under ``<!-- run -->`` is made again: each line ``$ COMMAND`` is run, and what it
prints follows. A block under ``<!-- measured -->`` shows a load test. Its result is kept in the
examples, and is shown as the command showed it; only ``--measure`` runs the command anew.

All commands of a document run in one folder, a copy of ``examples``, as if it were ``NOW``: a
recommendation says so when the sale is over, and the documentation must not change with the date.
But whoever tries an example does so today: a sale that is over is moved on by a year, first of all.
"""

from __future__ import annotations

import json
import math
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "examples" / "README.md"
DOCUMENTS = [ROOT / "README.md", EXAMPLES, *sorted((ROOT / "docs").glob("*.md"))]
KEPT = ("demand.json", "recommendation.json", "verdict.json")
CAPACITY = Path("examples") / "sale.capplan" / "capacity.json"
PLANS = sorted((ROOT / "examples").glob("*.yaml"))
NOW = "2026-11-30T12:00:00+00:00"  # before the sales of all plans
START = re.compile(r"(?<=^  start: )\S+", re.MULTILINE)
BLOCK = re.compile(r"<!-- (?P<kind>run|measured) -->\n```console\n(?P<body>.*?)```\n", re.DOTALL)

_CAPPLAN = f"""#!{sys.executable}
import os, sys
from datetime import datetime
from importlib import import_module

sys.path.insert(0, {str(ROOT)!r})


class Clock(datetime):
    @classmethod
    def now(cls, zone=None):
        return datetime.fromisoformat(os.environ["NOW"]).astimezone(zone)


if "NOW" in os.environ:
    for name in ("init", "provenance"):
        import_module(f"capplan.workflow.{{name}}").datetime = Clock
import_module("capplan.cli.main").run()
"""
_PYTHON = f"""#!/bin/sh
PYTHONPATH={ROOT} exec {sys.executable} "$@"
"""
_SHOW_CAPACITY = f"""#!{sys.executable}
import sys
from pathlib import Path

sys.path.insert(0, {str(ROOT)!r})

from capplan.cli.output import say
from capplan.render.terminal import capacity
from capplan.results.capacity import Capacity
from capplan.results.store import read_result

say(capacity(read_result(Path("sale.capplan/capacity.json"), Capacity), "sale.yaml"))
"""


class Workplace:
    """A folder with the examples in it, and ``capplan`` within reach."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        for name in ("examples", "locustfiles"):
            ignored = shutil.ignore_patterns("shop", "__pycache__")
            shutil.copytree(ROOT / name, folder / name, ignore=ignored)
        (folder / "bin").mkdir()
        programs = {"capplan": _CAPPLAN, "python": _PYTHON, "show-capacity": _SHOW_CAPACITY}
        for name, text in programs.items():
            program = folder / "bin" / name
            program.write_text(text)
            program.chmod(0o755)

    def run(self, script: str, *, pinned: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a shell script in the folder of the examples; it ends at the first failure.

        ``pinned`` makes it ``NOW``.
        """
        environment = {
            "PATH": f"{self._folder / 'bin'}:{os.defpath}",
            "HOME": str(self._folder),
            "LC_ALL": "C.UTF-8",
            "TERM": "dumb",
            "COLUMNS": "96",
            # the simulation is compiled once, and not for every document
            "XDG_CACHE_HOME": os.environ.get("XDG_CACHE_HOME", str(Path.home() / ".cache")),
        }
        return subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script],
            cwd=self._folder / "examples",
            env=environment | ({"NOW": NOW} if pinned else {}),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            timeout=300,
            check=False,
        )

    def renewed(self, text: str, *, measure: bool = False) -> str:
        """Return the text with its blocks made again, in their order."""

        def renew(match: re.Match[str]) -> str:
            commands = [line[2:] for line in match["body"].splitlines() if line[:2] == "$ "]
            show = self._load_test if match["kind"] == "measured" else self._output
            shown = "".join(f"$ {command}\n{show(command, measure)}" for command in commands)
            return f"<!-- {match['kind']} -->\n```console\n{shown}```\n"

        return BLOCK.sub(renew, text)

    def results(self) -> dict[Path, dict[str, Any]]:
        """Return the results of the examples, by their path in the repository."""
        found = [path for name in KEPT for path in self._folder.glob(f"examples/**/{name}")]
        return {
            ROOT / path.relative_to(self._folder): json.loads(path.read_text("utf-8"))
            for path in sorted(found)
        }

    def _output(self, command: str, _measure: bool) -> str:
        done = self.run(command)
        # the documentation may show a refusal or a mistake, and no more than that
        if "Traceback" in done.stderr or done.returncode not in (0, 2, 3):
            raise SystemExit(f"{command} ended with {done.returncode}:\n{done.stderr}")
        return done.stdout + done.stderr

    def _load_test(self, command: str, measure: bool) -> str:
        if measure:
            with _shop():
                done = self.run(command, pinned=False)
            if done.returncode != 0:
                raise SystemExit(f"{command} ended with {done.returncode}:\n{done.stderr}")
            (ROOT / CAPACITY).parent.mkdir(exist_ok=True)
            shutil.copy(self._folder / CAPACITY, ROOT / CAPACITY)
        return self.run("show-capacity").stdout


def holds(kept: Any, fresh: Any) -> bool:
    """Whether a fresh result still says what was kept, whenever and wherever each was made.

    It may say more: a new key changes nothing.
    """
    if isinstance(kept, dict) and isinstance(fresh, dict):
        keys = kept.keys() - {"made_at", "environment"}
        return all(key in fresh and holds(kept[key], fresh[key]) for key in keys)
    if isinstance(kept, list) and isinstance(fresh, list):
        return len(kept) == len(fresh) and all(map(holds, kept, fresh))
    if isinstance(kept, float) and isinstance(fresh, float):
        return math.isclose(kept, fresh, rel_tol=1e-5, abs_tol=1e-9)
    return bool(kept == fresh)


def keep(results: dict[Path, dict[str, Any]]) -> None:
    """Store the results that say something else, or more, than the kept ones."""
    for path, result in results.items():
        before = json.loads(path.read_text("utf-8")) if path.exists() else {}
        if not (holds(before, result) and holds(result, before)):
            path.parent.mkdir(exist_ok=True)
            path.write_text(json.dumps(result, indent=2, ensure_ascii=False) + "\n", "utf-8")


def ahead(plan: str, now: datetime) -> str:
    """Move the sale of a plan on until it starts after ``now``, by 52 weeks each time.

    That keeps the weekday, the time of day and, but for a few days in spring and autumn, what the
    clocks show against UTC.
    """

    def move(match: re.Match[str]) -> str:
        start = datetime.fromisoformat(match[0])
        while start <= now:
            start += timedelta(weeks=52)
        return start.isoformat()

    return START.sub(move, plan, count=1)


@contextmanager
def workplace() -> Iterator[Workplace]:
    """Make a workplace, and remove it in the end."""
    with tempfile.TemporaryDirectory() as folder:
        yield Workplace(Path(folder))


@contextmanager
def _shop() -> Iterator[None]:
    """Run the example shop at the address that the plan names."""
    command = [sys.executable, str(ROOT / "examples" / "shop"), "--lifetime", "300"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        if not process.stdout.readline():  # it prints its address when it is ready
            raise SystemExit("the example shop did not start")
        try:
            yield
        finally:
            process.terminate()


def main() -> None:
    """Rewrite the documents, after the sales of the examples that are over."""
    for plan in PLANS:
        before = plan.read_text("utf-8")
        if (moved := ahead(before, datetime.now(UTC))) != before:
            plan.write_text(moved, "utf-8")
    for document in DOCUMENTS:
        text = document.read_text("utf-8")
        with workplace() as place:
            renewed = place.renewed(text, measure="--measure" in sys.argv[1:])
            if document == EXAMPLES:
                keep(place.results())
        if renewed != text:
            document.write_text(renewed, "utf-8")


if __name__ == "__main__":
    main()
