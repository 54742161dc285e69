"""Loads the user's locustfiles into a Locust environment, without a user interface."""

from __future__ import annotations

import inspect
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import locust
from locust import User
from locust.env import Environment
from locust.runners import WorkerRunner
from locust.util.load_locustfile import load_locustfile

from capplan.loadtest.protocol import MOST_USERS, WorkerConfig
from capplan.loadtest.worker import options
from capplan.loadtest.worker.clients import HostRefused


class ScriptRefused(Exception):
    """The script or its options cannot be used.

    ``trace`` holds the script's own part of the traceback.
    """

    def __init__(self, message: str, trace: str = "", why: str = "script") -> None:
        super().__init__(message)
        self.trace = trace
        self.why = why


class Script:
    """The user classes of the locustfiles, ready to be spawned.

    ``weights`` shares the arrivals among the classes. A class with a ``fixed_count`` has weight
    zero: so many of its users run beside the load at their own pace (``beside``), since their
    number is what the script fixes, whatever the load.
    """

    def __init__(self, config: WorkerConfig) -> None:
        self.notes: list[str] = []
        self._files = config.locustfiles
        self._shapes = False
        classes = self._load_all(config)
        try:
            parsed = options.parse(config.arguments, config.target)
        except options.OptionRefused as error:
            raise ScriptRefused(str(error), why="options") from error
        chosen = _choose(classes, getattr(parsed, "user_classes", []))
        self.environment = _environment(chosen, parsed, config)
        self.classes: list[type[User]] = self.environment.user_classes
        for cls in self.classes:
            cls.host = config.target
        self.weights, self._all_beside = self._share()
        self.beside: dict[type[User], int] = {}
        self.environment._filter_tasks_by_tags()
        for cls in self.classes:
            if not cls.tasks:
                raise ScriptRefused(f"the user class {cls.__name__} has no tasks")
        self.runner: Any = _runner(self.environment, config)
        self.runner.target_user_count = MOST_USERS

    def describe(self, error: BaseException) -> str:
        """Return an error in one line, with the line of the script from which it came."""
        text, mine = describe(error), self._frames(error)
        if isinstance(error, HostRefused) or not mine:
            return text
        return f"{text[:200]} ({Path(mine[-1].filename).name}, line {mine[-1].lineno})"

    def has_part_in(self, error: BaseException) -> bool:
        """Return whether a line of the script lies on the way to the error."""
        return bool(self._frames(error))

    def trace(self, error: BaseException) -> str:
        """Return the traceback from the script's first line on, without ours and Locust's."""
        return _script_trace(error, self._files)

    def _frames(self, error: BaseException) -> list[traceback.FrameSummary]:
        frames = traceback.extract_tb(error.__traceback__)
        return [frame for frame in frames if frame.filename in self._files]

    def initialise(self) -> None:
        """Tell the script of its runner, as Locust does before anything is asked of that."""
        self.environment.events.init.fire(
            environment=self.environment, runner=self.runner, web_ui=None
        )

    def begin(self) -> None:
        """Tell the script that the test starts."""
        self.environment.events.test_start.fire(environment=self.environment)

    def close(self) -> None:
        """Tell the script that all is over."""
        self.environment.events.quitting.fire(environment=self.environment, reverse=True)
        self.environment.events.quit.fire(exit_code=0)

    def lead(self) -> None:
        """Run the users with a fixed number here, and in no other of several processes."""
        self.beside = self._all_beside

    def report(self) -> None:
        """Send the master what a worker's statistics hold, as Locust does at the end."""
        if isinstance(self.runner, WorkerRunner):
            self.runner._send_stats()

    def guard_end(self, ended: Callable[[], None]) -> Callable[..., None]:
        """Call ``ended`` when the script stops the test by itself; return the real stop.

        Without users every arrival would go unserved, as if the target had failed.
        """
        stop: Callable[..., None] = self.runner.stop
        self.runner.stop = self.runner.quit = ended
        return stop

    def _load_all(self, config: WorkerConfig) -> dict[str, type[User]]:
        classes: dict[str, type[User]] = {}
        for path in config.locustfiles:
            for name, cls in self._load(path).items():
                if name in classes and inspect.getfile(cls) != inspect.getfile(classes[name]):
                    raise ScriptRefused(
                        f"the user class {name} is defined twice: in "
                        f"{Path(inspect.getfile(classes[name])).name} and in {Path(path).name}"
                    )
                classes.setdefault(name, cls)
        if not classes:
            names = ", ".join(Path(path).name for path in config.locustfiles)
            instead = _instead(config) or ("only a LoadTestShape" if self._shapes else "")
            raise ScriptRefused(f"{names} defines no User class{instead and f', {instead}'}")
        return classes

    def _load(self, path: str) -> dict[str, type[User]]:
        try:
            classes, shapes = load_locustfile(path)
        except (Exception, SystemExit) as error:  # the user's code may raise anything
            raise ScriptRefused(describe(error), _script_trace(error, (path,))) from error
        if shapes:
            self._shapes = True
            self.notes.append("the LoadTestShape in the script is ignored: capplan sets the load")
        return classes

    def _share(self) -> tuple[dict[type[User], float], dict[type[User], int]]:
        fixed = {cls: int(cls.fixed_count) for cls in self.classes if cls.fixed_count}
        if len(fixed) == len(self.classes):
            self.notes.append(
                "all user classes have a fixed_count: arrivals are shared in its proportion"
            )
            return {cls: float(count) for cls, count in fixed.items()}, {}
        for cls, count in fixed.items():
            self.notes.append(
                f"{cls.__name__} has a fixed_count: {count} of them run beside the load at the "
                "script's own pace, and their requests are not in the rate"
            )
        return {cls: 0.0 if cls in fixed else float(cls.weight) for cls in self.classes}, fixed


