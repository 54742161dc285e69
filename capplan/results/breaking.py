"""The largest surprise that a plan survives: the result of ``capplan simulate --find``."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from capplan.results.base import Frozen, Result


class BreakingPoint(Frozen):
    """Up to ``survives`` times the demand an act holds, at ``breaks`` times it does not.

    ``survives`` is null when it breaks at the least that was tried, ``breaks`` when it holds at the
    most. ``paid_ratio`` is the share that paid, of the visits that could, at ``survives``.
    """

    protections: tuple[str, ...]
    attacked: bool
    survives: float | None
    breaks: float | None
    paid_ratio: float | None


class BreakingPoints(Result):
    """The breaking point of each set of protections, without and with bots.

    ``protections`` are all that the plan has. ``full_at`` is the factor at which the peak is what
    the servers finish when always busy. A factor counts as survived when it is in every one of
    ``runs`` runs.
    """

    schema_: Literal["capplan.breakingpoints/1"] = Field(
        default="capplan.breakingpoints/1", alias="schema"
    )
    servers: int
    full_at: float
    from_s: float
    to_s: float
    runs: int
    scale: float
    precision: float
    protections: tuple[str, ...]
    points: tuple[BreakingPoint, ...]
    interrupted: bool = False
