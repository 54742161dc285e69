"""How many files this process may open: each user's connection is one."""

from __future__ import annotations

import sys

_MACOS_MOST = 10_240  # where the hard limit says "none", and the system does not mean it


def raise_file_limit() -> None:
    """Let this process open as many files as it may; the usual soft limit is 1,024."""
    if sys.platform == "win32":
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    except (ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, _MACOS_MOST), hard))
