"""The target before any load: whether it may be loaded, and whether something answers."""

import socket
from collections.abc import Iterator

import pytest

from capplan.errors import SetupError, UsageError
from capplan.loadtest.target import require_loadable


@pytest.fixture
def port() -> Iterator[int]:
    """A port of loopback that listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def unused_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        number: int = listener.getsockname()[1]
    return number


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "LOCALHOST"])
def test_a_server_on_this_machine_may_be_loaded(port, host):
    require_loadable(f"http://{host}:{port}/shop", allowed_hosts=())


def test_a_target_that_is_down_is_a_setup_error_with_its_address():
    url = f"http://127.0.0.1:{unused_port()}"
    with pytest.raises(SetupError, match=f"nothing answers at {url}: Connection refused") as down:
        require_loadable(url, allowed_hosts=())
    assert "--target" in down.value.hint


# 0.0.0.0 connects to this machine, but is no loopback address: it stands for any other host here


def test_another_machine_must_be_named(port):
    with pytest.raises(UsageError, match="is not on this machine") as refused:
        require_loadable(f"http://0.0.0.0:{port}", allowed_hosts=("shop.example.com",))
    assert "0.0.0.0" in refused.value.hint
    assert "stubbed" in refused.value.hint


def test_another_machine_that_was_named_may_be_loaded(port):
    require_loadable(f"http://0.0.0.0:{port}", allowed_hosts=("0.0.0.0",))


@pytest.mark.parametrize("written", ["shop.example.com", "Shop.Example.com"])
def test_names_are_compared_whatever_their_case(monkeypatch, port, written):
    def elsewhere(*_: object, **__: object) -> list[tuple[object, ...]]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.1", port))]

    def connect(address: tuple[str, int], timeout: float) -> socket.socket:
        assert address == ("shop.example.com", port)
        return socket.socket()

    monkeypatch.setattr(socket, "getaddrinfo", elsewhere)
    monkeypatch.setattr(socket, "create_connection", connect)
    require_loadable(f"http://SHOP.example.com:{port}", allowed_hosts=(written,))


def test_a_machine_that_was_not_named_is_not_even_connected():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        number = listener.getsockname()[1]
        with pytest.raises(UsageError):
            require_loadable(f"http://0.0.0.0:{number}", allowed_hosts=())
        listener.settimeout(0)
        with pytest.raises(BlockingIOError):
            listener.accept()


@pytest.mark.parametrize(
    "target",
    [
        "127.0.0.1:8899",
        "ftp://127.0.0.1",
        "http://",
        "http://:8899",
        "",
        "http://[::1",
        "http://127.0.0.1:99999",
        "http://127.0.0.1:port",
        "http://127.0.0.1:8899/shop?page=1",
        "http://127.0.0.1:8899/#top",
    ],
)
def test_what_is_no_address_is_a_usage_error_that_shows_it(target):
    with pytest.raises(UsageError) as refused:
        require_loadable(target, allowed_hosts=())
    assert repr(target) in refused.value.message


@pytest.mark.parametrize("host", ["a..b", "." * 3, "x" * 70, "shop\0.example"])
def test_a_name_that_no_resolver_takes_cannot_be_found(host):
    with pytest.raises(SetupError, match="cannot be found") as unknown:
        require_loadable(f"http://{host}:8899", allowed_hosts=())
    assert "service.target" in unknown.value.hint
