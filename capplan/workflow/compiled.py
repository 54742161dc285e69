"""Keep the compiled event kernel between runs, so that only the first one has to compile it."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any


def keep_compiled(folder: Path | None = None) -> Path | None:
    """Let numba store what it compiles; return the folder, None where nothing can be stored.

    The folder is named after the kernel's sources: numba by itself compiles anew only when the file
    of the function that is called has changed, and not when a function in another file has.
    """
    import numba

    entries = _entries()
    place = (folder or _cache_home()) / f"kernel-{_sources()}"
    try:
        place.mkdir(parents=True, exist_ok=True)
        probe = place / f".{os.getpid()}"
        probe.touch()
        probe.unlink()
    except OSError:
        return None
    settings: Any = numba.config
    settings.CACHE_DIR = str(place)
    for entry in entries:
        entry.enable_caching()
    return place


@cache
def _entries() -> tuple[Any, ...]:
    """Return all that Python calls of the kernel; what these call becomes part of them."""
    from capplan.simulate.kernel import loop, stations

    entries: tuple[Any, ...] = (loop.run, loop.first_arrivals, stations.resize)
    for entry in entries:
        entry.compile = apart(entry.compile)
    return entries


def apart(compiling: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Let a compiled function be made, or loaded, in a thread of its own.

    Python runs the handlers of signals in the main thread alone, and where LLVM hands over the code
    that it has made, an exception of a handler would be lost, and the code with it: an interrupt
    would be ignored, and numba would find nothing to store. So an interrupt ends the wait at once,
    and what is being compiled is finished, and stored, before the process ends.
    """

    def compile_apart(signature: Any) -> Any:
        if threading.current_thread() is not threading.main_thread():
            return compiling(signature)
        pool = ThreadPoolExecutor(1)
        made = pool.submit(compiling, signature)
        pool.shutdown(wait=False)
        return made.result()

    return compile_apart


def _cache_home() -> Path:
    home = os.environ.get("XDG_CACHE_HOME")
    return (Path(home) if home else Path.home() / ".cache") / "capplan"


def _sources() -> str:
    digest = hashlib.sha256()
    files = resources.files("capplan.simulate.kernel").iterdir()
    for file in sorted(files, key=lambda file: file.name):
        if file.name.endswith(".py"):
            digest.update(file.read_bytes())
    return digest.hexdigest()[:16]
