"""Load from several machines: where the load test waits for workers, and how one joins."""

from __future__ import annotations

import os
import secrets

from capplan.errors import UsageError
from capplan.loadtest.generators.join import join as join
from capplan.loadtest.generators.remote import Wanted
from capplan.loadtest.generators.seal import TOKEN_VARIABLE

USUAL_BIND = "0.0.0.0:5577"
_SHORTEST_TOKEN = 12


def wanted(count: int, bind: str) -> Wanted:
    """Return what a load test expects that waits for ``count`` workers at ``bind``.

    The token is that of the environment, as every pod of a cluster can have it, or a new one.
    """
    host, port = parse_address(bind)
    token = os.environ.get(TOKEN_VARIABLE) or secrets.token_urlsafe(18)
    if len(token) < _SHORTEST_TOKEN:
        raise UsageError(
            f"{TOKEN_VARIABLE} is too short: who guesses it can send numbers to the load test",
            f"use at least {_SHORTEST_TOKEN} characters, or none to get one",
        )
    return Wanted(count, host, port, token)


def parse_address(text: str) -> tuple[str, int]:
    """Read HOST:PORT; IPv6 in brackets.

    >>> parse_address("10.0.0.5:5577"), parse_address("[::1]:80")
    (('10.0.0.5', 5577), ('::1', 80))
    """
    host, colon, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not (colon and host and port.isascii() and port.isdigit() and int(port) <= 65_535):
        raise ValueError(f"{text!r} is not of the form HOST:PORT, such as 10.0.0.5:5577")
    return host, int(port)
