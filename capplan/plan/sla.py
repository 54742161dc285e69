"""The service level: limits on latency percentiles and on the share of failures."""

from __future__ import annotations

import re
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from capplan.plan.types import Seconds, Share
from capplan.units import format_duration, format_share


@dataclass(frozen=True, slots=True)
class LatencyLimit:
    """The ``quantile`` (0 to 1) of latency must not exceed ``limit_s`` seconds."""

    quantile: float
    limit_s: float

    @property
    def name(self) -> str:
        """The short name of the criterion.

        >>> LatencyLimit(0.95, 0.3).name, LatencyLimit(0.999, 1.0).name
        ('p95', 'p99.9')
        """
        return f"p{round(self.quantile * 100, 6):g}"

    def __str__(self) -> str:
        """Return the criterion as it is written on the command line."""
        return f"{self.name}<{format_duration(self.limit_s).replace(' ', '')}"


class Sla(BaseModel):
    """Limits that hold together.

    Latency counts from the intended start of a request, over successful requests and timeouts (a
    timeout is slower than any limit). ``failures`` is the share of requests that fail or time out.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    latency_p50: Seconds | None = None
    latency_p75: Seconds | None = None
    latency_p90: Seconds | None = None
    latency_p95: Seconds | None = None
    latency_p99: Seconds | None = None
    latency_p999: Seconds | None = None
    failures: Share = 0.01

    @model_validator(mode="after")
    def _percentiles_rise(self) -> Sla:
        limits = [limit.limit_s for limit in self.latency]
        if limits != sorted(limits):
            raise ValueError("a higher percentile has a lower limit than a lower percentile")
        return self

    @property
    def latency(self) -> tuple[LatencyLimit, ...]:
        """The limits on latency, lowest percentile first."""
        return tuple(
            LatencyLimit(quantile, limit_s)
            for key, quantile in QUANTILES.items()
            if (limit_s := getattr(self, key)) is not None
        )

    def __str__(self) -> str:
        """Return the SLA as it is written on the command line.

        >>> str(Sla(latency_p95="300 ms", failures="1%"))
        'p95<300ms, failures<1%'
        """
        return ", ".join([*map(str, self.latency), f"failures<{format_share(self.failures)}"])


QUANTILES = {
    "latency_p50": 0.5,
    "latency_p75": 0.75,
    "latency_p90": 0.9,
    "latency_p95": 0.95,
    "latency_p99": 0.99,
    "latency_p999": 0.999,
}


def parse_sla(text: str) -> Sla:
    """Read an SLA as it is written on the command line.

    Raises ``ValueError`` that names the part which cannot be read.

    >>> parse_sla("p95<300ms, failures<1%").latency
    (LatencyLimit(quantile=0.95, limit_s=0.3),)
    """
    fields: dict[str, str] = {}
    for part in text.split(","):
        match = re.fullmatch(r"\s*(p[\d.]+|failures)\s*<=?\s*(.+?)\s*", part)
        if match is None:
            raise ValueError(f"{part.strip()!r} is not a limit: write 'p95<300ms, failures<1%'")
        name, limit = match.groups()
        key = name if name == "failures" else f"latency_{name.replace('.', '')}"
        if key != "failures" and key not in QUANTILES:
            known = ", ".join(k.removeprefix("latency_") for k in QUANTILES)
            raise ValueError(f"{name!r} is not a percentile that can be set: use one of {known}")
        if key in fields:
            raise ValueError(f"{name!r} stands twice in {text!r}")
        fields[key] = limit
    try:
        return Sla.model_validate(fields)
    except ValidationError as error:
        raise ValueError(f"{text!r}: {error.errors()[0]['ctx']['error']}") from None
