"""Sections of the plan about the service: what is measured, and what it has to keep."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from capplan.plan.section import Section
from capplan.plan.sla import Sla
from capplan.plan.types import Address, Files, Name, PositiveShare, Seconds, Words
from capplan.units import format_share


class Metrics(Section):
    """Where the target's own measurements are."""

    prometheus: Address = Field(description="The server that has them; it receives no load.")
    queries: dict[Name, Name] = Field(
        default={},
        description="PromQL by name, one number each, read over each trial. Those named cpu and "
        "memory are the shares (0 to 1) that the target uses.",
    )


class ResourceLimits(Section):
    """Limits of the target's resources that bind like the SLA."""

    cpu: PositiveShare | None = Field(
        default=None, description="Of the cores that the target may use."
    )
    memory: PositiveShare | None = Field(
        default=None, description="Of the memory that the target may have."
    )

    @property
    def given(self) -> dict[str, float]:
        """The limits that are set, by name.

        >>> ResourceLimits(cpu="85%").given
        {'cpu': 0.85}
        """
        limits = {"cpu": self.cpu, "memory": self.memory}
        return {name: limit for name, limit in limits.items() if limit is not None}

    @property
    def words(self) -> list[str]:
        """The limits as an SLA is written on the command line.

        >>> ResourceLimits(cpu="85%", memory="90%").words
        ['cpu<85%', 'memory<90%']
        """
        return [f"{name}<{format_share(limit)}" for name, limit in self.given.items()]


class Endpoint(Sla):
    """An SLA of one endpoint."""

    priority: Literal["critical", "normal", "low"] | None = Field(
        default=None,
        description="Of its class in a simulation that takes the classes from the load test; "
        "by default the class's own: pay and order before cart before the others.",
    )


class Service(Section):
    """What is measured and what it has to keep."""

    target: Address | None = Field(default=None, description="The address that receives the load.")
    locustfile: Files | None = Field(
        default=None, description="One file or a list, relative to the plan."
    )
    arguments: Words = Field(
        default=(),
        description="Handed to the script: --tags, names of user classes, its own options.",
    )
    unit: Literal["task", "visit"] = Field(
        default="task",
        description="What arrives in the load test: single tasks without their waits, or whole "
        "visits by new users.",
    )
    timeout: Seconds = Field(default=10.0, description="No answer by then is a miss.")
    allowed_hosts: tuple[str, ...] = Field(
        default=(), description="Hosts other than this machine that may receive load."
    )
    sla: Sla = Sla(latency_p95=0.3, failures=0.01)
    max: ResourceLimits = ResourceLimits()
    metrics: Metrics | None = None
    endpoints: dict[str, Endpoint] = Field(default={})
