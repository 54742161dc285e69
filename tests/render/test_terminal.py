import io
import math
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from rich.console import Console, RenderableType

from capplan.loadtest.search.policy import Bounds
from capplan.plan.sla import parse_sla
from capplan.render import terminal
from capplan.render.live import trial_line
from capplan.results.base import Note, PlanRef, Provenance
from capplan.results.capacity import (
    Binding,
    Capacity,
    Health,
    Identity,
    LatencySummary,
    SustainedRate,
    Trial,
)
from capplan.results.demand import (
    Confidence,
    Demand,
    Estimate,
    History,
    PastRatio,
    Percentiles,
    Profile,
    Sensitivity,
    StressCase,
)
from capplan.results.recommendation import (
    Alone,
    Autoscaling,
    CeilingCheck,
    Option,
    Recommendation,
    Step,
)
from capplan.results.verdict import Check, Verdict

START = datetime(2026, 11, 27, 12, tzinfo=UTC)
NOTE = Note(code="stress", message="the channels stand alone", advice="set audience_correlation")


def origin() -> dict[str, Any]:
    return dict(
        Provenance(
            plan=PlanRef(name="sale", sections={}), made_at=START, seed=1, environment={"cpus": 2}
        )
    )


def spread(p50: float) -> Percentiles:
    return Percentiles(
        p5=p50 / 2, p50=p50, p90=1.8 * p50, p95=2.2 * p50, p99=3 * p50, mean=1.1 * p50
    )


def demand(**changes: Any) -> Demand:
    t_s = [float(t) for t in range(-600, 7201, 60)]
    shape = [math.exp(-abs(t - 720) / (300 if t < 720 else 2400)) for t in t_s]
    funnel, multiple, combined = (
        Estimate(method=method, visits_total=spread(60_000.0 * f), peak_rps=spread(4100.0 * f))
        for method, f in (("funnel", 1.2), ("multiple", 0.7), ("combined", 1.0))
    )
    fields: dict[str, Any] = {
        **origin(),
        "draws": 100_000,
        "sale_start": START,
        "window_s": 10.0,
        "peak_rps": spread(4100.0),
        "peak_at_s": 720.0,
        "peak_visitors": spread(21_000.0),
        "visits_total": spread(60_000.0),
        "requests_total": spread(2_400_000.0),
        "requests_per_visit": spread(35.0),
        "estimates": (funnel, multiple, combined),
        "profile": Profile(
            t_s=tuple(t_s),
            rps_p5=tuple(2050 * s for s in shape),
            rps_p50=tuple(4100 * s for s in shape),
            rps_p95=tuple(9020 * s for s in shape),
        ),
        "peak_quantiles_rps": (2050.0, 4100.0, 9020.0),
        "sensitivity": (
            Sensitivity(input="audience.email.visits", share=0.42),
            Sensitivity(input="visit.requests", share=0.21),
            Sensitivity(input="audience.waiting.reach", share=0.04),
        ),
        "stress": (
            StressCase(
                name="everyone at once", peak_rps=18_000.0, why="all channels arrive within 10 min"
            ),
        ),
        "notes": (NOTE,),
    }
    return Demand(**fields | changes)


def latency(p50: float | None, p99: float | None) -> LatencySummary:
    return LatencySummary(p50=p50, p75=p50, p90=p50, p95=p99, p99=p99, p999=p99, mean=p50, max=p99)


def trial(purpose: Any, rate_rps: float, outcome: Any, p99: float | None = 0.25) -> Trial:
    return Trial(
        purpose=purpose,
        rate_rps=rate_rps,
        arrivals_per_s=rate_rps,
        planned_s=8.0,
        duration_s=10.0,
        warmup_s=2.0,
        achieved_rps=rate_rps * 0.99,
        served_rps=rate_rps * 0.98,
        requests=1000,
        successes=985,
        failures=10,
        timeouts=5,
        latency_s=latency(0.041, p99),
        latency_actual_s=latency(0.04, p99),
        endpoints=(),
        criteria=(),
        requests_per_arrival=1.0,
        ended_early=False,
        errors={},
        health=Health(
            tickets_due=1000,
            tickets_issued=1000,
            starved=0,
            lateness_s_p99=0.0031,
            generator_cpu=0.4,
            steal=0.0,
            users=200,
        ),
        outcome=outcome,
    )


