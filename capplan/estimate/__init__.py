"""From the plan to the demand: how much traffic will come, as a range."""

from capplan.estimate.demand import Forecast, by_second, estimate, forecast, summary
from capplan.estimate.whatif import what_if

__all__ = ["Forecast", "by_second", "estimate", "forecast", "summary", "what_if"]
