"""Two strangers find out whether they know one token, over real sockets."""

import contextlib
import socket
import threading
from collections.abc import Iterator

import pytest

from capplan.errors import SetupError
from capplan.loadtest import handshake, join
from capplan.loadtest.handshake import HandshakeFailed, hear, prove, proven, say


@contextlib.contextmanager
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    for end in (ours, theirs):
        end.settimeout(5.0)
    with ours, theirs:
        yield ours, theirs


def test_a_line_is_heard_and_nothing_beyond_it():
    """What follows is for the process that takes over the socket."""
    with pair() as (ours, theirs):
        ours.sendall(b'{"nonce": "1"}\n{"locustfiles": []}\n')
        assert hear(theirs) == {"nonce": "1"}
        assert theirs.recv(100) == b'{"locustfiles": []}\n'


@pytest.mark.parametrize(
    ("sent", "words"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", "does not speak this protocol"),
        (b"[1]\n", "does not speak this protocol"),
        (b'{"refused": "the token is wrong"}\n', "the token is wrong"),
        (b'{"half a line', "has hung up"),
        (b"", "has hung up"),
    ],
)
def test_anything_else_is_refused_in_words(sent, words):
    with pair() as (ours, theirs):
        ours.sendall(sent)
        ours.shutdown(socket.SHUT_WR)
        with pytest.raises(HandshakeFailed, match=words):
            hear(theirs)


def test_a_line_without_an_end_is_not_kept_for_ever(monkeypatch):
    monkeypatch.setattr(handshake, "_LONGEST_LINE", 1000)
    with pair() as (ours, theirs):
        ours.sendall(b"x" * 2000)
        with pytest.raises(HandshakeFailed, match="does not speak this protocol"):
            hear(theirs)


def test_a_proof_is_good_for_one_token_one_role_and_one_pair_of_nonces():
    good = prove("token", "worker", "theirs", "ours")
    assert proven(good, "token", "worker", "theirs", "ours")
    assert not proven(good, "other", "worker", "theirs", "ours")
    assert not proven(good, "token", "parent", "theirs", "ours")
    assert not proven(good, "token", "worker", "ours", "theirs")
    assert not proven(good, "token", "worker", "theirs", "again")
    assert not proven(None, "token", "worker", "theirs", "ours")
    assert not proven("ä", "token", "worker", "theirs", "ours")


@pytest.mark.parametrize(
    ("proof", "files", "words"),
    [
        (False, {"shop.py": "aGFjaw=="}, "does not know the token, so its script is not run"),
        (True, {"../shop.py": "aGFjaw=="}, "it sends a file that lies elsewhere"),
    ],
)
def test_a_worker_runs_no_script_of_a_stranger(tmp_path, monkeypatch, proof, files, words):
    """Not of one without the token, and nothing is written outside of its folder."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    listener = socket.create_server(("127.0.0.1", 0))

    def impostor() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.settimeout(5.0)
            say(connection, capplan="1", nonce="n")
            hello = hear(connection)
            real = prove("token", "parent", str(hello["nonce"]), "n")
            say(connection, proof=real if proof else "0" * 64, files=files)

    thread = threading.Thread(target=impostor)
    thread.start()
    try:
        with pytest.raises(SetupError, match=words):
            join.join("127.0.0.1", listener.getsockname()[1], "token", 1.0, lambda _: None)
    finally:
        thread.join()
        listener.close()
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
