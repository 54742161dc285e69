"""A worker that comes to a master over real sockets: who is let in, and what is taken from whom."""

import base64
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Any

import msgpack
import pytest
import zmq

from capplan.errors import SetupError
from capplan.loadtest.generators import join
from capplan.loadtest.generators.seal import seal
from capplan.loadtest.protocol import MESSAGE

TOKEN = "only for this test"


@contextmanager
def master(
    answer: dict[str, Any] | None, token: str = TOKEN, lasts_s: float = 30.0
) -> Iterator[int]:
    """Listen as Locust's master does, and give whoever is let in that answer."""
    with zmq.Context() as context, context.socket(zmq.ROUTER) as router:
        router.linger = 0
        seal(router, token)
        port = router.bind_to_random_port("tcp://127.0.0.1")
        over = threading.Event()
        ends_at = monotonic() + lasts_s

        def serve() -> None:
            while not over.is_set() and monotonic() < ends_at:
                if router.poll(20):
                    name, _ = router.recv_multipart()
                    if answer is not None:
                        said = msgpack.dumps((MESSAGE, answer, name.decode()))
                        router.send_multipart([name, said])
            router.close()

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield port
        finally:
            over.set()
            thread.join()


@contextmanager
def listener(talk: Callable[[socket.socket], None]) -> Iterator[int]:
    """Listen, and do with each connection what ``talk`` does."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(5.0)

        def serve() -> None:
            for _ in range(2):  # the first one only looks whether anybody listens
                connection, _ = listening.accept()
                with connection:
                    talk(connection)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listening.getsockname()[1]
        finally:
            thread.join()


def joins(port: int, host: str = "127.0.0.1", wait_s: float = 1.0) -> None:
    join.join(host, port, TOKEN, wait_s, lambda _: None)


def script(**files: str) -> dict[str, Any]:
    """What a master sends: files by their names."""
    return {
        "files": {name: base64.b64encode(text.encode()).decode() for name, text in files.items()}
    }


def test_a_worker_takes_no_script_from_who_does_not_know_the_token(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with (
        master(script(shop="import os"), token="another") as port,
        pytest.raises(SetupError, match="it does not know the token in CAPPLAN_TOKEN") as refused,
    ):
        joins(port)
    assert "command that the load test printed" in refused.value.hint
    assert list(tmp_path.rglob("*")) == []


def test_nothing_is_written_outside_of_the_folder_of_the_script(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with (
        master({"files": {"../shop.py": ""}}) as port,
        pytest.raises(SetupError, match="it sends a file that lies elsewhere"),
    ):
        joins(port)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_refusal_is_passed_on_in_its_words(host):
    with (
        master({"refused": "it has capplan 0.0.1"}) as port,
        pytest.raises(SetupError, match=r"was not joined: it has capplan 0\.0\.1"),
    ):
        joins(port, host)


def test_of_a_name_the_address_is_taken_at_which_somebody_listens(monkeypatch):
    """A name may have several, and ZeroMQ would try the first."""
    plain = socket.getaddrinfo

    def two(host: str, *arguments: Any, **options: Any) -> Any:
        some = plain("127.0.0.1", *arguments, **options)
        dead = plain("127.0.0.2", *arguments, **options)
        return dead + some if host == "shop.test" else plain(host, *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", two)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        found = join._wait_for("shop.test", listening.getsockname()[1], 0.0)
    assert found == ("127.0.0.1", "127.0.0.1")


def test_a_worker_waits_as_long_as_the_load_test_is_there():
    """It is let in between two trials, and a trial may last for hours."""
    with pytest.raises(SetupError, match="it has hung up"), master(None, lasts_s=1.0) as port:
        joins(port, wait_s=0.1)


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "or is no load test"),
        (b"", "or is no load test"),
    ],
)
def test_what_is_no_load_test_is_not_joined(said, words):
    with (
        listener(lambda connection: connection.sendall(said)) as port,
        pytest.raises(SetupError, match=words),
    ):
        joins(port)


def test_what_never_answers_is_not_joined(monkeypatch):
    monkeypatch.setattr(join, "PATIENCE_S", 0.3)

    def wait(connection: socket.socket) -> None:
        while connection.recv(1000):
            pass

    with (
        listener(wait) as port,
        pytest.raises(SetupError, match="does not speak this protocol"),
    ):
        joins(port)


@pytest.mark.parametrize("host", ["127.0.0.1", "nobody.invalid", "a name with spaces"])
def test_where_nobody_listens_it_is_said_how_to_start_it(host):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(SetupError, match="no load test listens at") as refused:
        join.join(host, port, TOKEN, 0.0, lambda _: None)
    assert "--expect-workers" in refused.value.hint


def test_a_plain_client_without_a_key_is_not_heard():
    """Who has no key at all, as a plain worker of Locust, hears and is heard of nothing."""
    with (
        zmq.Context() as context,
        context.socket(zmq.ROUTER) as router,
        context.socket(zmq.DEALER) as plain,
        context.socket(zmq.DEALER) as sealed,
    ):
        for end in (router, plain, sealed):
            end.linger = 0
        seal(router, TOKEN)
        seal(sealed, TOKEN)
        port = router.bind_to_random_port("tcp://127.0.0.1")
        for client, said in ((plain, b"stranger"), (sealed, b"friend")):
            client.connect(f"tcp://127.0.0.1:{port}")
            client.send(said)
        assert router.poll(5000)
        assert router.recv_multipart()[1] == b"friend"
        assert not router.poll(200)
