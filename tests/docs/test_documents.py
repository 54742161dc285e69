"""What the documentation shows and names is what there is."""

import importlib.util
import itertools
import json
import re
import shlex
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import typer

from capplan.cli.main import app
from capplan.errors import ExitCode
from capplan.plan.load import load_plan

ROOT = Path(__file__).parents[2]
spec = importlib.util.spec_from_file_location("transcript", ROOT / "docs" / "transcript.py")
assert spec is not None
assert spec.loader is not None
transcript = importlib.util.module_from_spec(spec)
spec.loader.exec_module(transcript)

DOCUMENTS = sorted(
    path.relative_to(ROOT).as_posix()
    for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), transcript.EXAMPLES]
)
SHOWING = [path.relative_to(ROOT).as_posix() for path in transcript.DOCUMENTS]
COMMANDS: dict[str, Any] = typer.main.get_command(app).commands  # type: ignore[attr-defined]


def text_of(document: str) -> str:
    return (ROOT / document).read_text("utf-8")


def code_lines() -> list[str]:
    """Every line of every code block of all documents, without a prompt."""
    return [
        line.removeprefix("$ ")
        for document in DOCUMENTS
        for block in re.findall(r"^```\w+\n(.*?)^```", text_of(document), re.DOTALL | re.MULTILINE)
        for line in block.splitlines()
    ]


def calls(line: str) -> list[list[str]]:
    """The calls of capplan in a line of a shell script."""
    words = [word for word in shlex.split(line, comments=True) if word != "2>/dev/null"]
    parts = itertools.groupby(words, lambda word: word in ("|", "||", "&&", ";", ">"))
    commands = [list(part) for is_operator, part in parts if not is_operator]
    return [command[1:] for command in commands if command[0].rpartition("/")[2] == "capplan"]


def test_the_documentation_is_found():
    assert {"README.md", "CONTRIBUTING.md", "docs/methods.md"} <= set(DOCUMENTS)
    assert len(transcript.BLOCK.findall(text_of("README.md"))) >= 5


@pytest.mark.timeout(600)  # some twenty commands, one of which compiles
@pytest.mark.parametrize("document", SHOWING)
def test_what_is_shown_is_what_a_fresh_run_prints(document):
    with transcript.workplace() as place:
        # renew both with: make docs
        assert place.renewed(text_of(document)) == text_of(document)
        if ROOT / document == transcript.EXAMPLES:
            results = place.results()
            assert len(results) >= 3 * 2 + 6
            for path, result in results.items():
                assert transcript.holds(json.loads(path.read_text("utf-8")), result), path


@pytest.mark.parametrize("plan", transcript.PLANS, ids=lambda plan: plan.stem)
def test_the_documents_are_made_before_the_sale_of_an_example(plan):
    start = load_plan(plan).plan.sale.start
    made_at = datetime.fromisoformat(transcript.NOW)
    assert start > made_at
    text = plan.read_text("utf-8")
    assert transcript.ahead(text, made_at) == text
    moved = transcript.ahead(text, start)
    assert [line for line in moved.splitlines() if line not in text.splitlines()] == [
        f"  start: {(start + timedelta(days=364)).isoformat()}"
    ]


@pytest.mark.parametrize(
    ("now", "start"),
    [
        ("2026-11-27T10:59:59+00:00", "2026-11-27T12:00:00+01:00"),
        ("2026-11-27T11:00:00+00:00", "2027-11-26T12:00:00+01:00"),
        ("2027-11-26T10:59:59+00:00", "2027-11-26T12:00:00+01:00"),
        ("2029-06-01T00:00:00+00:00", "2029-11-23T12:00:00+01:00"),
    ],
)
def test_a_sale_that_is_over_is_moved_to_the_same_weekday_and_time_of_a_later_year(now, start):
    plan = "sale:\n  start: {}  # noon\n  duration: 2 h\nsaleday: {{bots: [{{start: 30 s}}]}}\n"
    before = plan.format("2026-11-27T12:00:00+01:00")
    assert transcript.ahead(before, datetime.fromisoformat(now)) == plan.format(start)


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_transcript_is_announced_and_so_compared(document):
    text = text_of(document)
    assert text.count("```console") == len(transcript.BLOCK.findall(text))


def test_scripts_that_are_marked_to_be_run_do_run():
    scripts = [
        script
        for document in SHOWING
        for script in re.findall(r"<!-- run -->\n```sh\n(.*?)```", text_of(document), re.DOTALL)
    ]
    assert len(scripts) >= 1
    for script in scripts:
        with transcript.workplace() as place:
            done = place.run(script)
        assert done.returncode == 0, script + done.stderr


def test_every_command_line_can_be_parsed():
    shown = [call for line in code_lines() if "capplan " in line for call in calls(line)]
    assert {call[0] for call in shown} >= set(COMMANDS) - {"init"}
    for name, *arguments in shown:
        COMMANDS[name].make_context(name, arguments)


def test_every_target_of_make_that_is_named_exists():
    targets = set(re.findall(r"^(\w+):", text_of("Makefile"), re.MULTILINE))
    named = {name for line in code_lines() for name in re.findall(r"^make (\w+)", line)}
    assert named
    assert named <= targets


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_link_leads_somewhere(document):
    for target in re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", text_of(document)):
        if "://" not in target:
            assert (ROOT / document).parent.joinpath(target).exists(), target


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_file_that_is_named_exists(document):
    tops = "capplan|tests|benchmarks|examples|locustfiles|docs"
    for path in re.findall(rf"`((?:{tops})/[\w./-]+)`", text_of(document)):
        assert (ROOT / path).exists(), path


def test_the_table_of_exit_codes_is_complete():
    table = re.findall(r"^\| (\d+) \|", text_of("README.md"), re.MULTILINE)
    assert [int(code) for code in table] == sorted(ExitCode)
