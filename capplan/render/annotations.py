"""A verdict as annotations of a GitHub job: lines that its log turns into marks on the run."""

from __future__ import annotations

from capplan.results.verdict import Verdict

_LEVEL = {"fail": "error", "inconclusive": "warning"}


def workflow_commands(verdict: Verdict) -> str:
    """Return one workflow command per check that did not pass; empty when all did.

    Escaped as GitHub's own toolkit does: %, line ends, and in properties also colon and comma.
    """
    lines = [
        f"::{_LEVEL[check.outcome]} title={_property(f'capplan gate: {check.name}')}::"
        f"{_data(check.message)}"
        for check in verdict.checks
        if check.outcome in _LEVEL
    ]
    return "".join(f"{line}\n" for line in lines)


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
