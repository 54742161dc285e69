import re
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capplan.render.markdown import summary
from capplan.results.base import Note, PlanRef
from capplan.results.verdict import Check, Judgement, Verdict


def check(name: str, outcome: Judgement, message: str = "seen") -> Check:
    return Check(name=name, outcome=outcome, measured=None, required=None, message=message)


def verdict(*checks: Check, plan: str = "sale", notes: tuple[Note, ...] = ()) -> Verdict:
    return Verdict(
        plan=PlanRef(name=plan, sections={}),
        made_at=datetime(2026, 11, 13, 9, 0, tzinfo=UTC),
        seed=1,
        environment={},
        verdict="fail",
        checks=checks,
        notes=notes,
    )


def test_a_summary_is_a_heading_a_table_and_the_notes() -> None:
    notes = (Note(code="a", message="the capacity is assumed", advice="measure it"),)
    found = summary(
        verdict(check("overload", "fail", "14% > 1%"), check("sla", "inconclusive"), notes=notes)
    )
    assert found == (
        "### ❌ capplan gate: fail, plan sale\n"
        "\n"
        "| check | outcome | what was seen |\n"
        "|---|---|---|\n"
        "| overload | ❌ fail | 14% \\> 1% |\n"
        "| sla | ❔ inconclusive | seen |\n"
        "\n"
        "- the capacity is assumed; measure it\n"
        "\n"
    )


def test_what_is_not_judged_stands_in_the_heading_and_in_the_table() -> None:
    off = {"name": "budget", "outcome": "not_judged", "measured": None, "required": None}
    checks = (check("sla", "pass"), Check.model_validate(off | {"message": "gate.budget is off"}))
    found = summary(verdict(*checks)).splitlines()
    assert found[0] == "### ❌ capplan gate: fail, plan sale; not judged: budget"
    assert found[5] == "| budget | ➖ not judged | gate.budget is off |"


def test_summaries_one_after_another_stay_apart() -> None:
    one = summary(verdict(check("overload", "pass")))
    assert f"{one}{one}".count("\n\n### ") == 1


@pytest.mark.parametrize(
    ("hostile", "written"),
    [
        ("a | b", r"a \| b"),
        ("two\nlines\r\n\tthree", "two lines three"),
        ("<img src=x>", r"\<img src=x\>"),
        ("**bold** _it_ `code`", r"\*\*bold\*\* \_it\_ \`code\`"),
        ("[link](http://127.0.0.1)", r"\[link\](http://127.0.0.1)"),
        ("$312 of $200", r"\$312 of \$200"),
        ("back\\|slash", r"back\\\|slash"),
        ("&lt;", r"\&lt;"),
        ("# head", r"\# head"),
    ],
)
def test_text_of_the_plan_is_no_markup(hostile: str, written: str) -> None:
    assert f"| {written} | ✅ pass | {written} |" in summary(
        verdict(check(hostile, "pass", hostile))
    )
    assert f"plan {written}\n" in summary(verdict(plan=hostile))


@given(st.text(), st.text())
def test_any_text_stays_in_its_cell(name: str, message: str) -> None:
    rows = summary(verdict(check(name, "pass", message))).splitlines()[2:]
    assert [len(re.findall(r"(?<!\\)(?:\\\\)*\|", row)) for row in rows] == [4, 4, 4, 0]
