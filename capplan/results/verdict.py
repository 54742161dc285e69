"""Whether the planned fleet is good enough: the result of ``capplan gate``."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from capplan.results.base import Frozen, Result

Judgement = Literal["pass", "fail", "inconclusive"]


class Check(Frozen):
    """One criterion. ``measured`` and ``required`` are null where there is nothing to compare."""

    name: str
    outcome: Judgement
    measured: float | None
    required: float | None
    message: str


class Verdict(Result):
    """The worst outcome of all checks."""

    schema_: Literal["capplan.verdict/1"] = Field(default="capplan.verdict/1", alias="schema")
    verdict: Judgement
    checks: tuple[Check, ...]
