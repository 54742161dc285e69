"""The child's main program: what has to be done before Locust is imported, then the generator."""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType

from capplan.loadtest.protocol import WorkerConfig
from capplan.loadtest.worker.files import raise_file_limit
from capplan.loadtest.worker.link import ParentLink


def main() -> None:
    """Serve the parent on the socket whose descriptor is the last argument."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _leave)
    link = ParentLink(int(sys.argv[-1]))  # its thread has to start before Locust patches threads
    config = WorkerConfig.from_json(link.first())
    raise_file_limit()

    from capplan.loadtest.worker.generator import serve

    serve(link, config)


def _leave(number: int, frame: FrameType | None) -> None:
    """End at once: in a container this is the first process, to which signals do nothing."""
    os._exit(128 + number)


if __name__ == "__main__":
    main()
