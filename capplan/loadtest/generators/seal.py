"""How Locust's messages are sealed: CurveZMQ, with a key that only the token gives.

Locust's master takes whoever connects, and its messages are plain text. A CurveZMQ connection
cannot be opened by who does not know the master's public key (https://rfc.zeromq.org/spec/26), and
this one is told to nobody: both sides derive it from the token. So a stranger is not let in, a
worker takes a script only from who knows the token, and what travels is encrypted.
"""

from __future__ import annotations

import hmac

import zmq
from zmq.utils import z85

TOKEN_VARIABLE = "CAPPLAN_TOKEN"
_ASK_EVERY_MS = 3_000
_PATIENCE_MS = 10_000


def seal(socket: zmq.Socket[bytes], token: str) -> None:
    """Let a socket talk only to who knows the token; before it is bound or connected.

    A ROUTER is the master's, everything else a worker's.
    """
    # a machine that is gone says nothing of it: ZeroMQ's own thread asks, whatever Python does
    socket.heartbeat_ivl, socket.heartbeat_timeout = _ASK_EVERY_MS, _PATIENCE_MS
    master_public, master_secret = _keys(token)
    if socket.type == zmq.ROUTER:
        socket.curve_secretkey, socket.curve_server = master_secret, True
    else:
        socket.curve_publickey, socket.curve_secretkey = zmq.curve_keypair()
        socket.curve_serverkey = master_public


def _keys(token: str) -> tuple[bytes, bytes]:
    """Return the master's key pair; any 32 bytes are a secret key of Curve25519."""
    secret = z85.encode(hmac.new(token.encode(), b"capplan master", "sha256").digest())
    return zmq.curve_public(secret), secret
