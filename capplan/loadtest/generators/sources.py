"""Which files a load is made of: the locustfiles, and the modules beside them that they import.

What lies elsewhere (libraries, data files) is not looked for, nor is a module whose name is only
known when the script runs.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path


def sources(locustfiles: Sequence[Path]) -> tuple[Path, ...]:
    """Return the locustfiles in their order, then their neighbours by path.

    A locustfile sees the folder in which it lies, as Locust puts that on the module search path.
    """
    roots = tuple(dict.fromkeys(path.parent for path in locustfiles))
    found, waiting = set(locustfiles), list(locustfiles)
    while waiting:
        path = waiting.pop()
        for name in _imported(path, roots):
            for neighbour in _files(name):
                if neighbour not in found:
                    found.add(neighbour)
                    waiting.append(neighbour)
    return *locustfiles, *sorted(found - set(locustfiles))


def _imported(path: Path, roots: Iterable[Path]) -> Iterator[Path]:
    """Yield where the modules that a file imports would lie, without their suffix."""
    try:
        tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError):  # whoever loads it says so better
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for name in node.names:
                for root in roots:
                    yield root.joinpath(*name.name.split("."))
        elif isinstance(node, ast.ImportFrom):
            within = [path.parents[node.level - 1]] if node.level else list(roots)
            parts = node.module.split(".") if node.module else []
            for root in within:
                if parts:
                    yield root.joinpath(*parts)
                yield from (root.joinpath(*parts, name.name) for name in node.names)


def _files(module: Path) -> Iterator[Path]:
    """Yield the files of a module or package, and of the packages in which it lies."""
    for path in (module.with_name(f"{module.name}.py"), module / "__init__.py"):
        if path.is_file():
            yield path
            for folder in path.parents:
                package = folder / "__init__.py"
                if not package.is_file():
                    break
                yield package
