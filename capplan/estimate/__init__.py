"""From the plan to the demand: how much traffic will come, as a range."""

from capplan.estimate.demand import estimate

__all__ = ["estimate"]
