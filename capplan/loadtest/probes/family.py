"""The processes of the target with their children: which they are, and what their counters say."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable, Sequence
from pathlib import Path
from urllib.parse import urlsplit

import psutil

from capplan.errors import UsageError
from capplan.loadtest.probes.readings import Reading

_LOOK_AGAIN_S = 1.0  # for children that have come since
_ANY = {"0.0.0.0", "::"}


def named(pids: Iterable[int]) -> list[psutil.Process]:
    """Return the processes with these ids; ``UsageError`` for one that does not run."""
    found = []
    for pid in pids:
        try:
            found.append(psutil.Process(pid))
        except (psutil.Error, ValueError, OverflowError) as error:
            raise UsageError(
                f"no process with the id {pid} runs on this machine",
                "look it up again: --target-pid wants the id of the server's process",
            ) from error
    return found


def listeners(target: str) -> list[psutil.Process]:
    """Return the processes on this machine that listen at the address of ``target``."""
    url = urlsplit(target)
    port = url.port or {"http": 80, "https": 443}.get(url.scheme)
    try:
        wanted = {info[4][0] for info in socket.getaddrinfo(url.hostname, port)} | _ANY
        pids = {
            connection.pid
            for connection in psutil.net_connections("tcp")
            if connection.status == psutil.CONN_LISTEN
            and connection.laddr
            and connection.laddr.port == port
            and connection.laddr.ip in wanted
            and connection.pid
        }
    except (OSError, psutil.Error):
        return []
    found = []
    for pid in sorted(pids):
        try:
            found.append(psutil.Process(pid))
        except psutil.Error:  # it has ended since
            continue
    return found


def interface(target: str) -> str | None:
    """Return the network interface of this machine that has the address of ``target``."""
    try:
        wanted = {info[4][0] for info in socket.getaddrinfo(urlsplit(target).hostname, None)}
    except OSError:
        return None
    for name, addresses in psutil.net_if_addrs().items():
        if any(address.address.split("%")[0] in wanted for address in addresses):
            return name
    return None


class Family:
    """Processes with all their children, read together.

    Of a server that forks, all listen; each process counts once. The load generator's own processes
    are none of the target, also where a test serves the target from the same process.
    """

    def __init__(self, roots: Sequence[psutil.Process], nic: str | None = None) -> None:
        self.roots = tuple(roots)
        self._nic = nic
        self._members: dict[int, psutil.Process] = {}
        self._looked_s: float | None = None
        self._files_limit: dict[int, float | None] = {}

    def read(self, at_s: float) -> Reading | None:
        """Read all counters; None when no process is left that may be looked at."""
        if self._looked_s is None or at_s - self._looked_s >= _LOOK_AGAIN_S:
            self._looked_s = at_s
            self._members = {p.pid: p for p in self._family()}
        cpu_s, memory = 0.0, 0.0
        by_process: dict[int, float] = {}
        by_thread: dict[int, float] = {}
        waits: dict[int, float] = {}
        open_files: list[int | None] = []
        files_share: list[float] = []
        for pid, process in list(self._members.items()):
            try:
                with process.oneshot():
                    times = process.cpu_times()
                    memory += process.memory_info().rss
                    threads = process.threads()
            except psutil.NoSuchProcess:  # its CPU time is now in that of its parent's children
                del self._members[pid]
                continue
            except psutil.Error:
                continue
            by_thread |= {t.id: t.user_time + t.system_time for t in threads}
            waits |= _waits(pid, [t.id for t in threads])
            by_process[pid] = times.user + times.system
            # a child that has ended leaves its time to its parent, so the sum goes on
            cpu_s += by_process[pid] + getattr(times, "children_user", 0.0)
            cpu_s += getattr(times, "children_system", 0.0)
            files = self._files(process)
            open_files.append(files)
            limit = self._limit(process)
            if files is not None and limit:
                files_share.append(files / limit)
        if not by_process:
            return None
        seen_files = [count for count in open_files if count is not None]
        counters = psutil.net_io_counters(pernic=True).get(self._nic) if self._nic else None
        return Reading(
            at_s=at_s,
            cpu_s=cpu_s,
            memory_bytes=memory,
            open_files=float(sum(seen_files)) if seen_files else None,
            open_files_share=max(files_share, default=None),
            received_bytes=counters and float(counters.bytes_recv),
            sent_bytes=counters and float(counters.bytes_sent),
            process_cpu_s=by_process,
            thread_cpu_s=by_thread,
            thread_wait_s=waits,
        )

    def _family(self) -> list[psutil.Process]:
        own = os.getpid()
        ours = {own, *(child.pid for child in _children(psutil.Process(own)))}
        found = {root.pid: root for root in self.roots}
        for root in self.roots:
            # below a shell, or below ourselves, is also the load generator
            apart = root.pid in ours - {own}
            for child in _children(root):
                if apart or child.pid not in ours:
                    found[child.pid] = child
        return list(found.values())

    def _files(self, process: psutil.Process) -> int | None:
        try:
            return process.num_fds() if hasattr(process, "num_fds") else None
        except psutil.Error:
            return None

    def _limit(self, process: psutil.Process) -> float | None:
        if process.pid not in self._files_limit:
            try:
                limit = process.rlimit(psutil.RLIMIT_NOFILE)[0]
                self._files_limit[process.pid] = float(limit) if limit > 0 else None
            except (psutil.Error, AttributeError, OSError):
                self._files_limit[process.pid] = None
        return self._files_limit[process.pid]


def _waits(pid: int, threads: Iterable[int]) -> dict[int, float]:
    """Return how long threads have waited for a core in all, in seconds; only Linux counts it."""
    found = {}
    for thread in threads:
        try:
            counted = Path(f"/proc/{pid}/task/{thread}/schedstat").read_text()
            found[thread] = int(counted.split()[1]) * 1e-9
        except (OSError, IndexError, ValueError):
            continue
    return found


def _children(process: psutil.Process) -> list[psutil.Process]:
    try:
        return process.children(recursive=True)
    except psutil.Error:
        return []
