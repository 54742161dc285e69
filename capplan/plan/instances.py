"""Instance types: what they cost by the dated list that ships with the package.

The list is read once. In a plan a type is a name; inside it is all that the list says of it, so
that a result made with another price is stale.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date
from functools import cache
from importlib import resources
from typing import Annotated, Any

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

from capplan.units import Range

PER_VCPU = Range(0.7, 1.4)
"""What a vCPU of one type is worth against that of another: an assumption, wide on purpose. Half a
core on some types is a whole one on others, and no service grows with all of them."""


@dataclass(frozen=True, slots=True)
class Instance:
    """A type of server; ``source`` and ``listed`` say where its price stood, and when."""

    name: str
    vcpus: int
    memory_gib: float
    usd_per_h: float
    source: str
    listed: date

    def assumed_speed(self, of: Instance) -> Range:
        """Return how fast ``of`` is against this type, by vCPUs alone: a 90 % interval.

        >>> catalogue()["m7i.large"].assumed_speed(catalogue()["m7i.xlarge"])
        Range(low=1.4, high=2.8)
        """
        ratio = of.vcpus / self.vcpus
        return Range(ratio * PER_VCPU.low, ratio * PER_VCPU.high)


@cache
def catalogue() -> Mapping[str, Instance]:
    """Return the types of the list, by their names."""
    import yaml

    text = resources.files("capplan").joinpath("data", "prices.yaml").read_text("utf-8")
    known = yaml.safe_load(text)
    return {
        name: Instance(name=name, source=known["source"], listed=known["date"], **facts)
        for name, facts in known["instances"].items()
    }


def _read(value: Any) -> Instance:
    if isinstance(value, Instance):
        return value
    if not isinstance(value, str):
        raise ValueError("the name of an instance type belongs here, such as m7i.large")
    known = catalogue()
    if found := known.get(value.strip()):
        return found
    near = difflib.get_close_matches(value[:60].strip().lower(), known, n=1, cutoff=0.5)
    meant = f"did you mean {near[0]}? " if near else ""
    raise ValueError(
        f"{value[:60]!r} is not in the price list; {meant}The list has {', '.join(known)}; for any "
        "other type give servers.price instead"
    )


InstanceType = Annotated[
    Instance,
    BeforeValidator(_read),
    PlainSerializer(lambda found: asdict(found) | {"listed": found.listed.isoformat()}),
    WithJsonSchema(
        {
            "type": "string",
            "description": "An instance type of the price list that ships with capplan.",
            "enum": list(catalogue()),
            "examples": ["m7i.large"],
        }
    ),
]
