"""``capplan simulate`` as a user meets it."""

import json
from pathlib import Path

import pytest

from capplan.cli.main import main

PLAN = """
sale: {start: 2026-11-27T12:00:00+01:00, duration: 5 min}
audience: [{channel: push, reach: 10k, visits: 2% to 5%, arrive: within 2 min}]
visit: {requests: 8, duration: 40 s}
servers: {planned: 2, capacity: 50 rps, price: $0.17/h}
policy: {value_per_visit: $2}
saleday: {attempts: 3, timeout: 2 s, surprise: 8x}
"""


@pytest.fixture(autouse=True)
def _workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    for name, value in (("TERM", "dumb"), ("COLUMNS", "80"), ("XDG_CACHE_HOME", str(tmp_path))):
        monkeypatch.setenv(name, value)
    Path("sale.yaml").write_text(PLAN)


def test_the_first_line_says_what_becomes_of_the_sale(capsys):
    assert main(["simulate", "sale.yaml"]) == 0
    said = capsys.readouterr()
    first = said.out.splitlines()[0]
    assert first.startswith("With 8x the demand and bots, unprotected: ")
    assert "visits paid that could" in first
    assert "With the protections: " in first
    assert "lost" in first
    assert "$" in first
    for part in ("hidden capacity", "the second sale", "Settings of the protections", "next: "):
        assert part in said.out
    assert max(map(len, said.out.splitlines()[1:])) <= 80
    assert len(said.err.splitlines()) == 7  # a line for each act


def test_json_is_the_result_and_nothing_else(capsys):
    assert main(["simulate", "sale.yaml", "--json", "-o", "copy.json"]) == 0
    text = capsys.readouterr().out
    result = json.loads(text)
    assert result["schema"] == "capplan.simulation/1"
    assert len(result["acts"]) == 7
    assert Path("copy.json").read_text() == text


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--only", "moat"], "'moat' is not a protection"),
        (["--only", "waf", "--with", "waf"], "exclude each other"),
        (["--visitors", "many"], "--visitors: 'many'"),
        (["-o", "sale.yaml"], "is the plan"),
    ],
)
def test_a_mistake_is_named_without_a_traceback(arguments, said, capsys):
    assert main(["simulate", "sale.yaml", *arguments]) == 2
    err = capsys.readouterr().err
    assert said in err
    assert err.startswith("error: ")


def test_a_plan_without_capacity_says_what_to_do(capsys):
    Path("sale.yaml").write_text(PLAN.replace("capacity: 50 rps, ", ""))
    assert main(["simulate", "sale.yaml"]) == 2
    assert "hint: measure it with: capplan loadtest sale.yaml" in capsys.readouterr().err