def capacity(**changes: Any) -> Capacity:
    sla = parse_sla("p95<300ms, failures<1%")
    fields: dict[str, Any] = {
        **origin(),
        "verdict": "measured",
        "reason": "the bracket is narrow enough",
        "identity": Identity(
            target="http://127.0.0.1:8899",
            locustfile="shop.py",
            locustfile_hash="0",
            sla=str(sla),
            unit="task",
        ),
        "sla": sla,
        "sustained_rps": SustainedRate(low=372.0, mid=386.0, high=401.0, confidence=0.9),
        "max_rate_rps": None,
        "trials": (
            trial("probe", 100.0, "pass"),
            trial("bisect", 800.0, "fail", p99=None),
            trial("confirm", 386.0, "pass"),
        ),
        "load_time_s": 61.0,
        "requests_per_arrival": 1.0,
        "mix": {"GET /": 1.0},
    }
    return Capacity(**fields | changes)


AT_LEAST = SustainedRate(low=372.0, mid=None, high=None, confidence=0.95)
LESS = SustainedRate(low=None, mid=None, high=372.0, confidence=0.95)


def option(servers: int, *, chosen: bool = False, excuse: str = "") -> Option:
    return Option(
        servers=servers,
        multiple=servers / 6,
        cost=servers * 0.5,
        fleet_rps=servers * 380.0,
        fleet_rps_p5=servers * 350.0,
        fleet_rps_p95=servers * 400.0,
        overload_probability=0.2 / servers,
        zone_loss_probability=0.3 / servers,
        expected_overload_s=60.0 / servers,
        expected_lost_visits=900.0 / servers,
        expected_lost_value=None,
        expected_lost_visits_unshed=4000.0 / servers,
        expected_lost_value_unshed=None,
        marginal_value=None,
        marginal_value_unshed=None,
        slots=2 * servers,
        wait_probability_p50=0.0,
        wait_probability_p95=0.1 / servers,
        chosen=chosen,
        excuse=excuse,
    )


OPTIONS = (
    option(6, excuse="overload risk 3.3% is more than the 1% of the policy"),
    option(24, chosen=True),
    option(60, excuse="costs $18 more for a risk that is small already"),
)


def step(minute: float, servers: int, why: str) -> Step:
    at = START + timedelta(minutes=minute)
    return Step(at=at, ready_at=at, servers=servers, fleet_rps=servers * 380.0, why=why)


def recommendation(**changes: Any) -> Recommendation:
    fields: dict[str, Any] = {
        **origin(),
        "servers": 24,
        "feasible": True,
        "options": OPTIONS,
        "schedule": (
            step(-18.0, 24, "boot 4 min, warm-up 2 min"),
            step(120.0, 6, "back to today's fleet"),
        ),
        "ceilings": (
            CeilingCheck(
                name="database",
                limit_per_s=9000.0,
                per="request",
                exceed_probability=0.03,
                binds=True,
            ),
        ),
        "capacity_source": "measured",
        "server_rps_low": 372.0,
        "server_rps_high": 401.0,
        "peak_rps_p50": 4100.0,
        "peak_rps_p95": 9020.0,
        "reasons": ("24 is the smallest count within the accepted risk of 1%",),
    }
    return Recommendation(**fields | changes)


def verdict(**changes: Any) -> Verdict:
    fields: dict[str, Any] = {
        **origin(),
        "verdict": "fail",
        "checks": (
            Check(
                name="zone loss",
                outcome="pass",
                measured=0.02,
                required=0.1,
                message="with a zone lost the overload risk is 2%, accepted are 10%",
            ),
            Check(
                name="overload",
                outcome="fail",
                measured=0.04,
                required=0.01,
                message="24 servers have an overload risk of 4%, accepted is 1%",
            ),
        ),
    }
    return Verdict(**fields | changes)


def text(shown: RenderableType, width: int = 80, encoding: str = "utf-8") -> str:
    buffer = io.BytesIO()
    file = io.TextIOWrapper(buffer, encoding=encoding, errors="strict")
    Console(file=file, width=width, highlight=False).print(shown, crop=False)
    file.flush()
    return buffer.getvalue().decode(encoding)


