"""The rooms of the package import in one direction only, and pure rooms stay pure.

Read from the source with ast, so an import inside a function counts as well.
"""

import ast
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "capplan"
COMMANDS = {"estimate", "loadtest", "recommend", "simulate", "gate", "refserver"}
ORDER = [{"errors"}, {"units"}, {"model"}, {"plan"}, {"results"}, COMMANDS, {"render"},
         {"workflow"}, {"cli"}]  # fmt: skip
RANK = {room: rank for rank, rooms in enumerate(ORDER) for room in rooms}
# scripts for people's own Locust: they are shipped as text
SCRIPTS = {"starter"}

PURE_FOLDERS = {("loadtest", "search")}
PURE_ROOMS = {"errors", "units", "model", "estimate", "recommend", "simulate", "gate", "render"}
PURE_FILES = {
    f"loadtest/{file}.py"
    for file in (
        "asking",
        "binding",
        "bottleneck",
        "caps",
        "compare",
        "endpoints",
        "evaluate",
        "observed",
        "pairing",
        "remedy",
        "resources",
        "summary",
        "validity",
        "visiting",
        "warmup",
        "phases/drift",
        "phases/opening",
        "phases/overload",
        "probes/readings",
    )
}
IMPURE_MODULES = {
    "asyncio", "concurrent", "ctypes", "fcntl", "getpass", "glob", "http", "httptools", "io",
    "locale", "logging", "mmap", "multiprocessing", "os", "pathlib", "platform", "psutil",
    "random", "requests", "resource", "secrets", "select", "selectors", "shutil", "signal",
    "socket", "socketserver", "sqlite3", "ssl", "subprocess", "sys", "tempfile", "threading",
    "time", "urllib.request", "uuid", "yaml",
}  # fmt: skip
PURE_PARTS = {
    "yaml.safe_dump",  # text from values
    "threading.Lock",  # reads nothing
    # the tables of a simulation, and the machine code that works on them
    "ctypes.CFUNCTYPE", "ctypes.c_char", "ctypes.c_double", "ctypes.c_int64", "ctypes.c_void_p",
}  # fmt: skip
IMPURE_CALLS = {"open", "print", "input", "exec", "eval", "breakpoint", "__import__"}
CLOCKS = {"now", "utcnow", "today"}
SEEDED = {"Generator", "SeedSequence", "BitGenerator", "PCG64", "PCG64DXSM", "Philox"}

HEAVY = {"numpy", "scipy", "locust", "gevent", "numba", "yaml", "pydantic"}


def sources() -> list[Path]:
    return sorted(path.relative_to(PACKAGE) for path in PACKAGE.rglob("*.py"))


def room_of(path: Path) -> str:
    return path.parts[0].removesuffix(".py")


