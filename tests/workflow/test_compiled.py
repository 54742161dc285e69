"""What is compiled is stored, whatever happens meanwhile; what is damaged is compiled anew."""

import signal
import threading

import pytest

from capplan.simulate.kernel import machine
from capplan.workflow.compiled import keep_compiled


class Rung(Exception):
    """What the handler of a signal raises, as that of an interrupt does."""


def test_what_is_compiled_is_stored_also_when_a_signal_comes_meanwhile(
    tmp_path, monkeypatch, compiled
):
    code, rung = machine.code(), threading.Event()

    def ring(number: int, frame: object) -> None:
        rung.set()
        raise Rung

    def compiling() -> bytes:
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGUSR1)
        assert rung.wait(10.0)
        return code

    monkeypatch.setattr(machine, "code", compiling)
    others, before = set(threading.enumerate()), signal.signal(signal.SIGUSR1, ring)
    try:
        with pytest.raises(Rung):
            keep_compiled(tmp_path)
        for thread in set(threading.enumerate()) - others:
            thread.join()
    finally:
        signal.signal(signal.SIGUSR1, before)
    (stored,) = tmp_path.iterdir()
    assert stored.read_bytes().endswith(code)


def test_what_is_damaged_or_cannot_be_stored_is_made_anew(tmp_path, compiled):
    place = keep_compiled(tmp_path / "new")
    assert place
    whole = place.read_bytes()
    place.write_bytes(whole[:-1])
    assert keep_compiled(tmp_path / "new") == place
    assert place.read_bytes() == whole
    (tmp_path / "file").touch()
    assert keep_compiled(tmp_path / "file") is None