@pytest.mark.parametrize(
    ("shown", "first_line"),
    [
        (
            terminal.demand(demand(), "sale.yaml"),
            "Expect a peak of 4,100 rps (2,050 to 9,020 with 90% confidence), "
            "12 min after the start.",
        ),
        (
            terminal.demand(demand(peak_at_s=0.0), "sale.yaml"),
            "Expect a peak of 4,100 rps (2,050 to 9,020 with 90% confidence), at the start.",
        ),
        (
            terminal.demand(demand(peak_at_s=-90.0), "sale.yaml"),
            "Expect a peak of 4,100 rps (2,050 to 9,020 with 90% confidence), "
            "1 min 30 s before the start.",
        ),
        (
            terminal.capacity(capacity(), "sale.yaml"),
            "One server sustains 372 to 401 rps (SLA p95<300ms, failures<1%).",
        ),
        (
            terminal.capacity(capacity(verdict="below_sla", reason="all answers are 500"), "x"),
            "One server misses the SLA at any load: all answers are 500",
        ),
        (
            terminal.capacity(capacity(verdict="inconclusive", reason="too noisy"), "x"),
            "Inconclusive, 372 to 401 rps so far: too noisy",
        ),
        (
            terminal.capacity(
                capacity(verdict="inconclusive", reason="too noisy", sustained_rps=AT_LEAST), "x"
            ),
            "Inconclusive, at least 372 rps so far: too noisy",
        ),
        (
            terminal.capacity(
                capacity(verdict="inconclusive", reason="too noisy", sustained_rps=LESS), "x"
            ),
            "Inconclusive, less than 372 rps so far: too noisy",
        ),
        (
            terminal.capacity(
                capacity(
                    verdict="not_reached", reason="the SLA still held", sustained_rps=AT_LEAST
                ),
                "x",
            ),
            "One server sustains at least 372 rps: the SLA still held",
        ),
        (
            terminal.recommendation(recommendation(), "sale.yaml"),
            "Start 24 servers by 11:42: overload risk 0.83% at $12.00.",
        ),
        (
            terminal.recommendation(recommendation(feasible=False, ceilings=()), "sale.yaml"),
            "No server count meets the policy; the best is 24: overload risk 0.83% at $12.00.",
        ),
        (
            terminal.recommendation(recommendation(feasible=False), "sale.yaml"),
            "No server count helps database with the peak; of servers it takes 24: overload risk "
            "0.83% at $12.00.",
        ),
        (
            terminal.verdict(verdict(), "sale.yaml"),
            "FAIL: 24 servers have an overload risk of 4%, accepted is 1%",
        ),
    ],
)
def test_the_first_line_is_the_answer(shown: RenderableType, first_line: str) -> None:
    assert text(shown).splitlines()[0] == first_line


EVERY_ANSWER = {
    "demand": terminal.demand(demand(), "sale.yaml"),
    "capacity": terminal.capacity(capacity(), "sale.yaml"),
    "recommendation": terminal.recommendation(recommendation(), "sale.yaml"),
    "verdict": terminal.verdict(verdict(), "sale.yaml"),
    "files": terminal.written(["sale.yaml", "locustfile.py"], "sale.yaml"),
}


@pytest.mark.parametrize("name", EVERY_ANSWER)
@pytest.mark.parametrize("width", [80, 120])
def test_an_answer_below_its_first_line_fits_the_width(name: str, width: int) -> None:
    _, *rest = text(EVERY_ANSWER[name], width).splitlines()
    assert max(map(len, rest)) <= width


@pytest.mark.parametrize("name", EVERY_ANSWER)
def test_an_answer_ends_with_the_next_command(name: str) -> None:
    assert text(EVERY_ANSWER[name]).splitlines()[-1].startswith("next: capplan ")


@pytest.mark.parametrize("name", EVERY_ANSWER)
def test_a_file_gets_no_escape_sequences(name: str) -> None:
    assert "\x1b" not in text(EVERY_ANSWER[name])


@pytest.mark.parametrize("name", ["demand", "recommendation", "verdict", "files"])
def test_an_output_that_knows_only_ascii_gets_ascii(name: str) -> None:
    text(EVERY_ANSWER[name], encoding="ascii")


def test_a_terminal_breaks_a_long_first_line_between_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")  # a dumb terminal has 80 columns, whatever is asked
    console = Console(file=io.StringIO(), width=40, force_terminal=True, color_system=None)
    console.print(terminal.demand(demand(), "sale.yaml"), crop=False)
    assert isinstance(console.file, io.StringIO)
    first, second, *_ = console.file.getvalue().splitlines()
    assert first.rstrip() == "Expect a peak of 4,100 rps (2,050 to"
    assert second.startswith("9,020 with")


def test_both_estimates_are_shown_only_when_there_are_two() -> None:
    assert "from usual orders, top down" in text(terminal.demand(demand(), "p"))
    alone = demand(estimates=demand().estimates[:1])
    assert "bottom up" not in text(terminal.demand(alone, "p"))


