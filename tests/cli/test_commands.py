import json
import re
import shlex
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from io import BytesIO, TextIOWrapper
from pathlib import Path

import pytest

from capplan.cli.main import main
from capplan.results.demand import Demand
from capplan.results.store import from_json

PLAN = """
sale: {start: 2026-11-27T12:00:00+01:00, duration: 2 h}
audience: [{channel: email, reach: 4M, visits: 1% to 3%, arrive: within 1 h}]
visit: {requests: 20 to 60}
servers: {planned: 40, capacity: 350 to 420 rps, price: $0.17/h}
"""


@dataclass(frozen=True)
class Ran:
    code: int
    out: str
    err: str


@pytest.fixture(autouse=True)
def _workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test works in a folder with a plan; nothing depends on the terminal or on CI."""
    monkeypatch.chdir(tmp_path)
    for name in ("GITHUB_STEP_SUMMARY", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setenv("COLUMNS", "80")
    Path("sale.yaml").write_text(PLAN)


@pytest.fixture
def capplan(capsys: pytest.CaptureFixture[str]) -> Callable[[str], Ran]:
    def run(line: str) -> Ran:
        capsys.readouterr()
        code = main(shlex.split(line))
        said = capsys.readouterr()
        return Ran(code, said.out, said.err)

    return run


Capplan = Callable[[str], Ran]


def test_an_estimate_is_answered_in_words_first_and_ends_with_the_next_command(
    capplan: Capplan,
) -> None:
    ran = capplan("estimate sale.yaml --draws 1000")
    assert (ran.code, ran.err) == (0, "")
    first, *_, last = ran.out.splitlines()
    assert re.fullmatch(
        r"Expect a peak of [\d,]+ rps \([\d,]+ to [\d,]+ with 90% confidence\), .* the start\.",
        first,
    )
    assert last == "next: capplan loadtest sale.yaml"


def test_a_recommendation_starts_with_the_count_the_time_the_risk_and_the_cost(
    capplan: Capplan,
) -> None:
    ran = capplan("recommend sale.yaml")
    assert (ran.code, ran.err) == (0, "")
    assert re.match(
        r"Start \d+ servers by \d\d:\d\d: overload risk [\d.<%]+ at \$[\d.,]+\.\n", ran.out
    )


@pytest.mark.parametrize(
    ("planned", "code", "word"), [(40, 0, "PASS"), (1, 3, "FAIL")], ids=["enough", "too few"]
)
def test_the_gate_says_its_verdict_first_and_exits_with_it(
    planned: int, code: int, word: str, capplan: Capplan
) -> None:
    Path("sale.yaml").write_text(PLAN.replace("planned: 40", f"planned: {planned}"))
    ran = capplan("gate sale.yaml")
    assert (ran.code, ran.err) == (code, "")
    assert ran.out.startswith(f"{word}: ")


def test_a_policy_that_no_count_meets_exits_with_3(capplan: Capplan) -> None:
    Path("sale.yaml").write_text(PLAN.replace("planned: 40", "limit: 2"))
    ran = capplan("recommend sale.yaml")
    assert ran.code == 3
    assert ran.out.startswith("No server count meets the policy; the best is 2: ")


def test_a_count_can_be_asked_for(capplan: Capplan) -> None:
    asked = json.loads(capplan("recommend sale.yaml --why 18 --json").out)
    assert asked["asked"] == 18
    assert 18 in [option["servers"] for option in asked["options"]]


@pytest.mark.parametrize("command", ["estimate", "recommend", "gate"])
def test_json_is_all_there_is_on_stdout_and_the_same_in_the_file(
    command: str, capplan: Capplan
) -> None:
    ran = capplan(f"{command} sale.yaml --json -o out/result.json")
    assert (ran.code, ran.err) == (0, "")
    assert json.loads(ran.out)["schema"].startswith("capplan.")
    assert Path("out/result.json").read_text() == ran.out


@pytest.mark.parametrize("command", ["estimate", "recommend", "gate"])
def test_the_same_plan_and_seed_give_the_same_bytes(command: str, capplan: Capplan) -> None:
    first, second = (
        re.sub(r'"made_at": .*', "", capplan(f"{command} sale.yaml --seed 3 --json").out)
        for _ in range(2)
    )
    assert first == second


@pytest.mark.parametrize("command", ["estimate", "recommend", "gate"])
def test_a_file_that_cannot_be_written_is_refused_before_the_work(
    command: str, capplan: Capplan
) -> None:
    ran = capplan(f"{command} sale.yaml -o sale.yaml/result.json")
    assert (ran.code, ran.out) == (4, "")
    assert ran.err.startswith("error: sale.yaml/result.json cannot be written")
    assert not Path("sale.capplan").exists()


@pytest.mark.parametrize(
    "line",
    [
        "estimate sale.yaml -o sale.yaml",
        "loadtest sale.yaml -o ./sale.yaml",
        "gate sale.yaml --junit sale.yaml",
    ],
)
def test_the_plan_is_not_overwritten_by_a_result(line: str, capplan: Capplan) -> None:
    ran = capplan(line)
    assert (ran.code, ran.out) == (2, "")
    assert "sale.yaml is the plan" in ran.err
    assert Path("sale.yaml").read_text() == PLAN


@pytest.mark.parametrize("option", ["estimate sale.yaml --csv", "gate sale.yaml --junit"])
def test_a_dash_is_no_file_to_write_to(option: str, capplan: Capplan) -> None:
    ran = capplan(f"{option} -")
    assert (ran.code, ran.out) == (2, "")
    assert "hint: name a file" in ran.err
    assert not Path("-").exists()


@pytest.mark.parametrize("command", ["estimate", "recommend", "gate"])
def test_a_plan_with_a_mistake_is_an_error_without_a_traceback(
    command: str, capplan: Capplan
) -> None:
    Path("sale.yaml").write_text(PLAN.replace("reach", "raech"))
    ran = capplan(f"{command} sale.yaml")
    assert (ran.code, ran.out) == (2, "")
    assert "sale.yaml:3" in ran.err
    assert "did you mean 'reach'?" in ran.err


@pytest.mark.parametrize("command", ["recommend", "gate"])
def test_an_unknown_capacity_is_an_error_with_two_ways_out(command: str, capplan: Capplan) -> None:
    Path("sale.yaml").write_text(PLAN.replace("capacity: 350 to 420 rps, ", ""))
    ran = capplan(f"{command} sale.yaml")
    assert (ran.code, ran.out) == (2, "")
    assert "hint: measure it with: capplan loadtest sale.yaml; or assume it" in ran.err


@pytest.mark.parametrize("command", ["estimate", "recommend", "gate"])
def test_a_plan_can_come_from_standard_input(
    command: str, capplan: Capplan, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", TextIOWrapper(BytesIO(PLAN.encode())))
    assert capplan(f"{command} -").code == 0
    assert [path.name for path in Path().iterdir()] == ["sale.yaml"]


def test_the_file_of_an_estimate_is_a_demand(capplan: Capplan) -> None:
    text = capplan("estimate sale.yaml --draws 1000 --seed 8 --json").out
    assert from_json(text, Demand, "stdout").seed == 8


def test_the_gate_writes_a_junit_report(capplan: Capplan) -> None:
    assert capplan("gate sale.yaml --junit gate.xml").code == 0
    assert Path("gate.xml").read_text().startswith("<?xml")


def test_what_init_writes_works_at_once(capplan: Capplan) -> None:
    ran = capplan("init shop")
    assert ran.code == 0
    assert ran.out.startswith("Wrote shop/sale.yaml: put your own numbers into it.\n")
    assert ran.out.endswith("next: capplan estimate shop/sale.yaml\n")
    assert capplan("estimate shop/sale.yaml --draws 1000").code == 0
    assert capplan("recommend shop/sale.yaml").code == 0


def test_init_overwrites_nothing(capplan: Capplan) -> None:
    ran = capplan("init")
    assert (ran.code, ran.out) == (2, "")
    assert Path("sale.yaml").read_text() == PLAN


def test_a_name_with_spaces_is_quoted_in_the_next_command(capplan: Capplan) -> None:
    Path("my sale.yaml").write_text(PLAN)
    ran = capplan("estimate 'my sale.yaml' --draws 1000")
    assert ran.out.splitlines()[-1] == "next: capplan loadtest 'my sale.yaml'"


def test_the_reference_server_says_where_it_is_and_what_theory_expects(capplan: Capplan) -> None:
    # M/M/4 with 20 ms: P(T > 150 ms) = 5% at 178 rps
    ran = capplan("refserver --for 100ms")
    assert (ran.code, ran.err) == (0, "")
    assert re.match(r"Listening on http://127\.0\.0\.1:\d+ for 100 ms; Ctrl-C ends it\.\n", ran.out)
    assert "- in theory it sustains 178 rps within p95<150ms, failures<1%" in ran.out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--mean 20", "--mean: '20' is not a duration"),
        ("--mean 0ms", "--mean: '0ms' must be more than zero"),
        ("--mean 1e-300ms", "--mean: '1e-300ms' is out of all proportion"),
        ("--mean 1e308ms", "--mean: '1e308ms' is out of all proportion"),
        ("--service wild", "'wild' is not a service time"),
        ("--sla p95", "--sla: 'p95' is not a limit"),
        ("--fail-above many", "--fail-above: 'many' is not a rate"),
    ],
)
def test_a_reference_server_that_cannot_be_is_refused(
    options: str, message: str, capplan: Capplan
) -> None:
    ran = capplan(f"refserver --for 100ms {options}")
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith(f"error: {message}")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--max-rate 0", "--max-rate: '0 rps' must be more than zero"),
        ("--max-rate -1rps", "--max-rate: '-1rps' must be more than zero"),
        ("--max-rate 1e308rps", "--max-rate: '1e308rps' is out of all proportion"),
        ("--time-budget 0s", "--time-budget: '0s' must be more than zero"),
        ("--time-budget -5s", "--time-budget: '-5s' must be more than zero"),
        ("--time-budget 9999999h", "--time-budget: '9999999h' must not be more than a year"),
    ],
)
def test_a_load_test_without_rate_or_time_is_refused(
    options: str, message: str, capplan: Capplan
) -> None:
    ran = capplan(f"loadtest sale.yaml {options}")
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith(f"error: {message}")


def test_a_demo_does_not_touch_a_folder_of_something_else(capplan: Capplan) -> None:
    ran = capplan("demo .")
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith("error: . is not empty and no earlier demo")


def test_the_profile_of_an_estimate_is_written_second_by_second(capplan: Capplan) -> None:
    ran = capplan("estimate sale.yaml --draws 1000 --csv out/profile.csv --json")
    assert (ran.code, ran.err) == (0, "")
    header, first, second, *_ = Path("out/profile.csv").read_text().splitlines()
    assert header == "t_s,at,rps_p5,rps_p50,rps_p95"
    assert float(second.split(",")[0]) == float(first.split(",")[0]) + 1
    assert json.loads(ran.out)["schema"] == "capplan.demand/1"


def test_an_outcome_is_compared_with_the_forecast_and_kept_in_the_plan(capplan: Capplan) -> None:
    forecast = json.loads(capplan("estimate sale.yaml --draws 1000 --json").out)["peak_rps"]["p50"]
    ran = capplan(f"estimate sale.yaml --after {2 * forecast:g}rps --name 'Spring sale' --json")
    assert (ran.code, ran.err) == (0, "")
    came = json.loads(ran.out)
    assert came["schema"] == "capplan.outcome/1"
    assert came["ratio"] == pytest.approx(2, rel=1e-4)
    text = Path("sale.yaml").read_text()
    assert text.startswith(PLAN)
    assert "Spring sale" in text.removeprefix(PLAN)
    # the next forecast knows it, and the same sale is not counted twice
    assert "earlier sales (1)" in capplan("estimate sale.yaml --draws 1000").out
    again = capplan("estimate sale.yaml --after 900rps --name 'Spring sale'")
    assert (again.code, again.out) == (2, "")
    assert "recorded already" in again.err
    assert Path("sale.yaml").read_text() == text


def test_an_outcome_is_told_in_words(capplan: Capplan) -> None:
    capplan("estimate sale.yaml --draws 1000")
    ran = capplan("estimate sale.yaml --after 87000/min")
    assert (ran.code, ran.err) == (0, "")
    first, *_ = ran.out.splitlines()
    assert re.fullmatch(
        r"1,450 rps came, [\d.]+x the median forecast: [\d.]+% of the forecast lay below it\.",
        first,
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--after fast", "--after: 'fast' is not a rate"),
        ("--after 1450", "--after: '1450' is not a rate with its unit, such as 850 rps"),
        ("--after 1450rps", "no forecast of sale.yaml is stored"),
        ("--after 1450rps --csv p.csv", "--after makes no estimate"),
        ("--name Spring", "--name belongs to --after"),
        ("--csv sale.yaml", "sale.yaml is the plan"),
        ("--draws 10", "Invalid value for '--draws'"),
    ],
)
def test_what_an_estimate_cannot_do_is_said(options: str, message: str, capplan: Capplan) -> None:
    ran = capplan(f"estimate sale.yaml {options}")
    assert (ran.code, ran.out) == (2, "")
    assert message in " ".join(ran.err.split())
    assert Path("sale.yaml").read_text() == PLAN


IN_TWO_MONTHS = f"{datetime.now(UTC) + timedelta(days=60):%Y-%m-%d}"
SOON = PLAN.replace("2026-11-27", IN_TWO_MONTHS).replace("servers: {", "servers: {group: shop, ")


def test_exports_are_written_among_the_results_and_said_after_the_answer(capplan: Capplan) -> None:
    Path("sale.yaml").write_text(SOON)
    ran = capplan("recommend sale.yaml --export kubernetes --export aws-asg --export kubernetes")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.splitlines()[-2:] == [
        "Wrote sale.capplan/exports/kubernetes.yaml for review; then: "
        "kubectl apply -f sale.capplan/exports/kubernetes.yaml",
        "Wrote sale.capplan/exports/aws-asg.sh for review; then: "
        "sh sale.capplan/exports/aws-asg.sh",
    ]
    folder = Path("sale.capplan/exports")
    assert sorted(path.name for path in folder.iterdir()) == ["aws-asg.sh", "kubernetes.yaml"]
    assert "kind: CronJob" in (folder / "kubernetes.yaml").read_text("utf-8")


def test_exports_go_where_they_are_told(capplan: Capplan) -> None:
    Path("sale.yaml").write_text(SOON)
    ran = capplan("recommend sale.yaml --export keda --export-to 'my files'")
    assert ran.out.endswith("kubectl apply -f 'my files/keda.yaml'\n")
    assert Path("my files/keda.yaml").read_text("utf-8").startswith("# Schedule of")


def test_an_export_on_stdout_is_the_file_and_nothing_else(capplan: Capplan) -> None:
    Path("sale.yaml").write_text(SOON)
    ran = capplan("recommend sale.yaml --export terraform --export-to - -o answer.json")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.startswith("# Schedule of")
    assert not Path("sale.capplan/exports").exists()
    assert json.loads(Path("answer.json").read_text("utf-8"))["autoscaling"]["metric"] == "requests"


def test_with_json_the_exports_are_said_on_stderr(capplan: Capplan) -> None:
    Path("sale.yaml").write_text(SOON)
    ran = capplan("recommend sale.yaml --export keda --json")
    assert json.loads(ran.out)["schema"] == "capplan.recommendation/1"
    assert ran.err.startswith("Wrote sale.capplan/exports/keda.yaml for review")


@pytest.mark.parametrize(
    ("plan", "options", "said"),
    [
        (PLAN.replace("2026", "2020"), "--export keda", "is past"),
        (SOON.replace(IN_TWO_MONTHS, "2099-11-27"), "--export keda", "more than a year away"),
        (SOON.replace("capacity: 350", "today: 900, capacity: 350"), "--export keda", "are enough"),
        (SOON.replace("group: shop", "group: My Shop"), "--export keda", "name of a Deployment"),
        (SOON, "--export keda --export-to - --json", "both want stdout"),
        (SOON, "--export-to -", "--export-to needs --export"),
        (SOON, "--export nomad", "'--export': 'nomad' is not one of"),
    ],
    ids=["past", "far", "enough", "name", "two on stdout", "no format", "unknown format"],
)
def test_an_export_that_cannot_be_is_refused_and_writes_nothing(
    plan: str, options: str, said: str, capplan: Capplan
) -> None:
    Path("sale.yaml").write_text(plan)
    ran = capplan(f"recommend sale.yaml {options}")
    assert (ran.code, ran.out) == (2, "")
    assert said in ran.err
    assert not list(Path().rglob("exports/*"))


def test_an_export_of_a_plan_from_stdin_needs_a_place(
    capplan: Capplan, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", TextIOWrapper(BytesIO(SOON.encode())))
    ran = capplan("recommend - --export keda")
    assert (ran.code, ran.out) == (2, "")
    assert "--export-to" in ran.err
    monkeypatch.setattr(sys, "stdin", TextIOWrapper(BytesIO(SOON.encode())))
    assert "ScaledObject" in capplan("recommend - --export keda --export-to -").out
