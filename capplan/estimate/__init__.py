"""From the plan to the demand: how much traffic will come, as a range."""

from capplan.estimate.demand import Forecast, by_second, estimate, forecast, summary

__all__ = ["Forecast", "by_second", "estimate", "forecast", "summary"]
