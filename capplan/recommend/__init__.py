"""From demand and capacity to a server count, its cost and its risk."""

from capplan.recommend.recommendation import recommend

__all__ = ["recommend"]