def imports(source: str) -> Iterator[str]:
    """Every dotted name that the source imports; ``from a import b`` gives ``a.b``."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = "." * node.level + (node.module or "")
            yield from (f"{above}.{alias.name}" for alias in node.names)


def wrong_directions(room: str, source: str) -> list[str]:
    """The imports of other rooms that a module of ``room`` must not make."""
    wrong = []
    for name in imports(source):
        top, _, rest = name.partition(".")
        other = rest.partition(".")[0]
        if not top:
            wrong.append(f"{name} is relative")
        elif top == "capplan" and other != room and other in RANK and RANK[other] >= RANK[room]:
            wrong.append(f"{room} must not import {other}")
    return wrong


def impurities(source: str) -> list[str]:
    """What in the source reads or changes something besides its arguments."""
    found = [
        f"imports {name}"
        for name in imports(source)
        if name not in PURE_PARTS
        and any(f"{name}.".startswith(f"{module}.") for module in IMPURE_MODULES)
    ]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            last = called.rpartition(".")[2]
            if called in IMPURE_CALLS or (last in CLOCKS and "." in called):
                found.append(f"calls {called}")
            if last == "default_rng" and not node.args and not node.keywords:
                found.append("draws without a seed")
        if isinstance(node, ast.Attribute):
            above, _, last = ast.unparse(node).rpartition(".")
            if above in ("np.random", "numpy.random") and last not in SEEDED | {"default_rng"}:
                found.append(f"uses {above}.{last}")
    return found


@pytest.mark.parametrize("path", sources(), ids=str)
def test_a_room_imports_only_rooms_before_it(path):
    room = room_of(path)
    if room in RANK:
        assert wrong_directions(room, (PACKAGE / path).read_text("utf-8")) == []
    else:
        # a new folder has to be given its place in ORDER
        assert room in SCRIPTS | {"__init__", "__main__"}


@pytest.mark.parametrize("path", sources(), ids=str)
def test_locust_and_gevent_are_imported_only_in_the_child_process(path):
    if not path.as_posix().startswith("loadtest/worker") and room_of(path) not in SCRIPTS:
        tops = {name.partition(".")[0] for name in imports((PACKAGE / path).read_text("utf-8"))}
        assert tops.isdisjoint({"locust", "gevent"})


@pytest.mark.parametrize(
    "path",
    [
        path
        for path in sources()
        if room_of(path) in PURE_ROOMS
        or path.parts[:2] in PURE_FOLDERS
        or path.as_posix() in PURE_FILES
    ],
    ids=str,
)
def test_a_pure_room_reads_no_clock_no_environment_no_file_and_no_global_randomness(path):
    assert impurities((PACKAGE / path).read_text("utf-8")) == []


@pytest.mark.parametrize(
    ("room", "source"),
    [
        ("model", "from capplan.plan.schema import Plan"),
        ("plan", "import capplan.results.store"),
        ("recommend", "from capplan.estimate import estimate"),
        ("estimate", "from capplan import loadtest"),
        ("errors", "def f():\n    from capplan.units import Range"),
        ("gate", "from ..recommend import overload"),
    ],
)
def test_the_check_finds_an_import_in_the_wrong_direction(room, source):
    assert len(wrong_directions(room, source)) == 1


@pytest.mark.parametrize(
    "source",
    [
        "import os",
        "from time import monotonic",
        "def f():\n    import random",
        "from urllib.request import urlopen",
        "from pathlib import Path",
        "from datetime import datetime\nx = datetime.now()",
        "import datetime\nx = datetime.date.today()",
        "import numpy as np\nx = np.random.normal()",
        "import numpy as np\nx = np.random.default_rng()",
        "with open('x') as f: pass",
        "print(1)",
    ],
)
def test_the_check_finds_an_impurity(source):
    assert impurities(source)


def test_the_check_lets_pass_what_a_pure_room_may_do():
    source = """
import math
import numpy as np
from datetime import datetime, timedelta
from urllib.parse import urlsplit
def f(rng: np.random.Generator, at: datetime, seed: int):
    return np.random.default_rng(seed).normal() + rng.random() + (at + timedelta(1)).timestamp()
"""
    assert impurities(source) == []


def loaded(*arguments: str) -> tuple[subprocess.CompletedProcess[str], set[str]]:
    """Run a command line; return how it ended and which modules it had loaded by then."""
    program = f"""
import json, sys
sys.argv = ["capplan", *{list(arguments)}]
from capplan.cli.main import run
try:
    run()
finally:
    print(json.dumps(sorted(sys.modules)), file=sys.stderr)
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=PACKAGE.parent,
        env=os.environ | {"TERM": "dumb", "NO_COLOR": "1"},
        check=False,
    )
    modules = json.loads(done.stderr.splitlines()[-1])
    return done, {name.partition(".")[0] for name in modules}


def test_help_loads_nothing_heavy():
    done, modules = loaded("--help")
    assert done.returncode == 0, done.stderr
    assert "estimate" in done.stdout
    assert modules & HEAVY == set()


@pytest.mark.parametrize("command", ["estimate", "recommend", "simulate", "gate", "report"])
def test_a_plan_that_cannot_be_read_is_refused_before_any_maths_is_loaded(command):
    done, modules = loaded(command, "missing.yaml")
    assert done.returncode == 2, done.stderr
    assert "missing.yaml" in done.stderr
    assert modules & (HEAVY - {"yaml", "pydantic"}) == set()


def test_a_recommendation_needs_no_optimiser(tmp_path):
    # scipy.optimize and scipy.stats take longer to load than all that is computed
    for name in ("sale.yaml", "sale.capplan"):
        source = PACKAGE.parent / "examples" / name
        (shutil.copytree if source.is_dir() else shutil.copy)(source, tmp_path / name)
    program = f"""
import sys
from capplan.workflow import recommend
recommend({str(tmp_path / "sale.yaml")!r})
print(*(name for name in ("scipy.special", "scipy.optimize", "scipy.stats") if name in sys.modules))
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=PACKAGE.parent, capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    assert done.stdout == "scipy.special\n"
