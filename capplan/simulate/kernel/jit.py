"""Compile functions, and reach the tables of a simulation from compiled code.

The kernel keeps its state in plain tables of records, and one record, the *world*, that holds their
addresses and everything that is single. A compiled function is handed the world alone: one pointer,
where arrays would be copied and counted at every call (measured: ten times slower, and half a
minute of compiling).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

_OPTIONS: Any = {"error_model": "numpy", "nogil": True, "no_cfunc_wrapper": True}

F = TypeVar("F", bound=Callable[..., Any])


def jitted(function: F) -> F:
    """Compile a function; its type for a reader and for mypy stays that of the Python function.

    Functions that it calls become part of it, also from other files. A division by zero gives
    infinity. Runs do not hold the interpreter's lock: threads simulate several worlds at once. None
    is called from C, and to compile wrappers for that takes a second.
    """
    return cast(F, njit(**_OPTIONS)(function))


wide: Any = np.int64
"""Widen a whole number from a table: what takes it is compiled once, not for every width."""


def _record_at(typing_context: Any, address: Any, index: Any, dtype: Any) -> Any:
    """Generate the code of :func:`at`: an address and an offset make a pointer to a record."""
    record = dtype.dtype
    signature = record(types.intp, types.intp, dtype)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        first, number, _ = arguments
        offset = builder.mul(number, ir.Constant(number.type, record.size))
        return builder.inttoptr(builder.add(first, offset), context.get_value_type(record))

    return signature, generate


at: Any = intrinsic(_record_at)
"""``at(address, index, dtype)``: a record of the table at ``address``; nobody checks bounds."""
