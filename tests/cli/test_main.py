import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer

from capplan import __version__
from capplan.cli import main as program
from capplan.errors import SetupError, UsageError

PLAIN = {**os.environ, "TERM": "dumb", "COLUMNS": "80"}
HEAVY = ("numpy", "scipy", "numba", "locust", "gevent", "yaml", "pydantic")
COMMANDS: dict[str, Any] = typer.main.get_command(program.app).commands  # type: ignore[attr-defined]


def capplan(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run the program as a user does."""
    command = [sys.executable, "-m", "capplan", *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, env=PLAIN, timeout=60, check=False, **options
    )


def examples(epilog: str) -> list[str]:
    heading, _, lines = epilog.partition("\n\n")
    assert heading == "Examples:"
    return [line.strip() for line in lines.splitlines()]


def capplan_calls(line: str) -> list[list[str]]:
    words = shlex.split(line)
    calls: list[list[str]] = [[]]
    for word in words:
        if word in ("|", "&&", "||"):
            calls.append([])
        else:
            calls[-1].append(word)
    return [call[1:] for call in calls if call[0] == "capplan"]


def test_the_help_lists_the_commands_in_the_order_of_the_work() -> None:
    shown = capplan("--help")
    assert shown.returncode == 0
    places = [shown.stdout.index(f"│ {name} ") for name in COMMANDS]
    assert places == sorted(places)
    order = ["init", "estimate", "loadtest", "worker", "recommend", "simulate", "gate", "report",
             "demo", "refserver"]  # fmt: skip
    assert list(COMMANDS) == [name for name in order if name in COMMANDS]


def test_nothing_asked_is_answered_with_the_help() -> None:
    assert capplan().stdout == capplan("--help").stdout


def test_the_help_loads_nothing_heavy() -> None:
    code = (
        "import sys; from capplan.cli.main import main; main(['--help']);"
        f"print([name for name in {HEAVY} if name in sys.modules], file=sys.stderr)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stderr.strip() == "[]"


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_of_a_command_ends_with_examples(
    name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "dumb")
    assert program.main([name, "--help"]) == 0
    shown = [line.strip() for line in capsys.readouterr().out.splitlines() if line.strip()]
    lines = examples(COMMANDS[name].epilog)
    assert shown[-len(lines) :] == lines


@pytest.mark.parametrize(
    "call",
    [
        call
        for command in COMMANDS.values()
        for line in examples(command.epilog)
        for call in capplan_calls(line)
    ],
    ids=" ".join,
)
def test_an_example_in_the_help_can_be_parsed(call: list[str]) -> None:
    name, *arguments = call
    context = COMMANDS[name].make_context(name, list(arguments))
    assert context.params.keys() == {p.name for p in COMMANDS[name].params if p.name != "help"}


def test_the_version_is_printed() -> None:
    assert capplan("--version").stdout == f"capplan {__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "message", "hint"),
    [
        (["estimat"], "No such command 'estimat'. Did you mean 'estimate'", "see: capplan --help"),
        (["estimate"], "Missing argument 'PLAN'", "see: capplan estimate --help"),
        (["gate", "p", "--jnit", "x"], "No such option: --jnit", "see: capplan gate --help"),
        (["recommend", "p", "--why", "0"], "Invalid value for '--why'", "recommend --help"),
    ],
)
def test_a_wrong_call_exits_with_2_and_a_hint(
    arguments: list[str], message: str, hint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert program.main(arguments) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith(f"error: {message}")
    assert said.err.endswith(f"{hint}\n")


@pytest.mark.parametrize("command", ["estimate", "recommend", "simulate", "gate"])
def test_a_missing_plan_is_an_error_with_a_way_out(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert program.main([command, "nowhere.yaml"]) == 2
    said = capsys.readouterr()
    assert said.err == (
        "error: nowhere.yaml does not exist\n\nhint: write a plan with: capplan init\n"
    )


def failing_app(error: BaseException) -> typer.Typer:
    app = typer.Typer()

    @app.command()
    def fail() -> None:
        raise error

    return app


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (UsageError("bad plan", "mend it"), 2, "error: bad plan\n\nhint: mend it\n"),
        (SetupError("port 80 is taken"), 4, "error: port 80 is taken\n"),
        (KeyboardInterrupt(), 130, "error: interrupted\n"),
    ],
)
def test_what_a_user_can_cause_becomes_a_message_and_an_exit_code(
    error: BaseException,
    code: int,
    said: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(program, "app", failing_app(error))
    assert program.main([]) == 0  # a lone command would run: main asks for help instead
    capsys.readouterr()
    assert program.main(["--"]) == code
    assert capsys.readouterr().err == said


def test_a_bug_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(program, "app", failing_app(ZeroDivisionError("bug")))
    with pytest.raises(ZeroDivisionError):
        program.main(["--"])


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("asked", ["--version", "--help"])
def test_a_reader_who_has_seen_enough_is_no_error(asked: str, unbuffered: str) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as closed:
        ran = subprocess.run(
            [sys.executable, "-m", "capplan", asked],
            env={**PLAIN, "PYTHONUNBUFFERED": unbuffered},
            stdout=closed,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert (ran.returncode, ran.stderr) == (0, "")


def test_a_name_that_the_terminal_cannot_show_is_no_error(tmp_path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "capplan", "estimate", "größe.yaml"],
        env={**PLAIN, "PYTHONIOENCODING": "ascii"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 2
    assert ran.stderr.startswith("error: gr??e.yaml does not exist")
