"""Locust's master, between the load test and its workers.

The script finds here what it finds in every master of Locust: it may prepare data and send it to
the workers. How many users there are and what they do is not dealt out by it, since arrivals are
Poisson at each worker for itself: so Locust's dispatcher has nothing to do. For each worker there
is a line, a socket on which the load test hears and speaks as if the worker were its own child.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, NoReturn

import gevent
import zmq
from gevent.queue import Queue
from locust.rpc import Message
from locust.runners import STATE_RUNNING

from capplan.loadtest.protocol import MESSAGE
from capplan.loadtest.worker.link import ENDS_BY_ITSELF, Command, Orders, ParentLink
from capplan.loadtest.worker.script import Script

_KNOCK_EVERY_S = 0.25
_LAST_WORDS_S = 0.2  # what a worker said before its end may still be on the way
_CLEAN_UP_S = 1.0
_STRANGERS = zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL | zmq.EVENT_HANDSHAKE_FAILED_AUTH


class Line:
    """The line between the load test and one worker.

    ``client`` is the worker's name among Locust's, once it has said something. A worker on this
    machine has a ``lifeline``, a socket that ends with its process; one elsewhere is asked for.
    """

    def __init__(
        self,
        index: int,
        ours: socket.socket,
        lifeline: socket.socket | None,
        pass_on: Callable[[str, Command], None],
        forget: Callable[[Line], None],
    ) -> None:
        self.index = index
        self.client: str | None = None
        self.lifeline = lifeline
        self.is_open = True
        self._socket, self._pass_on, self._forget = ours, pass_on, forget
        self._early: list[Command] = []
        self._heard: Queue[bytes | None] = Queue()
        gevent.spawn(self._read)
        gevent.spawn(self._write)
        if lifeline:
            gevent.spawn(self._outlive, lifeline)

    def hear(self, client: str, said: str) -> None:
        """Pass on what the worker has said."""
        self.client = client
        self._heard.put(said.encode() + b"\n")
        while self._early:
            self._pass_on(client, self._early.pop(0))

    def end(self) -> None:
        """Hang up: the worker is gone."""
        self._heard.put(None)

    def _read(self) -> None:
        for message in _messages(self._socket):
            if self.client is None:
                self._early.append(message)
            else:
                self._pass_on(self.client, message)
        if self.is_open and self.client is not None:
            self._pass_on(self.client, {"do": "leave"})
        self.end()

    def _write(self) -> None:
        while (said := self._heard.get()) is not None:
            try:
                self._socket.sendall(said)
            except OSError:
                break
        self.is_open = False
        # its own reader may be waiting on it: closing alone would not wake it
        _hang_up(self._socket)
        if self.lifeline:
            self.lifeline.close()
        self._forget(self)

    def _outlive(self, lifeline: socket.socket) -> None:
        for _ in _messages(lifeline):
            pass
        gevent.sleep(_LAST_WORDS_S)
        self.end()


class Conductor:
    """The script at the master, and the lines to its workers."""

    def __init__(self, link: ParentLink, script: Script) -> None:
        self._link, self._script, self._runner = link, script, script.runner
        self._lines: dict[int, Line] = {}
        self._leaving = False
        self._stop = script.guard_end(self._ended)
        # nothing is dealt out anew when a worker comes or goes, and no test is over by that
        self._runner.start = self._runner.check_stopped = _do_nothing
        self._runner.register_message(MESSAGE, self._hear)
        # a new connection has the port of the old one
        self._runner.master_bind_port = self._runner.server.port

    def serve(self) -> NoReturn:
        """Say where workers can connect, then obey until the parent says quit."""
        gevent.spawn(self._look_for_the_dead)
        gevent.spawn(self._look_for_strangers)
        self._script.initialise()  # which may take its time, and workers knock meanwhile
        orders: Orders = {
            "line": self._line,
            "answer": self._answer,
            "begin": self._begin,
            "quit": self._quit,
        }
        self._link.send({"is": "listening", "port": self._runner.server.port})
        self._link.obey(orders, gevent.sleep)

    def _line(self, command: Command) -> None:
        """Take the sockets of a worker that is about to connect."""
        ends = [socket.socket(fileno=self._link.descriptor()) for _ in range(command["sockets"])]
        lifeline = ends[1] if len(ends) > 1 else None
        line = Line(command["index"], ends[0], lifeline, self._tell, self._forget)
        self._lines[command["line"]] = line

    def _answer(self, command: Command) -> None:
        """Pass on what becomes of somebody who knocked, unless they are gone again."""
        said = Message(MESSAGE, command["message"], command["to"])
        if not self._reached(said) and command["line"] in self._lines:
            self._lines[command["line"]].end()

    def _begin(self, command: Command) -> None:
        """Tell the script that the test starts: all its workers are there."""
        self._script.begin()
        self._runner.update_state(STATE_RUNNING)
        self._link.send({"is": "begun"})

    def _quit(self, command: Command) -> None:
        self._leaving = True
        gevent.spawn(self._clean_up).join(timeout=_CLEAN_UP_S)
        self._link.leave(0)

    def _clean_up(self) -> None:
        self._stop(send_stop_to_client=False)
        self._script.close()

    def _ended(self, **_: Any) -> None:
        """Refuse the script when it ends the test; Locust itself does without workers."""
        if not self._leaving and self._runner.worker_count:
            self._link.refuse(ENDS_BY_ITSELF)

    def _hear(self, msg: Message, **_: Any) -> None:
        if "line" not in msg.data:
            self._link.send({**msg.data, "from": msg.node_id})
            return
        line = self._lines.get(msg.data["line"])
        if line and line.is_open:
            self._runner.worker_indexes[msg.node_id] = line.index  # not in the order of connecting
            line.hear(msg.node_id, msg.data["said"])
        else:
            self._tell(msg.node_id, {"do": "leave"})

    def _tell(self, client: str, message: Command) -> None:
        self._runner.server.send_to_client(Message(MESSAGE, message, client))

    def _look_for_the_dead(self) -> None:
        while True:
            gevent.sleep(_KNOCK_EVERY_S)
            for line in list(self._lines.values()):
                if line.client and not line.lifeline and not self._reached(_heartbeat(line.client)):
                    line.end()

    def _reached(self, message: Message) -> bool:
        """Send a message, and return whether whom it is for is connected."""
        router = self._runner.server.socket
        router.setsockopt(zmq.ROUTER_MANDATORY, 1)
        try:
            router.send_multipart([message.node_id.encode(), message.serialize()], zmq.NOBLOCK)
        except zmq.ZMQError as error:
            return error.errno != zmq.EHOSTUNREACH
        finally:
            router.setsockopt(zmq.ROUTER_MANDATORY, 0)
        return True

    def _forget(self, line: Line) -> None:
        self._lines = {n: other for n, other in self._lines.items() if other is not line}
        if line.client:
            self._runner.clients.pop(line.client, None)

    def _look_for_strangers(self) -> None:
        ears = self._runner.server.socket.get_monitor_socket(_STRANGERS)
        while True:
            ears.recv_multipart()
            self._link.send({"is": "stranger"})


def _heartbeat(client: str) -> Message:
    """Return what Locust's masters say now and then."""
    return Message("heartbeat", None, client)


def _messages(connection: socket.socket) -> Iterator[dict[str, Any]]:
    pending = b""
    while True:
        try:
            chunk = connection.recv(1 << 16)
        except OSError:
            return
        if not chunk:
            return
        *lines, pending = (pending + chunk).split(b"\n")
        yield from map(json.loads, lines)


def _hang_up(connection: socket.socket) -> None:
    with suppress(OSError):  # the other side was quicker
        connection.shutdown(socket.SHUT_RDWR)
    connection.close()


def _do_nothing(*_: Any, **__: Any) -> None:
    pass
