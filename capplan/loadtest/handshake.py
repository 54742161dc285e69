"""How a parent and a worker on another machine prove to each other that they know one token.

Both sides need the proof: the parent must not take numbers from a stranger, and a worker must not
run a stranger's script. Each sends a nonce and gets back HMAC-SHA256(token, role, own nonce, other
nonce), so the token itself never travels. What follows is not encrypted.
"""

from __future__ import annotations

import hmac
import json
import secrets
import socket
from typing import Any, Literal

PATIENCE_S = 5.0
"""How long each side waits for the other's next line."""

TOKEN_VARIABLE = "CAPPLAN_TOKEN"
_LONGEST_LINE = 64 << 20  # bytes; a script with its modules has to fit

Role = Literal["parent", "worker"]


class HandshakeFailed(Exception):
    """The other side is a stranger, or is gone; the message says which."""


def nonce() -> str:
    """Return what the other side has to answer for."""
    return secrets.token_hex(16)


def prove(token: str, role: Role, theirs: str, ours: str) -> str:
    """Return the proof of a role for the other side's nonce.

    >>> prove("secret", "parent", "a", "b") == prove("secret", "worker", "a", "b")
    False
    """
    text = "\n".join(("capplan", role, theirs, ours))
    return hmac.new(token.encode(), text.encode(), "sha256").hexdigest()


def proven(proof: object, token: str, role: Role, ours: str, theirs: str) -> bool:
    """Return whether the other side knows the token."""
    expected = prove(token, role, ours, theirs)
    return isinstance(proof, str) and hmac.compare_digest(proof.encode(), expected.encode())


def say(connection: socket.socket, **message: Any) -> None:
    """Write one line."""
    try:
        connection.sendall(json.dumps(message).encode() + b"\n")
    except OSError as error:
        raise HandshakeFailed(f"the other side is gone: {error}") from None


def hear(connection: socket.socket) -> dict[str, Any]:
    """Read one line and nothing beyond it: what follows is for the process that takes over."""
    line = bytearray()
    try:
        while not line.endswith(b"\n"):
            ahead = connection.recv(1 << 16, socket.MSG_PEEK)
            if not ahead:
                raise HandshakeFailed("the other side has hung up")
            end = ahead.find(b"\n")
            line += connection.recv(end + 1 if end >= 0 else len(ahead))
            if len(line) > _LONGEST_LINE:
                raise HandshakeFailed("the other side does not speak this protocol")
        message = json.loads(line)
    except TimeoutError:
        raise HandshakeFailed("the other side said nothing in time") from None
    except OSError as error:
        raise HandshakeFailed(f"the connection broke: {error}") from None
    except ValueError:
        raise HandshakeFailed("the other side does not speak this protocol") from None
    if not isinstance(message, dict):
        raise HandshakeFailed("the other side does not speak this protocol")
    if "refused" in message:
        raise HandshakeFailed(str(message["refused"]))
    return message


def keep_alive(connection: socket.socket) -> None:
    """Notice within half a minute when the other machine is gone without a word."""
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (
        ("TCP_KEEPIDLE", 10),
        ("TCP_KEEPINTVL", 5),
        ("TCP_KEEPCNT", 3),
        ("TCP_USER_TIMEOUT", 20_000),  # ms
    ):
        if hasattr(socket, name):
            connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
