"""Renew what README.md shows of the commands, by running them.

    python docs/transcript.py             run the commands whose output is fixed by the seed
    python docs/transcript.py --measure   also measure the example shop (two minutes)

A block is announced by ``<!-- shows: COMMAND -->``, or ``<!-- measured: COMMAND -->`` for what a
load test printed once: that is renewed only with ``--measure``, together with the capacity that the
other blocks build on.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
CAPACITY = Path("sale.capplan") / "capacity.json"
BLOCK = re.compile(
    r"<!-- (?P<kind>shows|measured): (?P<command>.+?) -->\n```console\n(?P<body>.*?)```\n",
    re.DOTALL,
)


def renewed(text: str, folder: Path, kinds: tuple[str, ...] = ("shows",)) -> str:
    """Return the text with the output of its blocks made again, in order, in ``folder``."""

    def run(match: re.Match[str]) -> str:
        if match["kind"] not in kinds:
            return match[0]
        output = capplan(match["command"], folder)
        body = f"$ {match['command']}\n{output}"
        return f"<!-- {match['kind']}: {match['command']} -->\n```console\n{body}```\n"

    return BLOCK.sub(run, text)


def capplan(command: str, folder: Path) -> str:
    """Run a capplan command line in ``folder`` and return what it prints on stdout."""
    name, *arguments = shlex.split(command)
    assert name == "capplan", command
    environment = {
        **{key: os.environ[key] for key in ("PATH", "HOME") if key in os.environ},
        "PYTHONPATH": str(ROOT),
        "PYTHONIOENCODING": "utf-8",
        "TERM": "dumb",
        "COLUMNS": "96",
    }
    done = subprocess.run(
        [sys.executable, "-m", "capplan", *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=300,
        check=False,
    )
    if done.returncode not in (0, 3):
        raise SystemExit(f"{command} exited with {done.returncode}:\n{done.stderr}")
    return done.stdout


@contextmanager
def workplace() -> Iterator[Path]:
    """Copy the plan, its measured capacity and its locustfile into a temporary folder."""
    with tempfile.TemporaryDirectory() as name:
        place = Path(name) / "examples"
        place.mkdir()
        shutil.copy(ROOT / "examples" / "sale.yaml", place)
        shutil.copytree(ROOT / "locustfiles", Path(name) / "locustfiles")
        if (ROOT / "examples" / CAPACITY).exists():
            (place / CAPACITY).parent.mkdir()
            shutil.copy(ROOT / "examples" / CAPACITY, place / CAPACITY)
        yield place


@contextmanager
def shop() -> Iterator[None]:
    """Run the example shop at the address that the plan names."""
    command = [sys.executable, str(ROOT / "examples" / "shop"), "--lifetime", "300"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()  # it prints its address when it is ready
        try:
            yield
        finally:
            process.terminate()


def main() -> None:
    """Rewrite README.md."""
    with workplace() as place:
        text = README.read_text("utf-8")
        if "--measure" in sys.argv[1:]:
            with shop():
                text = renewed(text, place, ("measured",))
            (ROOT / "examples" / CAPACITY).parent.mkdir(exist_ok=True)
            shutil.copy(place / CAPACITY, ROOT / "examples" / CAPACITY)
        README.write_text(renewed(text, place), "utf-8")


if __name__ == "__main__":
    main()
