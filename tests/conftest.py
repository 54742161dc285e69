"""Tests under real load run one after another, beside all the others.

``make test`` uses two processes. Those marked ``load`` measure a server that answers in real time:
two at once would take each other's CPU. They begin first, because together they last the longest.
"""

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.get_closest_marker("load"):
            item.add_marker(pytest.mark.xdist_group("load"))
    items.sort(key=lambda item: item.get_closest_marker("load") is None)


def pytest_configure(config: pytest.Config) -> None:
    if not config.pluginmanager.hasplugin("xdist"):
        config.addinivalue_line("markers", "xdist_group(name): tests that share a process")
