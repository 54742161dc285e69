"""Terraform: scheduled actions of an Auto Scaling group."""

from __future__ import annotations

from collections.abc import Mapping

from capplan.render.exports.aws import about, action_names, target_tracking
from capplan.render.exports.order import Order, header, zulu

Value = str | int | float


def configuration(order: Order) -> str:
    """Return a configuration: one scheduled action per step, and the trigger of the load test."""
    blocks = [
        _variable("autoscaling_group_name", order.group),
        *(
            _block(
                f'resource "aws_autoscaling_schedule" "capplan_{i}"',
                {
                    "scheduled_action_name": name,
                    "autoscaling_group_name": _GROUP,
                    "start_time": zulu(step.at),
                    # what is left out here would be set to 0
                    "min_size": step.servers,
                    "max_size": order.trigger.most_servers,
                    "desired_capacity": step.servers,
                },
            )
            for i, (name, step) in enumerate(
                zip(action_names(order), order.steps, strict=True), start=1
            )
        ),
        _policy(order),
    ]
    text = header(
        order,
        "start_time is in UTC. AWS refuses times that are past, and removes an action once it has",
        "run: take this file out after the sale, or the next apply fails.",
        "The actions move what the group itself may state: give the aws_autoscaling_group",
        "lifecycle { ignore_changes = [min_size, max_size, desired_capacity] }.",
    )
    return text + "\n" + "\n".join(blocks)


class _Expression(str):
    """Text that is code, not a string."""

    __slots__ = ()


_GROUP = _Expression("var.autoscaling_group_name")


def _policy(order: Order) -> str:
    metric = target_tracking(order.trigger)
    known = metric["PredefinedMetricSpecification"]
    inner: dict[str, Value] = {"predefined_metric_type": known["PredefinedMetricType"]}
    if label := known.get("ResourceLabel"):
        inner["resource_label"] = label
    block = _block(
        'resource "aws_autoscaling_policy" "capplan"',
        {
            "name": f"capplan-{order.slug}",
            "autoscaling_group_name": _GROUP,
            "policy_type": "TargetTrackingScaling",
            "estimated_instance_warmup": round(order.ready_s),
        },
        ("target_tracking_configuration", {"target_value": metric["TargetValue"]}),
        ("predefined_metric_specification", inner),
    )
    if label:
        block = "".join(f"# {line}".rstrip() + "\n" for line in block.splitlines())
    return "".join(f"# {line}\n" for line in about(order.trigger)) + block


def _variable(name: str, default: str) -> str:
    return f'variable "{name}" {{\n  type    = string\n  default = {_literal(default)}\n}}\n'


def _block(head: str, values: Mapping[str, Value], *nested: tuple[str, Mapping[str, Value]]) -> str:
    """Write a block as ``terraform fmt`` does; each nested one stands in the one before it."""
    return "\n".join(_lines(head, values, nested)) + "\n"


def _lines(
    head: str, values: Mapping[str, Value], nested: tuple[tuple[str, Mapping[str, Value]], ...]
) -> list[str]:
    width = max(map(len, values))
    body = [f"{name:<{width}} = {_literal(value)}" for name, value in values.items()]
    if nested:
        (name, inner), *further = nested
        body += ["", *_lines(name, inner, tuple(further))]
    return [f"{head} {{", *(f"  {line}".rstrip() for line in body), "}"]


def _literal(value: Value) -> str:
    if isinstance(value, _Expression) or not isinstance(value, str):
        return str(value)
    text = value.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + text.replace("${", "$${").replace("%{", "%%{") + '"'
