"""From results to a verdict: whether the planned fleet is good enough."""

from capplan.gate.judge import judge

__all__ = ["judge"]
