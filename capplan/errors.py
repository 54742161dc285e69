"""The one tree of errors a user can cause, and the one table of exit codes.

Every error says what happened, with which value, and what to do about it. The command line prints
``message`` and, after a blank line, ``hint``; it never prints a traceback for one of these.
"""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """What the process tells its caller; CI depends on these numbers."""

    OK = 0
    BUG = 1
    USAGE = 2
    FAILED = 3
    ENVIRONMENT = 4
    INCONCLUSIVE = 5
    INTERRUPTED = 130


class CapplanError(Exception):
    """An error whose cause lies outside capplan.

    ``message`` says what happened and which value was involved; ``hint`` says what to do next.
    """

    exit_code: ExitCode = ExitCode.BUG

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(CapplanError):
    """The command, a plan, a result or an input file is not usable as it is (exit 2)."""

    exit_code = ExitCode.USAGE


class SetupError(CapplanError):
    """Something outside is missing or unreachable: a target, a port, a tool, a disk (exit 4)."""

    exit_code = ExitCode.ENVIRONMENT


class Interrupted(CapplanError):
    """The user ended the run; what was measured before is kept (exit 130)."""

    exit_code = ExitCode.INTERRUPTED


class NotMet(CapplanError):
    """The answer is no: the SLA, the capacity or the budget cannot be met (exit 3)."""

    exit_code = ExitCode.FAILED


class Inconclusive(CapplanError):
    """There is no answer that could be trusted (exit 5)."""

    exit_code = ExitCode.INCONCLUSIVE
