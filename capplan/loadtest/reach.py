"""What the generator's machine lets it do: open files, and ports towards the target.

Each user holds a connection, which is an open file of its process and, towards one address of a
target, a port of the machine that nobody else can have.
"""

from __future__ import annotations

import errno
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from capplan.errors import SetupError
from capplan.loadtest.protocol import MOST_USERS
from capplan.results.base import Note
from capplan.results.capacity import Trial

FEWEST_USERS = 50
"""A smaller pool is of no use: before the first trial it has twenty users."""

_OWN_FILES = 100  # libraries, the log, the socket to the parent, and what the script opens
_PORTS_LEFT = 0.9  # others on the machine need some, too
_USUAL_PORTS = (32768, 60999)
_SHORTAGES = (
    (f"[Errno {errno.EMFILE}]", "out_of_files", "ran out of open files", "raise it: ulimit -n"),
    (
        f"[Errno {errno.EADDRNOTAVAIL}]",
        "out_of_ports",
        "ran out of ports: each connection holds one, for a minute after its end as well",
        "let users keep their connections, or use more machines: --expect-workers",
    ),
)


@dataclass(frozen=True, slots=True)
class Reach:
    """How many users there may be at once, and what keeps it from more."""

    users: int
    because: str = ""
    advice: str = ""

    @property
    def note(self) -> Note:
        """Say what keeps the pool small."""
        return Note(
            code="few_users",
            message=f"there could be no more than {self.users:,} users at once: {self.because}",
            advice=self.advice,
        )


def reach(files: int, ports: int, processes: int) -> Reach:
    """Return the largest pool of ``processes`` that may each open so many files.

    ``ports`` is how many connections the machine can have to one address. Raises ``SetupError``
    where the pool would be too small for any load.

    >>> reach(files=1_048_576, ports=28_232, processes=1).users
    5000
    >>> reach(files=1_024, ports=28_232, processes=2)
    Reach(users=1848, because='a process may open 1,024 files', advice='raise it: ulimit -Hn 65536')
    """
    by_files, by_ports = processes * max(0, files - _OWN_FILES), int(_PORTS_LEFT * ports)
    users = min(MOST_USERS, by_files, by_ports)
    if users == MOST_USERS:
        return Reach(users)
    if by_files <= by_ports:
        found = Reach(users, f"a process may open {files:,} files", "raise it: ulimit -Hn 65536")
    else:
        found = Reach(
            users,
            f"the machine has {ports:,} ports for connections to one address",
            "widen it: sysctl net.ipv4.ip_local_port_range='1024 65535'",
        )
    if users < FEWEST_USERS:
        raise SetupError(f"the load generator cannot work: {found.because}", found.advice)
    return found


def own_reach(processes: int, elsewhere: Sequence[int] = ()) -> Reach:
    """Return the largest pool of processes on this machine and of workers ``elsewhere``.

    Of these it is known how many files each may open. A process raises its soft limit to the hard
    one before it needs them.
    """
    if not elsewhere:
        return reach(file_limit(), _local_ports(), processes)
    least = min([*elsewhere, file_limit()] if processes else elsewhere)
    machines = len(elsewhere) + bool(processes)
    return reach(least, machines * _local_ports(), processes + len(elsewhere))


def without_means(trial: Trial) -> Trial:
    """Judge again a trial in which the generator's machine had no file or port left.

    A connection that the generator could not open is no failure of the target.
    """
    for sign, code, what, advice in _SHORTAGES:
        if any(sign in error for error in trial.errors):
            note = Note(code=code, message=f"the generator {what}", advice=advice)
            notes = (*trial.notes, note)
            return trial.model_copy(update={"outcome": "invalid", "notes": notes})
    return trial


def file_limit() -> int:
    """Return how many files a process of this machine may open at most."""
    if sys.platform == "win32":
        return 8192
    import resource

    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    return 10**9 if hard == resource.RLIM_INFINITY else hard


def _local_ports() -> int:
    try:
        first, last = map(int, Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split())
    except (OSError, ValueError):
        first, last = _USUAL_PORTS
    return last - first + 1
