"""A verdict as JUnit XML, which every CI system can show.

An inconclusive check becomes an ``error``, not ``skipped``: a skipped test is shown as green.
What the plan does not want to be judged is skipped.
"""

from __future__ import annotations

import re
from xml.etree import ElementTree

from capplan.results.verdict import Verdict

_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_ELEMENT = {"fail": "failure", "inconclusive": "error", "not_judged": "skipped"}


def junit(verdict: Verdict) -> str:
    """Return one test suite with one test case per check.

    The message stands both in the attribute and in the element: CI systems show the one or the
    other.
    """
    outcomes = [check.outcome for check in verdict.checks]
    suite = ElementTree.Element(
        "testsuite",
        name=_clean(f"capplan gate {verdict.plan.name}"),
        tests=str(len(outcomes)),
        failures=str(outcomes.count("fail")),
        errors=str(outcomes.count("inconclusive")),
        skipped=str(outcomes.count("not_judged")),
        timestamp=verdict.made_at.isoformat(),
    )
    for check in verdict.checks:
        message = _clean(check.message)
        case = ElementTree.SubElement(
            suite, "testcase", classname="capplan.gate", name=_clean(check.name)
        )
        if check.outcome == "pass":
            ElementTree.SubElement(case, "system-out").text = message
        else:
            element = ElementTree.SubElement(case, _ELEMENT[check.outcome], message=message)
            element.text = message
            if check.outcome != "not_judged":  # no attribute of a skipped test
                element.set("type", check.outcome)
    if verdict.notes:
        notes = [f"{note.message}. {note.advice}".rstrip(". ") for note in verdict.notes]
        ElementTree.SubElement(suite, "system-out").text = _clean("\n".join(notes))
    ElementTree.indent(suite)
    text = ElementTree.tostring(suite, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{text}\n'


def _clean(text: str) -> str:
    """Replace characters that XML cannot hold, such as control characters in a plan's names."""
    return _NOT_XML.sub("\ufffd", text)
