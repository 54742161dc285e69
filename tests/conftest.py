"""Tests under real load run one after another, beside all the others; the kernel is compiled once.

``make test`` uses three processes. Tests marked ``load`` measure a server in real time; two of them
would take each other's CPU. They begin first, because together they last the longest, and mostly
wait: two processes share what they leave of two cores, and stand back for them.
"""

import fcntl
import os
import signal
from pathlib import Path

import pytest


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.get_closest_marker("load"):
            item.add_marker(pytest.mark.xdist_group("load"))
            item.add_marker(pytest.mark.flaky(reruns=2))  # other work may have taken the cores
    items.sort(key=lambda item: item.get_closest_marker("load") is None)


def pytest_runtest_setup(item: pytest.Item) -> None:
    if "PYTEST_XDIST_WORKER" in os.environ and not item.get_closest_marker("load"):
        os.setpriority(os.PRIO_PROCESS, 0, 10)


def pytest_configure(config: pytest.Config) -> None:
    # whoever runs the tests keeps a clean home, and what was compiled is found by the next run
    os.environ["XDG_CACHE_HOME"] = str(config.rootpath / ".cache")
    # what a shell runs in the background ignores interrupts, and so do the children of that
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if not config.pluginmanager.hasplugin("xdist"):
        config.addinivalue_line("markers", "xdist_group(name): tests that share a process")
    if not config.pluginmanager.hasplugin("rerunfailures"):
        config.addinivalue_line("markers", "flaky(reruns): tests that may be held up")


@pytest.fixture(scope="session")
def compiled() -> None:
    """Compile the event kernel, or load what another process or an earlier run has compiled."""
    from capplan.workflow.compiled import keep_compiled

    home = Path(os.environ["XDG_CACHE_HOME"])
    home.mkdir(exist_ok=True)
    with (home / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert keep_compiled()
