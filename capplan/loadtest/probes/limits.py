"""What a process may have: cores by affinity and quota, memory by its control group."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import psutil

_CGROUPS = Path("/sys/fs/cgroup")
_NO_LIMIT = 1 << 60  # version 1 writes "no limit" as a number near 2^63


def cores(processes: Iterable[psutil.Process]) -> float:
    """Return how many cores processes may use together: affinity, and the quotas of their groups.

    Quotas of different groups add up. A single core that several are pinned to counts once.
    """
    allowed: set[int] = set()
    quotas: dict[Path | None, float | None] = {}
    for process in processes:
        try:
            affinity = process.cpu_affinity() if hasattr(process, "cpu_affinity") else None
        except psutil.Error:
            affinity = None
        allowed.update(affinity or range(psutil.cpu_count() or 1))
        group, quota = cpu_quota(process.pid)
        quotas[group] = quota
    most = float(len(allowed) or psutil.cpu_count() or 1)
    known = [quota for quota in quotas.values() if quota is not None]
    return min(most, sum(known)) if known and len(known) == len(quotas) else most


def memory_bytes(processes: Iterable[psutil.Process]) -> float:
    """Return how much memory processes may have together: of their groups, else of the machine."""
    machine = float(psutil.virtual_memory().total)
    limits = dict(memory_limit(process.pid) for process in processes)
    known = [limit for limit in limits.values() if limit is not None]
    return min(machine, sum(known)) if known and len(known) == len(limits) else machine


def cpu_quota(
    pid: int, cgroups: Path = _CGROUPS, proc: Path = Path("/proc")
) -> tuple[Path | None, float | None]:
    """Return the group that limits the CPU of a process the most, and its quota in cores."""
    found: list[tuple[float, Path]] = []
    for folder, unified in _groups(pid, "cpu", cgroups, proc):
        if unified:
            quota, _, period = _read(folder / "cpu.max").partition(" ")
        else:
            quota, period = _read(folder / "cpu.cfs_quota_us"), _read(folder / "cpu.cfs_period_us")
        if quota.isdigit() and period.isdigit() and int(period):
            found.append((int(quota) / int(period), folder))
    least = min(found, default=None)
    return (None, None) if least is None else (least[1], least[0])


def memory_limit(
    pid: int, cgroups: Path = _CGROUPS, proc: Path = Path("/proc")
) -> tuple[Path | None, float | None]:
    """Return the group that limits the memory of a process the most, and its limit in bytes."""
    found: list[tuple[float, Path]] = []
    for folder, unified in _groups(pid, "memory", cgroups, proc):
        limit = _read(folder / ("memory.max" if unified else "memory.limit_in_bytes"))
        if limit.isdigit() and int(limit) < _NO_LIMIT:
            found.append((float(limit), folder))
    least = min(found, default=None)
    return (None, None) if least is None else (least[1], least[0])


def _groups(pid: int, controller: str, cgroups: Path, proc: Path) -> Iterator[tuple[Path, bool]]:
    """Yield the folders of a process' group and those above it; whether they are of version 2.

    In a container the path is often that of the host and its folder is not there: the root of what
    is mounted then stands for it.
    """
    for line in _read(proc / str(pid) / "cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        unified = not controllers
        if not unified and controller not in controllers.split(","):
            continue
        root = cgroups if unified else cgroups / controllers
        if not root.is_dir():
            root = cgroups / controller
        folder = root / path.lstrip("/")
        for each in (folder, *folder.parents):
            yield each, unified
            if each == root:
                break


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""
