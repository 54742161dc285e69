from capplan.render.annotations import workflow_commands
from capplan.results.verdict import Check, Verdict
from tests.recommend.builders import provenance


def check(name: str, outcome: str, message: str) -> Check:
    return Check.model_validate(
        {"name": name, "outcome": outcome, "measured": None, "required": None, "message": message}
    )


def test_what_did_not_pass_is_one_line_each_that_no_text_can_break():
    verdict = Verdict(
        **dict(provenance()),
        verdict="fail",
        checks=(
            check("overload", "fail", "risk 5% > 1%\n::warning::no"),
            check("capacity drop, paired", "inconclusive", "wide"),
            check("sla", "pass", "held"),
        ),
    )
    assert workflow_commands(verdict).splitlines() == [
        "::error title=capplan gate%3A overload::risk 5%25 > 1%25%0A::warning::no",
        "::warning title=capplan gate%3A capacity drop%2C paired::wide",
    ]
