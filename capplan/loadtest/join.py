"""What runs on a worker machine: connect, prove, take the script, and become a load generator.

The process replaces itself by the generator, the same that a local child is. So it ends with its
socket, and there is no second process that could be left behind.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import socket
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from time import monotonic, sleep
from typing import NoReturn

from capplan import __version__
from capplan.errors import SetupError
from capplan.loadtest.child import worker_command
from capplan.loadtest.handshake import (
    PATIENCE_S,
    HandshakeFailed,
    hear,
    keep_alive,
    nonce,
    prove,
    proven,
    say,
)
from capplan.loadtest.reach import file_limit

_RETRY_S = 0.5


def join(host: str, port: int, token: str, wait_s: float, tell: Callable[[str], None]) -> NoReturn:
    """Serve the load test that listens at ``host:port``, in place of this process.

    Raises ``SetupError`` when nobody answers there within ``wait_s``, or does not know the token.
    """
    connection = _connect(host, port, wait_s)
    connection.settimeout(max(wait_s, PATIENCE_S))  # it opens its door between two trials
    try:
        root = _introduce(connection, token)
    except HandshakeFailed as failed:
        connection.close()
        raise SetupError(
            f"the load test at {host}:{port} was not joined: {failed}",
            "start this worker with the command that the load test printed",
        ) from failed
    tell(f"joined the load test at {host}:{port}; it ends when that does")
    say(connection, unpacked=str(root))
    connection.settimeout(None)
    keep_alive(connection)
    os.set_inheritable(connection.fileno(), True)
    command = worker_command(connection.fileno())
    os.execv(command[0], command)


def _connect(host: str, port: int, wait_s: float) -> socket.socket:
    deadline = monotonic() + wait_s
    while True:
        try:
            return socket.create_connection((host, port), timeout=PATIENCE_S)
        except (OSError, UnicodeError) as error:
            if monotonic() > deadline:
                raise SetupError(
                    f"no load test listens at {host}:{port}: {error}",
                    "start it first: capplan loadtest PLAN --expect-workers N",
                ) from error
            sleep(_RETRY_S)


def _introduce(connection: socket.socket, token: str) -> Path:
    ours, greeting = nonce(), hear(connection)
    connection.settimeout(PATIENCE_S)
    theirs = str(greeting.get("nonce"))
    say(
        connection,
        capplan=__version__,
        nonce=ours,
        proof=prove(token, "worker", theirs, ours),
        host=socket.gethostname(),
        files=file_limit(),
    )
    welcome = hear(connection)
    if not proven(welcome.get("proof"), token, "parent", ours, theirs):
        raise HandshakeFailed("it does not know the token, so its script is not run")
    return _unpack(welcome["files"])


def _unpack(files: Mapping[str, str]) -> Path:
    """Write the script where one of the same content is always written; return the folder."""
    content = hashlib.sha256(json.dumps(files, sort_keys=True).encode()).hexdigest()[:16]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    root = cache / "capplan" / "scripts" / content
    try:
        root.mkdir(parents=True, exist_ok=True)
    except OSError:
        root = Path(tempfile.mkdtemp(prefix="capplan-"))
    for name, text in files.items():
        path = (root / name).resolve()
        if not path.is_relative_to(root.resolve()):
            raise HandshakeFailed(f"it sends a file that lies elsewhere: {name}")
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_name(f"{path.name}.{os.getpid()}")
        unfinished.write_bytes(base64.b64decode(text))
        unfinished.replace(path)  # a worker beside this one may be reading it
    return root
