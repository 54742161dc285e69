"""The reference server as a process: it listens, says where, and ends by itself."""

from __future__ import annotations

import asyncio
import errno
import os
import resource
import signal
import threading
from collections.abc import Callable
from contextlib import suppress

from capplan.errors import SetupError
from capplan.refserver.config import RefServerConfig
from capplan.refserver.protocol import HttpConnection
from capplan.refserver.work import Work

_BACKLOG = 4096  # connections of a whole crowd that comes at once
_MOST_FILES = 65_536


def serve(config: RefServerConfig, announce: Callable[[str], None]) -> None:
    """Serve until the lifetime is over, or until SIGTERM, SIGINT or the end of standard input.

    ``announce`` gets the URL once requests are accepted. Call it from the main thread. Raises
    ``SetupError`` when the address cannot be had.
    """
    _allow_many_files()
    asyncio.run(_serve(config, announce))


async def _serve(config: RefServerConfig, announce: Callable[[str], None]) -> None:
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    loop.call_later(config.lifetime_s, ended.set)
    if config.exit_with_stdin:
        threading.Thread(target=_await_stdin, args=(loop, ended), daemon=True).start()
    connections: set[asyncio.Transport] = set()
    server = await _listen(config, Work(config, loop.time()), connections)
    try:
        announce(_url(server))
        await ended.wait()
    finally:
        server.close()
        for connection in list(connections):
            connection.abort()


async def _listen(
    config: RefServerConfig, work: Work, connections: set[asyncio.Transport]
) -> asyncio.Server:
    loop = asyncio.get_running_loop()
    try:
        return await loop.create_server(
            lambda: HttpConnection(work, loop, connections),
            config.address,
            config.port,
            backlog=_BACKLOG,
        )
    except OSError as error:
        where = f"port {config.port} on {config.address}"
        if error.errno == errno.EADDRINUSE:
            raise SetupError(
                f"{where} is already in use", "choose another port, or 0 for any free one"
            ) from None
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise SetupError(
            f"{where} cannot be opened: {reason}", "use 127.0.0.1 and port 0 for any free one"
        ) from None


def _url(server: asyncio.Server) -> str:
    host, port = server.sockets[0].getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _await_stdin(loop: asyncio.AbstractEventLoop, ended: asyncio.Event) -> None:
    # a thread, since the event loop cannot watch a standard input that is a file or /dev/null
    with suppress(OSError):
        while os.read(0, 4096):
            pass
    with suppress(RuntimeError):  # the loop ended first
        loop.call_soon_threadsafe(ended.set)


def _allow_many_files() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, _MOST_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
