"""Keep the machine code of the event kernel between runs: only the first one has to compile it."""

from __future__ import annotations

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from importlib import metadata, resources
from pathlib import Path

from capplan.errors import SetupError
from capplan.results.store import write_bytes

_DIGEST = hashlib.sha256().digest_size


def keep_compiled(folder: Path | None = None) -> Path | None:
    """Load the machine code, or compile and store it; return its file.

    None where nothing can be stored. The file is named after all that the code depends on: the
    kernel's sources, what compiles them, and the processor.
    """
    from capplan.simulate.kernel import machine

    place = (folder or _cache_home()) / f"kernel-{_depends_on()}.o"
    stored = _read(place)
    if stored:
        machine.load(stored)
        return place
    # Python runs the handlers of signals in the main thread alone. So an interrupt ends the wait at
    # once, and what is being compiled is finished, and stored, before the process ends.
    pool = ThreadPoolExecutor(1)
    written = pool.submit(lambda: _write(place, machine.code()))
    pool.shutdown(wait=False)
    return place if written.result() else None


def _read(place: Path) -> bytes | None:
    """Return what is stored, None where that is nothing or damaged: LLVM would end the process."""
    try:
        stored = place.read_bytes()
    except OSError:
        return None
    digest, code = stored[:_DIGEST], stored[_DIGEST:]
    return code if hashlib.sha256(code).digest() == digest else None


def _write(place: Path, code: bytes) -> bool:
    try:
        write_bytes(place, hashlib.sha256(code).digest() + code)
    except SetupError:
        return False
    return True


def _cache_home() -> Path:
    home = os.environ.get("XDG_CACHE_HOME")
    return (Path(home) if home else Path.home() / ".cache") / "capplan"


def _depends_on() -> str:
    from llvmlite import binding as llvm

    digest = hashlib.sha256()
    for package in ("numba", "llvmlite"):
        digest.update(f"{package} {metadata.version(package)} ".encode())
    digest.update(f"{llvm.get_host_cpu_name()} {llvm.get_host_cpu_features().flatten()}".encode())
    files = resources.files("capplan.simulate.kernel").iterdir()
    for file in sorted(files, key=lambda file: file.name):
        if file.name.endswith(".py"):
            digest.update(file.read_bytes())
    return digest.hexdigest()[:16]