def test_earlier_sales_stand_above_the_errors_that_they_foretell() -> None:
    known = History(
        outcomes=(PastRatio(name="Spring", ratio=1.611),),
        error=Confidence(p5=0.58, p50=1.16, p95=2.31),
        prior_sales=3,
        prior_factor=2.26,
        factor_before=2.26,
        factor=2.0,
    )
    rows = text(terminal.demand(demand(history=known), "p")).splitlines()
    at = rows.index("Earlier sales: what came, times its forecast")
    assert rows[at + 2].split() == ["Spring", "1.61x"]
    assert rows[at + 3].split()[-3:] == ["0.58x", "1.16x", "2.31x"]
    assert rows[at + 4].startswith("The prior counts as 3 sales")


def test_a_note_carries_its_advice() -> None:
    shown = text(terminal.demand(demand(), "sale.yaml"))
    assert "note: the channels stand alone; set audience_correlation\n" in shown


def test_a_percentile_among_unanswered_requests_is_shown_as_unbounded() -> None:
    rows = text(terminal.capacity(capacity(), "p")).splitlines()
    assert next(row for row in rows if row.startswith("bisect")).count("∞") == 2


@pytest.mark.parametrize(
    ("binding", "line"),
    [
        (
            Binding(endpoint="POST /order", name="p99", limit=0.8, allowed=0.01, exceedance=0.032,
                    from_rps=380.0, to_rps=410.0),
            "What binds: p99 of POST /order. 3.2% took longer than 800 ms between 380 and 410 rps, "
            "1% may.",
        ),
        (
            Binding(endpoint=None, name="failures", limit=0.01, allowed=0.01, exceedance=1.0,
                    from_rps=1.0, to_rps=1.0),
            "What binds: failures of the whole mix. 100% failed at 1 rps, 1% may.",
        ),
    ],
)  # fmt: skip
def test_the_criterion_that_binds_is_named_below_the_answer(binding: Binding, line: str) -> None:
    bound = text(terminal.capacity(capacity(binding=binding), "sale.yaml"))
    assert line in " ".join(bound.split())
    assert "What binds" not in text(terminal.capacity(capacity(), "sale.yaml"))


@pytest.mark.parametrize("p99", [0.1234, 12.3, 83.0, None])
@pytest.mark.parametrize(
    "bounds", [Bounds(), Bounds(low=12345.6), Bounds(high=0.8), Bounds(12345.6, None, 23456.7)]
)
def test_the_line_of_a_trial_fits_into_eighty_columns(p99: float | None, bounds: Bounds) -> None:
    slow = trial("confirm", 23456.7, "invalid", p99=p99)
    slow = slow.model_copy(update={"latency_s": latency(0.1, p99), "failures": 123})
    assert len(trial_line(12, slow, bounds)) <= 80


def test_a_rejected_option_shows_its_excuse() -> None:
    shown = " ".join(text(terminal.recommendation(recommendation(), "p"), 120).split())
    assert "6 = 1x $3.00 3.3% 5% 150 667 overload risk 3.3% is more than the 1%" in shown


def test_a_count_that_was_asked_for_is_answered_first() -> None:
    shown = text(terminal.recommendation(recommendation(asked=6), "p"))
    assert shown.splitlines()[0] == (
        "6 servers: overload risk 3.3% at $3.00. "
        "The recommendation is 24: overload risk 0.83% at $12.00."
    )


def test_one_server_is_not_called_servers() -> None:
    alone = recommendation(options=(option(1), *OPTIONS), asked=1)
    shown = text(terminal.recommendation(alone, "p"))
    assert shown.startswith("1 server: overload risk")


def test_the_loss_of_a_zone_is_shown_only_where_there_are_zones() -> None:
    assert "zone lost" in text(terminal.recommendation(recommendation(), "p"))
    options = [o.model_copy(update={"zone_loss_probability": None}) for o in OPTIONS]
    alone = recommendation(options=tuple(options))
    assert "zone lost" not in text(terminal.recommendation(alone, "p"))


def test_what_to_find_out_first_is_what_takes_the_most_doubt_away() -> None:
    which = Sensitivity(input="which estimate", share=0.08, total=0.25, advice="find out why")
    lasts = Sensitivity(input="visit.duration", share=0.21, total=0.22, advice="look up how long")
    lines = text(terminal.demand(demand(sensitivity=(which, lasts)), "sale.yaml")).splitlines()
    first = lines.index("- look up how long first")
    assert lines[first + 1] == "- find out why"
    # the bars stay in the order in which inputs count together with others
    assert [line.split()[0] for line in lines[first - 2 : first]] == ["which", "visit.duration"]


