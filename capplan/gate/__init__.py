"""From demand, capacity and policy to a verdict on the planned fleet."""

from capplan.gate.criteria import criteria
from capplan.gate.drop import Change
from capplan.gate.judge import judge

__all__ = ["Change", "criteria", "judge"]
