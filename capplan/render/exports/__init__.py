"""The schedule as files for the tools that carry it out, one module per format.

A new format is a module with a function from an ``Order`` to a text, and its line in ``FORMATS``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from capplan.render.exports.aws import commands
from capplan.render.exports.keda import scaled_object
from capplan.render.exports.kubernetes import manifests
from capplan.render.exports.order import Order as Order
from capplan.render.exports.order import order as order
from capplan.render.exports.terraform import configuration


@dataclass(frozen=True, slots=True)
class Format:
    """One format: what writes it, how its file is called, and how that is applied."""

    write: Callable[[Order], str]
    file: str
    apply: str


FORMATS = {
    "kubernetes": Format(manifests, "kubernetes.yaml", "kubectl apply -f {}"),
    "keda": Format(scaled_object, "keda.yaml", "kubectl apply -f {}"),
    "aws-asg": Format(commands, "aws-asg.sh", "sh {}"),
    "terraform": Format(
        configuration, "capplan-schedule.tf", "terraform plan, with {} among your files"
    ),
}
"""By the name that ``--export`` takes."""
