"""Real servers in processes of their own: one burns CPU for each request, one waits for a slot.

``python -m tests.loadtest.shops burn 0.004`` uses 4 ms of CPU for each request, on one thread;
``wait 0.05 4`` holds one of four slots for 50 ms and uses hardly any. Both end when their standard
input does.
"""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def burn(cpu_s: float) -> None:
    """Use so much CPU time of this thread."""
    until_s = time.thread_time() + cpu_s
    while time.thread_time() < until_s:
        pass


async def serve(kind: str, each_s: float, slots: int) -> None:
    places = asyncio.Semaphore(slots)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            while True:
                await reader.readuntil(b"\r\n\r\n")
                if kind == "burn":
                    burn(each_s)
                else:
                    async with places:
                        await asyncio.sleep(each_s)
                writer.write(ANSWER)
                await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, backlog=1000)
    print(server.sockets[0].getsockname()[1], flush=True)
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()

    def wait_for_the_parent() -> None:
        sys.stdin.read()
        loop.call_soon_threadsafe(ended.set)

    threading.Thread(target=wait_for_the_parent, daemon=True).start()
    await ended.wait()


@contextlib.contextmanager
def shop(kind: str, each_s: float, slots: int = 1) -> Iterator[tuple[str, int]]:
    """Serve in a process of its own; yields its URL and the process' id."""
    command = [sys.executable, "-m", "tests.loadtest.shops", kind, str(each_s), str(slots)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdin
        assert child.stdout
        try:
            yield f"http://127.0.0.1:{int(child.stdout.readline())}", child.pid
        finally:
            child.stdin.close()


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1], float(sys.argv[2]), int(sys.argv[3])))