def describe(error: BaseException) -> str:
    """Return an error in one line."""
    return f"{type(error).__name__}: {error}"


def _script_trace(error: BaseException, files: tuple[str, ...]) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    mine = [i for i, f in enumerate(frames) if f.filename in files]
    lines = traceback.format_list(frames[mine[0] :] if mine else [])
    return "".join([*lines, *traceback.format_exception_only(error)])


def _instead(config: WorkerConfig) -> str:
    for path in config.locustfiles:
        module = sys.modules.get(Path(path).stem)
        if any(name.startswith("test_") for name in vars(module or object)):
            return "but test functions for pytest, which have no tasks that arrivals could run"
    return ""


def _choose(classes: dict[str, type[User]], names: list[str]) -> list[type[User]]:
    unknown = [name for name in names if name not in classes]
    if unknown:
        message = f"the script has no user class {unknown[0]!r}, only {', '.join(classes)}"
        raise ScriptRefused(message, why="options")
    return [classes[name] for name in names or classes]


def _runner(environment: Environment, config: WorkerConfig) -> Any:
    at = config.master
    if config.role == "master" and at:
        return environment.create_master_runner(at.host, at.port)
    runner: Any
    if config.role == "worker" and at:
        runner = environment.create_worker_runner(at.host, at.port)
    else:
        runner = environment.create_local_runner()
    runner.worker_index = config.index  # by which scripts deal out their accounts
    return runner


def _environment(classes: list[type[User]], parsed: Any, config: WorkerConfig) -> Environment:
    parsed.master, parsed.worker = config.role == "master", config.role == "worker"
    try:
        return Environment(
            user_classes=classes,
            events=locust.events,
            host=config.target,
            parsed_options=parsed,
            available_user_classes={cls.__name__: cls for cls in classes},  # type: ignore[misc]
            locustfile=Path(config.locustfiles[0]).name,
            parsed_locustfiles=list(config.locustfiles),
        )
    except ValueError as error:
        raise ScriptRefused(str(error)) from error
