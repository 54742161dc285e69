"""The kernel as machine code: load it, and call it from Python.

numba makes it (:mod:`capplan.simulate.kernel.compiler`), which takes half a minute. To load what
has been made takes LLVM alone and a few milliseconds, where numba would take half a second and a
hundred megabytes. A call does not hold the interpreter's lock: threads simulate several worlds at
once.
"""

from __future__ import annotations

from ctypes import CFUNCTYPE, c_double, c_int64, c_void_p
from threading import Lock
from typing import Any

from llvmlite import binding as llvm

from capplan.simulate.kernel.world import World

ENTRY = "enter"
RUN, FIRST_ARRIVALS, RESIZE = range(3)
"""What the kernel is entered for."""

_TYPE = CFUNCTYPE(c_int64, c_int64, c_void_p, c_double, c_int64, c_int64)


class _Loaded:
    """Machine code in memory, which lives as long as its engine."""

    def __init__(self, code: bytes) -> None:
        llvm.initialize_native_target()
        llvm.initialize_native_asmprinter()
        target = llvm.Target.from_default_triple().create_target_machine(jit=True)
        self.engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), target)
        self.engine.add_object_file(llvm.object_file.ObjectFileRef.from_data(code))
        self.engine.finalize_object()
        self.code = code
        self.enter: Any = _TYPE(self.engine.get_function_address(ENTRY))


_loaded: list[_Loaded] = []
_compiling = Lock()


def load(code: bytes) -> None:
    """Let what is simulated from now on run this machine code."""
    if not _loaded or _loaded[0].code != code:
        _loaded[:] = [_Loaded(code)]


def code() -> bytes:
    """Return the machine code that runs; compile it where none was loaded.

    Who was interrupted and asks again waits for the compilation that is under way.
    """
    with _compiling:
        if not _loaded:
            from capplan.simulate.kernel.compiler import compiled  # loads numba

            load(compiled())
        return _loaded[0].code


def run(world: World, until_s: float) -> int:
    """Simulate up to ``until_s``, see :func:`capplan.simulate.kernel.loop.run`."""
    return _enter(RUN, world, until_s)


def first_arrivals(world: World) -> None:
    """Draw the first arrivals, see :func:`capplan.simulate.kernel.loop.first_arrivals`."""
    _enter(FIRST_ARRIVALS, world)


def resize(world: World, count: int, slots: int) -> None:
    """Change the fleet, see :func:`capplan.simulate.kernel.stations.resize`."""
    _enter(RESIZE, world, 0.0, count, slots)


def _enter(task: int, world: World, until_s: float = 0.0, count: int = 0, slots: int = 0) -> int:
    if not _loaded:
        code()
    return int(_loaded[0].enter(task, world.address, until_s, count, slots))
