"""The child process of ``RefServer``: its configuration as JSON in, one line of JSON out.

The line has the ``url`` once the server listens, or ``error``, ``hint`` and ``exit_code``.
"""

from __future__ import annotations

import json
import sys

from capplan.errors import CapplanError, UsageError
from capplan.refserver.config import RefServerConfig
from capplan.refserver.server import serve


def main(arguments: list[str]) -> int:
    """Serve as the only argument says and return the exit code."""
    try:
        if len(arguments) != 1:
            raise UsageError(
                f"{len(arguments)} arguments instead of one configuration",
                "use the command capplan refserver",
            )
        serve(RefServerConfig.from_json(arguments[0]), lambda url: _say({"url": url}))
    except CapplanError as error:
        code = int(error.exit_code)
        _say({"error": error.message, "hint": error.hint, "exit_code": code})
        return code
    return 0


def _say(line: dict[str, object]) -> None:
    print(json.dumps(line), flush=True)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
