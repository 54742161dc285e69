"""Locust's own messages, which carry what a load test and its workers say to each other.

A worker of Locust connects to its master by ZeroMQ, and each message is a type with data. Ours have
one type, beside those of Locust and of the script. Of Locust this replaces ``BaseSocket.__init__``,
to seal the sockets that its runners open. Contract tests cover it.
"""

from __future__ import annotations

import json
import math
import os
from types import SimpleNamespace
from typing import Any, NoReturn
from uuid import uuid4

import zmq
from gevent.monkey import get_original
from locust import runners
from locust.rpc import Message, zmqrpc

from capplan.loadtest.generators.seal import seal
from capplan.loadtest.protocol import MESSAGE, MasterAddress
from capplan.loadtest.worker.link import Link

_LOST = (
    zmq.EVENT_DISCONNECTED
    | zmq.EVENT_CONNECT_RETRIED
    | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
    | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
)
_LAST_WORDS_MS = 2000


def seal_all(token: str) -> None:
    """Seal every socket that Locust opens from now on; a worker's ends with its master."""
    sockets: Any = zmqrpc.BaseSocket
    plain = sockets.__init__

    def sealed(holder: Any, kind: int, *arguments: Any) -> None:
        plain(holder, kind, *arguments)
        seal(holder.socket, token)
        if kind == zmq.DEALER:
            _leave_when_lost(holder.socket)

    sockets.__init__ = sealed


class MasterLink(Link):
    """A worker's messages to and from its master, which passes them on."""

    def __init__(self, master: MasterAddress) -> None:
        super().__init__()
        seal_all(master.token)
        # by the wall's clock, which may leap; ZeroMQ says when the master is gone
        library: Any = runners
        library.MASTER_HEARTBEAT_TIMEOUT = math.inf
        self._master = master
        name = uuid4().hex
        client = zmqrpc.Client(master.host, master.port, name)
        # until there is a runner, and kept: its end would be that of the process
        self._before: Any = SimpleNamespace(client=client, client_id=name)
        self._runner = self._before

    def attach(self, runner: Any) -> None:
        """Speak through the worker's runner."""
        self._runner = runner
        runner.register_message(MESSAGE, self._hear)

    def send(self, message: dict[str, Any]) -> None:
        """Write one message; it waits while the queue to the master is full."""
        # as JSON: MessagePack cannot say half a surrogate pair, and a shop can
        data = {"line": self._master.line, "said": json.dumps(message)}
        said = Message(MESSAGE, data, self._runner.client_id)
        self._runner.client.socket.send(said.serialize())

    def leave(self, code: int) -> NoReturn:
        """End this process when the master's machine has what was said."""
        socket = self._runner.client.socket
        socket.disable_monitor()
        socket.close(linger=_LAST_WORDS_MS)
        socket.context.term()
        os._exit(code)

    def _hear(self, msg: Message, **_: Any) -> None:
        self._inbox.append(msg.data)


def _leave_when_lost(socket: Any) -> None:
    """End this process when its master is gone, even in a task that never gives control back.

    A native thread waits for it, by ZeroMQ without gevent.
    """
    told = f"inproc://lost-{uuid4().hex}"
    socket.monitor(told, _LOST)
    ears: zmq.Socket[bytes] = zmq.Context.shadow(socket.context.underlying).socket(zmq.PAIR)
    ears.connect(told)
    get_original("_thread", "start_new_thread")(_wait_and_leave, (ears,))


def _wait_and_leave(ears: zmq.Socket[bytes]) -> None:
    try:
        ears.recv()
    except zmq.ContextTerminated:  # it leaves by itself
        ears.close(linger=0)
        return
    os._exit(0)
