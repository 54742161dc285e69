"""Whether the planned fleet is good enough: the result of ``capplan gate``."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from capplan.results.base import Frozen, Result

Judgement = Literal["pass", "fail", "inconclusive"]


class Check(Frozen):
    """One criterion. ``measured`` and ``required`` are null where there is nothing to compare.

    What is ``not_judged`` says nothing about the verdict.
    """

    name: str
    outcome: Judgement | Literal["not_judged"]
    measured: float | None
    required: float | None
    message: str


class Verdict(Result):
    """The worst outcome of all checks that are judged."""

    schema_: Literal["capplan.verdict/1"] = Field(default="capplan.verdict/1", alias="schema")
    verdict: Judgement
    checks: tuple[Check, ...]

    @property
    def not_judged(self) -> tuple[str, ...]:
        """The names of the checks that are not judged."""
        return tuple(check.name for check in self.checks if check.outcome == "not_judged")
