"""A headless Chromium that is spoken to over a pipe, by the DevTools protocol."""

import fcntl
import itertools
import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Any


def _high(ends: tuple[int, int]) -> list[int]:
    moved = [fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10) for end in ends]
    for end in ends:
        os.close(end)
    return moved


_KEYS = {"Tab": 9, " ": 32, "ArrowRight": 39}


class Browser:
    """One page in a browser of its own; ``with`` ends it.

    ``requested`` holds the addresses that the page asked for, ``complaints`` what it wrote to its
    console: errors of scripts, and what its content security policy refused.
    """

    def __init__(self, folder: Path, *, width: int = 1100, height: int = 900) -> None:
        program = shutil.which("chromium") or shutil.which("chromium-browser")
        assert program, "chromium is missing: apt-get install chromium"
        self.requested: list[str] = []
        self.complaints: list[str] = []
        self._ids = itertools.count(1)
        self._rest = b""
        # the browser wants them as 3 and 4, which must not be in the way of each other
        theirs_in, self._out = _high(os.pipe())
        self._in, theirs_out = _high(os.pipe())
        self._process = subprocess.Popen(
            [
                "bash", "-c", f'exec "$0" "$@" 3<&{theirs_in} 4>&{theirs_out}', program,
                "--headless=new", "--no-sandbox", "--disable-gpu", "--remote-debugging-pipe",
                "--disable-dev-shm-usage", "--no-first-run", "--disable-background-networking",
                f"--user-data-dir={folder}", f"--window-size={width},{height}", "about:blank",
            ],
            pass_fds=(theirs_in, theirs_out),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )  # fmt: skip
        os.close(theirs_in)
        os.close(theirs_out)
        found = self._call("Target.getTargets")["targetInfos"]
        page = next(target for target in found if target["type"] == "page")
        attached = self._call("Target.attachToTarget", targetId=page["targetId"], flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self._page(f"{domain}.enable")
        self._page("Emulation.setDeviceMetricsOverride", width=width, height=height,
                   deviceScaleFactor=1, mobile=False)  # fmt: skip

    def __enter__(self) -> "Browser":
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._out)
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        os.close(self._in)

    def open(self, path: Path) -> None:
        """Load a file and wait until it is complete."""
        self._page("Page.navigate", url=path.as_uri())
        self.until(lambda: self.run("document.readyState") == "complete")

    def press(self, key: str) -> None:
        """Press a key, for whatever has the focus."""
        for kind in ("keyDown", "keyUp"):
            self._page("Input.dispatchKeyEvent", type=kind, key=key, code=key,
                       text=key if key == " " else "",
                       windowsVirtualKeyCode=_KEYS[key])  # fmt: skip

    def show_as(self, medium: str, scheme: str = "light") -> None:
        """Show the page on a ``screen`` or in ``print``, to somebody who likes it light or dark."""
        feature = {"name": "prefers-color-scheme", "value": scheme}
        self._page("Emulation.setEmulatedMedia", media=medium, features=[feature])

    def run(self, expression: str) -> Any:
        """Evaluate an expression in the page and return its value."""
        done = self._page("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in done, done
        return done["result"].get("value")

    def _page(self, method: str, **parameters: Any) -> Any:
        return self._call(method, self._session, **parameters)

    def _call(self, method: str, session: str | None = None, **parameters: Any) -> Any:
        number = next(self._ids)
        message = {"id": number, "method": method, "params": parameters}
        if session:
            message["sessionId"] = session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._read()
            if answer.get("id") == number:
                assert "error" not in answer, answer
                return answer["result"]
            self._note(answer)

    def _note(self, event: dict[str, Any]) -> None:
        method, said = event.get("method"), event.get("params", {})
        if method == "Network.requestWillBeSent":
            self.requested.append(said["request"]["url"])
        elif method == "Log.entryAdded":
            self.complaints.append(said["entry"]["text"])
        elif method == "Runtime.exceptionThrown":
            self.complaints.append(str(said["exceptionDetails"]))

    def _read(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            part = os.read(self._in, 1 << 20)
            assert part, "the browser has gone"
            self._rest += part
        message, _, self._rest = self._rest.partition(b"\0")
        read: dict[str, Any] = json.loads(message)
        return read

    @staticmethod
    def until(holds: Any, limit_s: float = 20.0) -> None:
        end = time.monotonic() + limit_s
        while not holds():
            assert time.monotonic() < end, "the page did not load"
