"""Loads the user's locustfile into a Locust environment, without a user interface."""

from __future__ import annotations

import traceback
from pathlib import Path
from typing import Any

import locust
from locust import User
from locust.argument_parser import get_parser
from locust.env import Environment
from locust.util.load_locustfile import load_locustfile

from capplan.loadtest.protocol import WorkerConfig


class ScriptRefused(Exception):
    """The script cannot be used; ``trace`` holds the script's own part of the traceback."""

    def __init__(self, message: str, trace: str = "") -> None:
        super().__init__(message)
        self.trace = trace


class Script:
    """The user classes of the locustfiles, ready to be spawned."""

    def __init__(self, config: WorkerConfig) -> None:
        self.notes: list[str] = []
        classes: dict[str, type[User]] = {}
        for path in config.locustfiles:
            classes |= self._load(path)
        if not classes:
            raise ScriptRefused(f"{_names(config)} defines no User class")
        options = _parse_arguments(config)
        self.environment = _environment(list(classes.values()), options, config)
        self.classes: list[type[User]] = self.environment.user_classes
        for cls in self.classes:
            cls.host = config.target
            if cls.fixed_count:
                self.notes.append(
                    f"fixed_count of {cls.__name__} is ignored: arrivals are drawn by weight"
                )
        if not any(cls.weight > 0 for cls in self.classes):
            raise ScriptRefused("no user class has a weight above zero")
        self.environment._filter_tasks_by_tags()
        for cls in self.classes:
            if not cls.tasks:
                raise ScriptRefused(f"the user class {cls.__name__} has no tasks")
        self.runner: Any = self.environment.create_local_runner()
        self.environment.events.init.fire(
            environment=self.environment, runner=self.runner, web_ui=None
        )

    def _load(self, path: str) -> dict[str, type[User]]:
        try:
            classes, shapes = load_locustfile(path)
        except (Exception, SystemExit) as error:  # the user's code may raise anything
            raise ScriptRefused(_describe(error), _script_trace(error, path)) from error
        if shapes:
            self.notes.append("the LoadTestShape in the script is ignored: capplan sets the load")
        return classes


def _describe(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"


def _script_trace(error: BaseException, path: str) -> str:
    """Return the traceback from the user's file on, without the loader's frames."""
    frames = traceback.extract_tb(error.__traceback__)
    mine = [i for i, f in enumerate(frames) if f.filename == path]
    lines = traceback.format_list(frames[mine[0] :] if mine else [])
    return "".join([*lines, *traceback.format_exception_only(error)])


def _names(config: WorkerConfig) -> str:
    return ", ".join(Path(path).name for path in config.locustfiles)


def _parse_arguments(config: WorkerConfig) -> Any:
    try:
        return get_parser().parse_args(
            ["--headless", "--host", config.target, *config.arguments],
        )
    except SystemExit as error:
        raise ScriptRefused("the script's command-line options cannot be read") from error


def _environment(classes: list[type[User]], options: Any, config: WorkerConfig) -> Environment:
    try:
        return Environment(
            user_classes=classes,
            events=locust.events,
            host=config.target,
            parsed_options=options,
            available_user_classes={cls.__name__: cls for cls in classes},  # type: ignore[misc]
            locustfile=Path(config.locustfiles[0]).name,
            parsed_locustfiles=list(config.locustfiles),
        )
    except ValueError as error:
        raise ScriptRefused(str(error)) from error
