from datetime import UTC, datetime
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capplan.render.junit import junit
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


def suite(result: Verdict) -> ElementTree.Element:
    return ElementTree.fromstring(junit(result))


def test_there_is_one_case_per_check_and_the_counts_agree() -> None:
    found = suite(
        verdict(
            check("overload", "fail"),
            check("zone loss", "pass"),
            check("sla", "inconclusive"),
            check("budget", "fail"),
        )
    )
    assert [case.get("name") for case in found] == ["overload", "zone loss", "sla", "budget"]
    assert (found.get("tests"), found.get("failures"), found.get("errors")) == ("4", "2", "1")
    assert found.get("name") == "capplan gate sale"
    assert found.get("timestamp") == "2026-11-13T09:00:00+00:00"


@pytest.mark.parametrize(
    ("outcome", "element"), [("fail", "failure"), ("inconclusive", "error"), ("pass", "system-out")]
)
def test_each_outcome_has_its_element_and_nothing_inconclusive_is_green(
    outcome: Judgement, element: str
) -> None:
    ((only,),) = suite(verdict(check("overload", outcome, "14% > 1%")))
    assert only.tag == element
    assert only.text == "14% > 1%"
    assert only.get("message") == (None if outcome == "pass" else "14% > 1%")


def test_what_is_not_judged_is_skipped_with_its_reason() -> None:
    off = Check(
        name="budget",
        outcome="not_judged",
        measured=None,
        required=None,
        message="gate.budget is off",
    )
    found = suite(verdict(check("overload", "pass"), off))
    assert (found.get("tests"), found.get("skipped"), found.get("errors")) == ("2", "1", "0")
    skipped = found[1][0]
    assert skipped.tag == "skipped"
    assert skipped.attrib == {"message": "gate.budget is off"}


def test_notes_stand_with_the_suite() -> None:
    notes = (
        Note(code="a", message="the capacity is assumed", advice="measure it"),
        Note(code="b", message="one zone"),
    )
    out = suite(verdict(check("overload", "pass"), notes=notes)).find("system-out")
    assert out is not None
    assert out.text == "the capacity is assumed. measure it\none zone"


@pytest.mark.parametrize(
    ("hostile", "read"),
    [
        ('"><failure/>', '"><failure/>'),
        ("]]> & <!--", "]]> & <!--"),
        ("bell\x07 and escape\x1b[31m", "bell\ufffd and escape\ufffd[31m"),
        ("half a pair \ud83d", "half a pair \ufffd"),
        ("🛒 Škoda", "🛒 Škoda"),
    ],
)
def test_a_hostile_name_is_only_a_name(hostile: str, read: str) -> None:
    found = suite(verdict(check(hostile, "fail", hostile), plan=hostile))
    assert found.get("name") == f"capplan gate {read}"
    assert [case.get("name") for case in found] == [read]
    assert [element.tag for element in found[0]] == ["failure"]
    assert found[0][0].get("message") == read


@given(st.text(), st.text(), st.sampled_from(["pass", "fail", "inconclusive"]))
def test_any_text_gives_well_formed_xml(name: str, message: str, outcome: Judgement) -> None:
    text = junit(verdict(check(name, outcome, message), plan=name))
    # a file in UTF-8, as CI reads it
    found = ElementTree.fromstring(text.encode("utf-8"))
    assert len(found) == 1
