"""What came at a sale, against what was forecast: the result of ``capplan estimate --after``."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import Field

from capplan.results.base import Result
from capplan.results.demand import Percentiles


class Outcome(Result):
    """How the peak of a sale fell in the distribution that was forecast for it.

    ``below`` is the share of the forecast that lies below ``actual_rps``; one half would be the
    median. Nothing beyond ``resolution`` from 0 and 1 can be told. ``line`` of the plan now says
    ``written``. ``sales`` counts all outcomes that the plan knows, and ``typical_ratio`` is their
    geometric mean of actual to forecast.
    """

    schema_: Literal["capplan.outcome/1"] = Field(default="capplan.outcome/1", alias="schema")
    name: str
    actual_rps: float
    forecast_rps: Percentiles
    forecast_made_at: datetime
    ratio: float
    below: float
    resolution: float
    within_90: bool
    line: int
    written: str
    sales: int
    typical_ratio: float
