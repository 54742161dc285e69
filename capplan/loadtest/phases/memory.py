"""How much memory the target uses, when its process runs on this machine."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable
from urllib.parse import urlsplit

import psutil


def watch_memory(target: str) -> Callable[[], float | None]:
    """Return a function that tells the resident memory, in bytes, of what listens at ``target``.

    Children of the process count. It tells None when the target is elsewhere, has ended, or may
    not be looked at.
    """
    process = _listener(target)

    def memory_bytes() -> float | None:
        if process is None:
            return None
        try:
            family = [process, *process.children(recursive=True)]
            return float(sum(member.memory_info().rss for member in family))
        except psutil.Error:
            return None

    return memory_bytes


def _listener(target: str) -> psutil.Process | None:
    url = urlsplit(target)
    port = url.port or {"http": 80, "https": 443}.get(url.scheme)
    if not _is_here(url.hostname or ""):
        return None
    try:
        pids = {
            connection.pid
            for connection in psutil.net_connections("tcp")
            if connection.status == psutil.CONN_LISTEN
            and connection.laddr
            and connection.laddr.port == port
            and connection.pid
        }
        processes = [psutil.Process(pid) for pid in pids]
        # of a server that forks, all listen; the eldest has the others among its children
        return min(processes, key=lambda process: process.create_time(), default=None)
    except psutil.Error:
        return None


def _is_here(host: str) -> bool:
    try:
        addresses = {info[4][0] for info in socket.getaddrinfo(host, None)}
    except OSError:
        return False
    return all(ipaddress.ip_address(str(a).split("%")[0]).is_loopback for a in addresses)
