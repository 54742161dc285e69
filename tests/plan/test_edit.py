import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from capplan.plan.edit import add_past_sale, written_as
from capplan.plan.load import parse_plan
from capplan.plan.schema import PastSale

SPRING = PastSale(name="Spring sale", forecast=900.0, actual=1450.0)
WRITTEN = "{name: Spring sale, forecast: 900 rps, actual: 1450 rps}"
HEAD = """\
# my plan
sale: {start: 2026-11-27T12:00:00+01:00, duration: 2 h}   # noon
audience:
  - {channel: email, reach: 400k, visits: 1% to 3%, arrive: within 1 h}
"""
TAIL = "visit: {requests: 20 to 60}   # from the logs\n"


@pytest.mark.parametrize(
    ("history", "expected"),
    [
        ("", f"{TAIL}\nhistory:\n  - {WRITTEN}\n"),
        (
            "history:   # so far\n  - {name: a, forecast: 1 rps, actual: 2 rps}   # first\n"
            "\n# end\n",
            "history:   # so far\n  - {name: a, forecast: 1 rps, actual: 2 rps}   # first\n"
            f"  - {WRITTEN}\n\n# end\n",
        ),
        (
            "history:\n- name: a\n  forecast: 1 rps\n  actual: 2 rps # it was\n",
            f"history:\n- name: a\n  forecast: 1 rps\n  actual: 2 rps # it was\n- {WRITTEN}\n",
        ),
        ("history: []\n", f"history: [{WRITTEN}]\n"),
        (
            "history: [{name: a, forecast: 1 rps, actual: 2 rps},  ]  # one line\n",
            f"history: [{{name: a, forecast: 1 rps, actual: 2 rps}}, {WRITTEN},  ]  # one line\n",
        ),
    ],
)
def test_a_sale_is_added_at_the_end_of_history_and_nothing_else_changes(history, expected):
    # history before the last section, or after it
    for text in (HEAD + history + TAIL, HEAD + TAIL + history) if history else (HEAD + TAIL,):
        edited = add_past_sale(text, SPRING)
        assert expected in edited.text
        assert edited.text.replace(WRITTEN, "", 1) != edited.text
        before, after = (parse_plan(t.encode(), "plan") for t in (text, edited.text))
        assert after.history == (*before.history, SPRING)
        assert after.model_copy(update={"history": before.history}) == before
        assert edited.written in edited.text.splitlines()[edited.line - 1]
        assert_only_added(text, edited.text)


def assert_only_added(text: str, longer: str) -> None:
    at = next((i for i, (a, b) in enumerate(zip(text, longer, strict=False)) if a != b), len(text))
    assert any(longer[:i] + longer[i + len(longer) - len(text) :] == text for i in range(at + 1))


def test_the_line_ends_of_the_plan_are_kept():
    text = (HEAD + TAIL).replace("\n", "\r\n")
    edited = add_past_sale(text, SPRING).text
    assert edited.count("\n") == edited.count("\r\n")
    assert parse_plan(edited.encode(), "plan").history == (SPRING,)


def test_a_plan_without_a_last_line_end_gets_one():
    edited = add_past_sale((HEAD + TAIL).rstrip(), SPRING).text
    assert parse_plan(edited.encode(), "plan").history == (SPRING,)


@given(
    st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1, max_size=80),
    st.floats(1e-3, 1e9),
    st.floats(1e-3, 1e9),
)
def test_whatever_a_sale_is_called_it_is_read_back(name, forecast, actual):
    sale = PastSale(name=name, forecast=forecast, actual=actual)
    read = yaml.load(written_as(sale), Loader=yaml.BaseLoader)
    assert read["name"] == name
    edited = add_past_sale(HEAD + TAIL, sale)
    (back,) = parse_plan(edited.text.encode(), "plan").history
    assert back.name == sale.name
    assert (back.forecast, back.actual) == pytest.approx((forecast, actual), rel=1e-5)
