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


pytestmark = pytest.mark.usefixtures("compiled")


@pytest.fixture(autouse=True)
def _workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    for name, value in (("TERM", "dumb"), ("COLUMNS", "80")):
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
    assert main(["simulate", "sale.yaml", "--no-ranking", "--json", "-o", "copy.json"]) == 0
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
        (["--csv", "sale.yaml"], "is the plan"),
        (["--visitors", "0"], "--visitors: '0' must be more than zero"),
        (["--visitors", "-5k"], "--visitors: '-5k' must be more than zero"),
        (["--visitors", "0.5"], "--visitors: '0.5' is nobody"),
        (["--visitors", "1e308"], "--visitors: '1e308' is out of all proportion"),
        (["--percentile", "p100"], "--percentile: 'p100' is not a percentile from p0.1"),
        (["--percentile", "high"], "--percentile: 'high' is not a percentile"),
        (["--percentile", "p95", "--visitors", "1M"], "exclude each other"),
        (["--combinations", "--no-ranking"], "--combinations belongs to the ranking"),
        (["--scale", "2"], "--scale: '2' is not a share"),
        (["--scale", "0"], "--scale: '0' is not more than zero"),
        (["--find", "breaking-point", "--csv", "a.csv"], "--find stands alone"),
        (["--find", "treasure"], "'treasure' is not"),
        (["--sweep", "attempts"], "does not say what to vary"),
        (["--sweep", "saleday.attemps=1..5"], "the plan has no saleday.attemps"),
        (["--visitors", "1000M"], "one by one takes about"),
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


def test_the_breaking_point_is_found_for_each_set_of_protections(capsys):
    options = ["--find", "breaking-point", "--only", "queue-bound,waf"]
    assert main(["simulate", "sale.yaml", *options]) == 0
    out = capsys.readouterr().out
    assert out.splitlines()[0].startswith("2 servers survive ")
    for row in ("none ", "queue-bound ", "waf ", "all 2 "):
        assert f"\n{row}" in out
    assert main(["simulate", "sale.yaml", *options, "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["schema"] == "capplan.breakingpoints/1"
    assert len(result["points"]) == 8


def test_a_key_is_swept_with_a_table_and_a_file(capsys):
    options = ["--sweep", "saleday.attempts=1..3", "--only", "queue-bound", "--csv", "a.csv"]
    assert main(["simulate", "sale.yaml", *options]) == 0
    said = capsys.readouterr()
    assert said.out.startswith("saleday.attempts from 1 to 3: of the visits that could, ")
    rows = Path("a.csv").read_text().splitlines()
    assert rows[0].startswith("saleday.attempts,act,protections,servers,visits,paid,")
    assert len(rows) == 1 + 3 * 4


def test_the_acts_are_written_second_by_second(capsys):
    assert main(["simulate", "sale.yaml", "--no-ranking", "--csv", "s.csv"]) == 0
    assert "What each protection is worth" not in capsys.readouterr().out
    rows = Path("s.csv").read_text().splitlines()
    assert rows[0].startswith("act,protected,t_s,class,offered,attempts,admitted,cached,")
    assert {row.split(",")[0] for row in rows[1:]} == {
        "as planned", "surprise", "surprise + bots", "the second sale",
    }  # fmt: skip


def test_the_demand_can_be_that_of_another_percentile(capsys):
    totals = []
    for name in ("p50", "p95"):
        arguments = ["--no-ranking", "--only", "", "--percentile", name, "--json"]
        assert main(["simulate", "sale.yaml", *arguments]) == 0
        result = json.loads(capsys.readouterr().out)
        assert result["model"]["percentile"] == float(name[1:])
        totals.append([act["visits"] for act in result["acts"]])
    # 2% to 5% of 10,000: 316 visits at the median, 500 at p95; and the surprise is that of the p95
    assert totals[1][0] == pytest.approx(totals[0][0] * 500 / 316, rel=0.2)
    assert totals[1][1] > 1.3 * totals[0][1]


def test_a_part_of_the_sale_is_simulated_and_says_so(capsys):
    assert main(["simulate", "sale.yaml", "--no-ranking", "--scale", "0.5"]) == 0
    assert "50% of demand and fleet were simulated" in " ".join(capsys.readouterr().out.split())
