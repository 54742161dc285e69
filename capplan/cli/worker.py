"""``capplan worker``."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from capplan.cli.options import examples, read, read_duration
from capplan.errors import ExitCode, UsageError

EPILOG = examples(
    "capplan worker 10.0.0.5:5577",
    "capplan worker loadtest.shop.svc:5577 --wait 5min",
)


def worker(
    address: Annotated[
        str, typer.Argument(metavar="HOST:PORT", help="Where the load test waits for workers.")
    ],
    wait: Annotated[
        str, typer.Option(metavar="TIME", help="How long to try when nothing listens there yet.")
    ] = "1min",
) -> ExitCode:
    """Make load for a load test that runs on another machine.

    That one is started with --expect-workers and prints the command for this one, with the token
    that CAPPLAN_TOKEN has to hold. It sends the locustfiles. What the script needs besides,
    libraries and data files, has to be here. One worker is one process: start as many as there are
    cores.
    """
    from capplan.cli.interrupt import sigterm_as_interrupt
    from capplan.loadtest.generators.seal import TOKEN_VARIABLE
    from capplan.workflow.workers import join, parse_address

    host, port = read("the address", address, parse_address)
    token = os.environ.get(TOKEN_VARIABLE, "")
    if not token:
        raise UsageError(
            f"{TOKEN_VARIABLE} is not set: the load test prints it",
            f"{TOKEN_VARIABLE}=... capplan worker {address}",
        )
    wait_s = read_duration("--wait", wait, zero=True)
    with sigterm_as_interrupt():  # the first process of a container is not ended by default
        join(host, port, token, wait_s, lambda text: print(text, file=sys.stderr, flush=True))