@pytest.mark.parametrize("instance", [None, "m7i.2xlarge"])
@pytest.mark.parametrize("width", [80, 100, 120])
def test_no_number_of_an_option_is_broken_or_cut_however_wide_it_is(
    width: int, instance: str | None
) -> None:
    excuse = "safer than the policy asks, $1,234 more"
    wide = {"instance": instance, "cost": 1234.0, "expected_lost_value": 45_387.0,
            "expected_lost_value_unshed": 80_433.0, "marginal_value": 11_311.0}  # fmt: skip
    options = [option(82, chosen=True), option(90, excuse=excuse)]
    shown = recommendation(options=tuple(o.model_copy(update=wide) for o in options))
    lines = text(terminal.recommendation(shown, "sale.yaml"), width).splitlines()
    assert max(map(len, lines)) <= width
    kind = f" {instance}" if instance else ""
    (row,) = (line for line in lines if line.startswith(f"82{kind}"))
    count = f"82{kind}" + " = 13.7x" * (instance is None)
    assert row.startswith(count)
    for number in ("$1,234", "0.24%", "0.37%", "$45,387", "$80,433", "$11,311"):
        assert number in row
    # the words stand in one piece or break between words, beside the numbers or below them
    assert excuse in " ".join(text(terminal.recommendation(shown, "sale.yaml"), width).split())


def test_an_assumed_capacity_leads_to_the_load_test() -> None:
    assumed = terminal.recommendation(recommendation(capacity_source="assumed"), "sale.yaml")
    assert text(assumed).splitlines()[-1] == "next: capplan loadtest sale.yaml"


def test_a_passed_gate_asks_for_nothing() -> None:
    passed = verdict(verdict="pass", checks=verdict().checks[:1])
    assert "next:" not in text(terminal.verdict(passed, "sale.yaml"))
    off = verdict().checks[0].model_copy(update={"name": "budget", "outcome": "not_judged"})
    some = verdict(verdict="pass", checks=(verdict().checks[0], off))
    assert (
        text(terminal.verdict(some, "sale.yaml")).splitlines()[0].endswith("; not judged: budget")
    )
    assert text(terminal.verdict(passed, "sale.yaml")).startswith("PASS: with a zone lost")


@pytest.mark.parametrize(
    ("name", "options"), [("sla", ""), ("capacity drop, paired", " --paired BASE HEAD")]
)
def test_a_gate_that_cannot_tell_asks_for_a_new_measurement(name: str, options: str) -> None:
    unsure = Check(name=name, outcome="inconclusive", measured=None, required=None, message="?")
    shown = text(terminal.verdict(verdict(verdict="inconclusive", checks=(unsure,)), "sale.yaml"))
    assert shown.startswith("INCONCLUSIVE: ?\n")
    assert shown.splitlines()[-1] == f"next: capplan loadtest sale.yaml{options}"


def test_a_schedule_shows_what_it_saves_and_what_autoscaling_alone_would_lose() -> None:
    alone = Alone(
        rule="Kubernetes HPA",
        metric="cpu",
        lost_visits=17_400.0,
        lost_value=104_656.0,
        short_s=238.0,
        short_until=START + timedelta(seconds=163),
        most_servers=20,
    )
    scaling = Autoscaling(
        metric="requests",
        value=111.0,
        at_sustained=159.0,
        headroom=0.3,
        requests_per_server_rps=111.0,
        least_servers=6,
        most_servers=80,
        alone=(alone,),
    )
    saved = recommendation(schedule_cost=2.14, hold_cost=5.59, autoscaling=scaling)
    said = text(terminal.recommendation(saved, "sale.yaml"), 100)
    assert "Schedule: costs $2.14; with all 24 the whole time $5.59" in said
    row = next(line for line in said.splitlines() if line.startswith("Kubernetes HPA on CPU"))
    assert row.split()[4:] == ["17.4k", "$104,656", "3", "min", "58", "s", "12:02:43", "20"]
    # steps are on full minutes, and may cost a little more than to hold the fleet
    dearer = recommendation(schedule_cost=7.37, hold_cost=7.30)
    said = text(terminal.recommendation(dearer, "sale.yaml"), 100)
    assert "Schedule: costs $7.37\n" in said
