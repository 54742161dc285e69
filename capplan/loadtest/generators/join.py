"""What runs on a worker machine: come to the master, take the script, and become a generator.

The process replaces itself by the generator, the same that a local child is. That connects anew, as
a worker of Locust, and ends with its connection: no second process could be left behind.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import socket
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from time import monotonic, sleep
from typing import Any, NoReturn
from uuid import uuid4

import msgpack
import zmq
from zmq.utils.monitor import parse_monitor_message

from capplan import __version__
from capplan.errors import SetupError
from capplan.loadtest.generators.child import worker_command
from capplan.loadtest.generators.seal import TOKEN_VARIABLE, seal
from capplan.loadtest.protocol import MESSAGE, WorkerConfig
from capplan.loadtest.reach import file_limit

PATIENCE_S = 5.0
"""How long the other side may take to show that it knows the token."""

_RETRY_S = 0.5


class NotJoined(Exception):
    """The other side is a stranger, refuses, or is gone; the message says which."""


def join(host: str, port: int, token: str, wait_s: float, tell: Callable[[str], None]) -> NoReturn:
    """Serve the load test that listens at ``host:port``, in place of this process.

    Raises ``SetupError`` when nobody answers there within ``wait_s``, or does not know the token.
    """
    own, theirs = _wait_for(host, port, wait_s)
    try:
        welcome = _introduce(theirs, port, token, own)
        root = _unpack(welcome["files"])
    except NotJoined as failed:
        raise SetupError(
            f"the load test at {host}:{port} was not joined: {failed}",
            "start this worker with the command that the load test printed",
        ) from failed
    config = WorkerConfig.from_json(welcome["config"])
    assert config.master is not None
    config = replace(
        config,
        locustfiles=tuple(str(root / name) for name in config.locustfiles),
        master=replace(config.master, host=theirs, port=port, token=token),
    )
    tell(f"joined the load test at {host}:{port}; it ends when that does")
    _become(config)


def _wait_for(host: str, port: int, wait_s: float) -> tuple[str, str]:
    """Wait until somebody listens there; return the own address as seen from there, and theirs.

    A name may have several, of which ZeroMQ tries only the first.
    """
    deadline = monotonic() + wait_s
    while True:
        try:
            with socket.create_connection((host, port), timeout=PATIENCE_S) as connection:
                own, theirs = connection.getsockname()[0], connection.getpeername()[0]
                return own.removeprefix("::ffff:"), theirs
        except (OSError, UnicodeError) as error:
            if monotonic() > deadline:
                raise SetupError(
                    f"no load test listens at {host}:{port}: {error}",
                    "start it first: capplan loadtest PLAN --expect-workers N",
                ) from error
            sleep(_RETRY_S)


def _introduce(host: str, port: int, token: str, own: str) -> dict[str, Any]:
    """Say who wants to take part, and return the answer; by a message as Locust writes them.

    A load test lets workers in between two trials, and a trial may last for hours.
    """
    hello = {
        "is": "knock",
        "capplan": __version__,
        "host": socket.gethostname(),
        "address": own,
        "files": file_limit(),
    }
    name = uuid4().hex
    with _sealed(host, port, token, name) as (client, ears):
        client.send(msgpack.dumps((MESSAGE, hello, name)))
        _await_the_handshake(ears)
        poller = zmq.Poller()
        for heard in (client, ears):
            poller.register(heard, zmq.POLLIN)
        if client not in dict(poller.poll()):
            raise NotJoined("it has hung up")
        _, answer, _ = msgpack.loads(client.recv())
    if "refused" in answer:
        raise NotJoined(str(answer["refused"]))
    return dict(answer)


@contextmanager
def _sealed(
    host: str, port: int, token: str, name: str
) -> Iterator[tuple[zmq.Socket[bytes], zmq.Socket[bytes]]]:
    """Connect; the second socket hears of the handshake and of the end."""
    with zmq.Context() as context, closing(context.socket(zmq.DEALER)) as client:
        client.linger, client.ipv6, client.reconnect_ivl = 0, True, -1
        client.identity = name.encode()
        seal(client, token)
        with closing(client.get_monitor_socket(_EVENTS)) as ears:
            client.connect(f"tcp://{host}:{port}")
            yield client, ears
            client.disable_monitor()


_EVENTS = (
    zmq.EVENT_HANDSHAKE_SUCCEEDED
    | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
    | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
    | zmq.EVENT_HANDSHAKE_FAILED_AUTH
    | zmq.EVENT_DISCONNECTED
)


def _await_the_handshake(ears: zmq.Socket[bytes]) -> None:
    if not ears.poll(int(PATIENCE_S * 1000)):
        raise NotJoined("it does not speak this protocol")
    event = parse_monitor_message(ears.recv_multipart())["event"]
    if event != zmq.EVENT_HANDSHAKE_SUCCEEDED:
        raise NotJoined(f"it does not know the token in {TOKEN_VARIABLE}, or is no load test")


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
            raise NotJoined(f"it sends a file that lies elsewhere: {name}")
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_name(f"{path.name}.{os.getpid()}")
        unfinished.write_bytes(base64.b64decode(text))
        unfinished.replace(path)  # a worker beside this one may be reading it
    return root


def _become(config: WorkerConfig) -> NoReturn:
    """Replace this process by the generator.

    It is told its task on a socket whose both ends are its own: no parent's end is to be noticed.
    """
    ours, theirs = socket.socketpair()
    ours.sendall(json.dumps(asdict(config)).encode() + b"\n")
    for end in (ours, theirs):
        os.set_inheritable(end.fileno(), True)
    command = worker_command(theirs.fileno())
    os.execv(command[0], command)
