"""The command line: make the shop ready, listen on loopback, serve, and stop in time."""

from __future__ import annotations

import argparse
import errno
import importlib.util
import math
import os
import signal
import socket
import sqlite3
import sys
import tempfile
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import FrameType

from .store import NotThisShop, prepare

HOST = "127.0.0.1"  # a till without TLS and accounts has no business on a network
EXIT_USAGE = 2
EXIT_ENVIRONMENT = 4
NEEDED = ("starlette", "uvicorn", "jinja2")
KEEP_ALIVE_S = 75  # longer than people think between pages, as web servers in front have it
GRACE_S = 5  # for requests under way when the shop closes


class Refused(Exception):
    """A start that cannot be: the message says why, ``hint`` the way out."""

    def __init__(self, exit_code: int, message: str, hint: str) -> None:
        super().__init__(message)
        self.exit_code = exit_code
        self.hint = hint


def main(argv: list[str] | None = None) -> int:
    """Run the shop until its lifetime is over or it is told to stop; return the exit code."""
    options = _options(argv)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _leave)
    try:
        if options.database:
            _run(options, options.database)
        else:
            with tempfile.TemporaryDirectory(prefix="shop-") as folder:
                _run(options, Path(folder) / "shop.sqlite3")
    except Refused as refused:
        print(f"error: {refused}\n\nhint: {refused.hint}", file=sys.stderr)
        return refused.exit_code
    return 0


def _options(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python examples/shop",
        description="A small web shop to put load on. It answers on loopback only.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--port", type=_whole(0, 65535), default=8899, help="0 takes any free port")
    add("--database", type=Path, help="file to keep the shop in; a temporary one unless given")
    add("--products", type=_whole(1, 1_000_000), default=3000, help="size of the catalogue")
    add("--seed", type=int, default=1, help="of the catalogue and of the payments")
    add("--workers", type=_whole(1, 64), default=1, help="server processes")
    add("--lifetime", type=_number(0.1, 30 * 24 * 3600), default=3600, help="in seconds")
    add("--decline-rate", type=_number(0, 1), default=0.01, help="share of cards declined")
    return parser.parse_args(argv)


def _whole(least: int, most: int) -> Callable[[str], int]:
    def whole(text: str) -> int:
        if not text.isdecimal() or not least <= int(text) <= most:
            raise argparse.ArgumentTypeError(f"{text!r} is not a number from {least} to {most}")
        return int(text)

    return whole


def _number(least: float, most: float) -> Callable[[str], float]:
    def number(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not least <= value <= most:
            raise argparse.ArgumentTypeError(f"{text!r} is not a number from {least} to {most}")
        return value

    return number


def _run(options: argparse.Namespace, database: Path) -> None:
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise Refused(
            EXIT_ENVIRONMENT,
            f"the shop needs {', '.join(missing)}, not installed here",
            f"pip install {' '.join(NEEDED)}",
        )
    # The port first: it is quicker to find taken than a catalogue is to write.
    with _listen(options.port) as listener:
        _prepare(database, options.products, options.seed)
        port = listener.getsockname()[1]
        print(f"shop: http://{HOST}:{port} ({options.products} products in {database})", flush=True)
        timer = threading.Timer(options.lifetime, os.kill, (os.getpid(), signal.SIGTERM))
        timer.daemon = True
        timer.start()
        _serve(listener, options, database)


def _listen(port: int) -> socket.socket:
    try:
        return socket.create_server((HOST, port), backlog=2048)
    except OSError as error:
        why = "is taken" if error.errno == errno.EADDRINUSE else f"cannot be used: {error.strerror}"
        raise Refused(
            EXIT_ENVIRONMENT,
            f"port {port} on {HOST} {why}",
            "choose another with --port, or let the system choose with --port 0",
        ) from error


def _prepare(database: Path, products: int, seed: int) -> None:
    try:
        prepare(database, products, seed)
    except NotThisShop as other:
        raise Refused(
            EXIT_USAGE,
            f"{database} cannot be this shop's database: {other}",
            "name another file, or give the --products and --seed it was made with",
        ) from other
    except sqlite3.Error as error:
        raise Refused(
            EXIT_ENVIRONMENT,
            f"{database} cannot be used as a database: {error}",
            "name a file in a folder that exists and can be written, with --database",
        ) from error


def _serve(listener: socket.socket, options: argparse.Namespace, database: Path) -> None:
    import uvicorn
    from uvicorn.supervisors import Multiprocess

    from .app import Settings, build_app

    config = uvicorn.Config(
        partial(build_app, Settings(database, options.seed, options.decline_rate)),
        factory=True,
        workers=options.workers,
        log_level="warning",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=GRACE_S,
        timeout_notify=1,
        callback_notify=None if options.workers == 1 else partial(_follow, os.getpid()),
    )
    if options.workers == 1:
        uvicorn.Server(config).run([listener])
    else:
        Multiprocess(config, [listener]).run()


async def _follow(supervisor_pid: int) -> None:
    """Leave with the supervisor: a worker whose parent was killed would serve for ever."""
    if os.getppid() != supervisor_pid:
        os.kill(os.getpid(), signal.SIGTERM)


def _leave(_number: int, _frame: FrameType | None) -> None:
    raise SystemExit(0)
