"""Checks of the target before any load: that it may be loaded, and that something answers."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Collection
from urllib.parse import SplitResult, urlsplit

from capplan.errors import SetupError, UsageError

CONNECT_TIMEOUT_S = 3.0


def require_loadable(target: str, allowed_hosts: Collection[str]) -> None:
    """Refuse a target that is not on this machine and was not named in the plan.

    Raises ``UsageError`` for a malformed or unnamed target, ``SetupError`` when its name cannot be
    resolved or nothing listens there.
    """
    url = _split(target)
    target = without_credentials(target)
    host = url.hostname or ""
    port = url.port or {"http": 80, "https": 443}[url.scheme]
    try:
        addresses = {info[4][0] for info in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)}
    except (OSError, UnicodeError) as error:  # the latter for a name that no resolver takes
        raise SetupError(
            f"the target {target} cannot be found: {error}", "check service.target in the plan"
        ) from error
    local = all(ipaddress.ip_address(str(a).split("%")[0]).is_loopback for a in addresses)
    if not local and host not in map(str.lower, allowed_hosts):
        raise UsageError(
            f"the target {target} is not on this machine",
            f"if it may be loaded, add {host} to service.allowed_hosts, with payments and mail "
            "stubbed there",
        )
    try:
        socket.create_connection((host, port), timeout=CONNECT_TIMEOUT_S).close()
    except OSError as error:
        raise SetupError(
            f"nothing answers at {target}: {error.strerror or error}",
            "start the server first, or name another one with --target",
        ) from error


def without_credentials(target: str) -> str:
    """Return an address without the name and password in it: results are shown and committed.

    >>> without_credentials("https://jo:secret@[::1]:8443/shop"), without_credentials("http://a.b")
    ('https://[::1]:8443/shop', 'http://a.b')
    """
    url = urlsplit(target)
    return url._replace(netloc=url.netloc.rpartition("@")[2]).geturl()


def is_loopback(host: str) -> bool:
    """Return whether a host, by its name or address, is the machine itself for every machine."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def host_of(target: str) -> str:
    """Return the host of a target's address."""
    return _split(target).hostname or ""


def is_here(target: str) -> bool:
    """Return whether the target's address is one of this machine's own."""
    import psutil

    own = {a.address for each in psutil.net_if_addrs().values() for a in each}
    try:
        found = socket.getaddrinfo(_split(target).hostname, None, type=socket.SOCK_STREAM)
    except OSError:
        return False
    addresses = {str(info[4][0]) for info in found}
    return any(a in own or ipaddress.ip_address(a.split("%")[0]).is_loopback for a in addresses)


def _split(target: str) -> SplitResult:
    try:
        url = urlsplit(target)
        _ = url.port
    except ValueError as error:
        raise UsageError(f"{target!r} is not an address: {error}") from error
    if url.scheme not in ("http", "https") or not url.hostname:
        raise UsageError(
            f"{target!r} is not an address that can be loaded",
            "write it like http://127.0.0.1:8899",
        )
    if url.query or url.fragment:
        raise UsageError(
            f"{without_credentials(target)!r} is more than the address that all paths begin with",
            "leave out what follows the ? or #: the script says what is asked",
        )
    return url
