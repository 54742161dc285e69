"""Keep the compiled event kernel between runs, so that only the first one has to compile it."""

from __future__ import annotations

import hashlib
import os
from importlib import resources
from pathlib import Path
from typing import Any


def keep_compiled(folder: Path | None = None) -> Path | None:
    """Let numba store what it compiles; return the folder, None where nothing can be stored.

    The folder is named after the kernel's sources: numba by itself compiles anew only when the file
    of the function that is called has changed, and not when a function in another file has.
    """
    import numba

    from capplan.simulate.kernel import loop, stations

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
    # all that Python calls; what these call becomes part of them
    entries: tuple[Any, ...] = (loop.run, loop.first_arrivals, stations.resize)
    for entry in entries:
        entry.enable_caching()
    return place


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
