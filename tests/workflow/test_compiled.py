"""What is compiled is stored, whatever happens meanwhile."""

import signal
import threading
from typing import Any

import numba
import pytest
from numba.core.registry import cpu_target

from capplan.workflow.compiled import apart


class Rung(Exception):
    """What the handler of a signal raises, as that of an interrupt does."""


def double(x: float) -> float:
    return 2 * x


def test_what_is_compiled_is_stored_also_when_a_signal_comes_meanwhile(tmp_path, monkeypatch):
    """It comes where LLVM hands the code over: there what a handler raises is lost."""

    def ring(number: int, frame: object) -> None:
        raise Rung

    def rung(module: object, code: bytes) -> None:
        signal.raise_signal(signal.SIGUSR1)
        notify(module, code)

    engine = cpu_target.target_context.codegen()._engine._ee
    notify = engine._object_cache_notify
    monkeypatch.setattr(engine, "_object_cache_notify", rung)
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path))
    function: Any = numba.njit(double)
    function.enable_caching()
    function.compile = apart(function.compile)
    others, before = set(threading.enumerate()), signal.signal(signal.SIGUSR1, ring)
    try:
        with pytest.raises(Rung):
            function(2.0)
        for thread in set(threading.enumerate()) - others:
            thread.join()
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert len(list(tmp_path.rglob("*.nbc"))) == 1
    assert function(3.0) == 6.0
