"""Make machine code of the kernel: numba compiles its functions, and LLVM writes an object file.

All that is public of numba is a pointer to a C function, and the code of it in LLVM's language. The
rest is LLVM's: that code becomes an object file, as a compiler of C makes them.
"""

from __future__ import annotations

import re
from typing import Any

from llvmlite import binding as llvm
from llvmlite import ir
from numba import cfunc, njit, types
from numba.core.typing.templates import infer_global, signature
from numba.extending import lower_builtin, type_callable

from capplan.simulate.kernel.jit import FUNCTIONS, at
from capplan.simulate.kernel.loop import first_arrivals, run
from capplan.simulate.kernel.machine import ENTRY, FIRST_ARRIVALS, RUN
from capplan.simulate.kernel.stations import resize
from capplan.simulate.kernel.world import WORLD

_LIKE_NUMPY: Any = {"error_model": "numpy"}
_ENTER = types.int64(types.int64, types.intp, types.float64, types.int64, types.int64)
_OF_PYTHON = re.compile(r"^declare (.*@(?:numba|NRT|Py)\w*\(.*\)).*$", re.MULTILINE)
_TRAP = "define internal {} {{\n  call void @llvm.trap()\n  unreachable\n}}"


def compiled() -> bytes:
    """Return an object file with the whole kernel, for this machine's processor."""
    dispatchers = [njit(**_LIKE_NUMPY)(function) for function in FUNCTIONS]
    for function, dispatcher in zip(FUNCTIONS, dispatchers, strict=True):
        infer_global(function, types.Dispatcher(dispatcher))
    made = cfunc(_ENTER, **_LIKE_NUMPY)(_enter)
    text = made.inspect_llvm().replace(made.native_name, ENTRY)
    module = llvm.parse_assembly(_without_python(text))
    module.verify()
    target = llvm.Target.from_default_triple().create_target_machine(
        cpu=llvm.get_host_cpu_name(), features=llvm.get_host_cpu_features().flatten(), opt=3,
        reloc="default", codemodel="jitdefault", jit=True,
    )  # fmt: skip
    _optimize(module, target)
    return bytes(target.emit_object(module))


def _optimize(module: llvm.ModuleRef, target: llvm.TargetMachine) -> None:
    """Optimize all functions together, which nobody else calls (measured: 7 % faster).

    numba has optimized each, and must expect it to be called from outside. No rule of arithmetic is
    relaxed, so that the results stay the same.
    """
    for function in module.functions:
        if not function.is_declaration and function.name != ENTRY:
            function.linkage = "internal"
    options = llvm.create_pipeline_tuning_options(speed_level=3)
    builder = llvm.create_pass_builder(target, options)
    builder.getModulePassManager().run(module, builder)


def _enter(task: int, world: int, until_s: float, count: int, slots: int) -> int:
    w = at(world, 0, WORLD)
    if task == RUN:
        return run(w, until_s)
    if task == FIRST_ARRIVALS:
        first_arrivals(w)
    else:
        resize(w, count, slots)
    return 0


def _without_python(text: str) -> str:
    """Let the code stop the process where it would call Python, to raise an exception.

    The kernel raises none.
    """
    text = _OF_PYTHON.sub(lambda found: _TRAP.format(found[1]), text)
    return text if "declare void @llvm.trap" in text else f"{text}\ndeclare void @llvm.trap()\n"


@type_callable(at)
def _type_of_record(context: Any) -> Any:
    def typed(address: Any, index: Any, dtype: Any) -> Any:
        return signature(dtype.dtype, types.intp, types.intp, dtype)

    return typed


@lower_builtin(at, types.intp, types.intp, types.DType)
def _record_at(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    """Generate the code of ``at``: an address and an offset make a pointer to a record."""
    address, index, _ = arguments
    record = signature.return_type
    offset = builder.mul(index, ir.Constant(index.type, record.size))
    return builder.inttoptr(builder.add(address, offset), context.get_value_type(record))
