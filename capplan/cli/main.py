"""The program ``capplan``: its commands in the order of the work, its errors and exit codes.

Loading this module loads no maths and no plan: each command imports what it runs.
"""

from __future__ import annotations

import gc
import os
import select
import sys
from collections.abc import Sequence
from typing import Annotated, TextIO

import typer

from capplan import __version__
from capplan.cli import (
    demo,
    estimate,
    gate,
    init,
    loadtest,
    recommend,
    refserver,
    report,
    simulate,
    worker,
)
from capplan.cli.options import examples
from capplan.errors import CapplanError, ExitCode

app = typer.Typer(
    name="capplan",
    add_completion=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=examples(
        "capplan demo",
        "capplan init && capplan estimate sale.yaml",
    ),
)


def _version(asked: bool) -> None:
    if asked:
        sys.stdout.write(f"capplan {__version__}\n")
        raise typer.Exit()


@app.callback(
    help="Load testing and capacity planning before a flash sale.\n\n"
    "How much traffic will come, how much one server carries, how many servers to start, and what "
    "each choice costs and risks."
)
def capplan(
    version: Annotated[
        bool,
        typer.Option(
            "--version", metavar="", callback=_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    """Take the options that belong to no command."""


for panel, command, epilog in (
    ("Plan the sale", init.init, init.EPILOG),
    ("Plan the sale", estimate.estimate, estimate.EPILOG),
    ("Measure", loadtest.loadtest, loadtest.EPILOG),
    ("Measure", worker.worker, worker.EPILOG),
    ("Decide", recommend.recommend, recommend.EPILOG),
    ("Decide", simulate.simulate, simulate.EPILOG),
    ("Decide", gate.gate, gate.EPILOG),
    ("Decide", report.report, report.EPILOG),
    ("Try it out", demo.demo, demo.EPILOG),
    ("Try it out", refserver.refserver, refserver.EPILOG),
):
    text = "\n\n".join(" ".join(part.split()) for part in (command.__doc__ or "").split("\n\n"))
    app.command(help=text, epilog=epilog, rich_help_panel=panel)(command)


def run() -> None:
    """Run the command line of this process and end it with the exit code of the answer."""
    # by default garbage is looked for some hundred times while modules load: a tenth of a command
    gc.set_threshold(200_000, 20, 20)
    code = main(sys.argv[1:])
    _flush(sys.stdout)
    gc.freeze()  # nothing that is left is searched for garbage, which takes a tenth of a second
    sys.exit(code)


def main(arguments: Sequence[str]) -> int:
    """Run one command line and return its exit code.

    Whatever a user can cause becomes a message on stderr; anything else is a bug and is raised.
    """
    stdout_was = os.fstat(1)
    for stream in (sys.stdout, sys.stderr):
        # a name in the plan may have characters that this terminal has not
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    try:
        code = typer.main.get_command(app).main(
            list(arguments) or ["--help"], prog_name="capplan", standalone_mode=False
        )
    except CapplanError as error:
        _complain(error.message, error.hint)
        return error.exit_code
    except typer.TyperException as error:
        message = error.format_message().replace(": Value error, ", ": ")  # Pydantic's own word
        _complain(message.rstrip("."), _help_hint(error))
        return error.exit_code
    except KeyboardInterrupt:
        code = ExitCode.INTERRUPTED
    except SystemExit as ended:
        # Typer ends the process at any broken pipe; only that of stdout is none of our business
        if isinstance(ended.__context__, BrokenPipeError) and not _reader_is_gone(stdout_was):
            raise ended.__context__ from None
        return ExitCode.OK
    if code == ExitCode.INTERRUPTED:
        _complain("interrupted", "")
    return code or ExitCode.OK


def _complain(message: str, hint: str) -> None:
    sys.stderr.write(f"error: {message}\n" + (f"\nhint: {hint}\n" if hint else ""))


def _help_hint(error: typer.TyperException) -> str:
    context = getattr(error, "ctx", None)
    return f"see: {context.command_path} --help" if context else "see: capplan --help"


def _reader_is_gone(stdout_was: os.stat_result) -> bool:
    if not os.path.samestat(os.fstat(1), stdout_was):
        return True  # Rich has met it first, and lets what is left go to /dev/null
    poll = select.poll()
    poll.register(1, 0)
    return any(event & select.POLLERR for _, event in poll.poll(0))


def _flush(stream: TextIO) -> None:
    try:
        stream.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
