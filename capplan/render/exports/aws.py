"""AWS: scheduled actions of an Auto Scaling group, as commands of the AWS CLI."""

from __future__ import annotations

import json
import shlex
from typing import Any

from capplan.render.exports.order import Order, header, zulu
from capplan.results.recommendation import Autoscaling

ALB_LABEL = "app/LOAD-BALANCER/ID/targetgroup/TARGET-GROUP/ID"


def commands(order: Order) -> str:
    """Return a script: one scheduled action per step, and the trigger of the load test.

    A scheduled action happens once and ends there. So going down is an action of its own.
    """
    names = action_names(order)
    blocks = [
        _command(
            "put-scheduled-update-group-action",
            order.group,
            scheduled_action_name=name,
            start_time=zulu(step.at),
            min_size=step.servers,
            max_size=order.trigger.most_servers,
            desired_capacity=step.servers,
        )
        for name, step in zip(names, order.steps, strict=True)
    ]
    policy = _command(
        "put-scaling-policy",
        order.group,
        policy_name=f"capplan-{order.slug}",
        policy_type="TargetTrackingScaling",
        estimated_instance_warmup=round(order.ready_s),
        target_tracking_configuration=json.dumps(target_tracking(order.trigger)),
    )
    if order.trigger.metric == "requests":
        policy = "".join(f"# {line}\n" for line in policy.splitlines())
    undo = [
        f"aws autoscaling delete-scheduled-action --auto-scaling-group-name "
        f"{shlex.quote(order.group)} --scheduled-action-name {name}"
        for name in names
    ]
    text = header(
        order,
        "start-time is in UTC. AWS refuses times that are past, and removes an action once it has",
        "run; so going down is an action of its own. Run it again to correct the times.",
        f"An action also sets the group's maximum, here to {order.trigger.most_servers}.",
        "Look after: aws autoscaling describe-scheduled-actions",
        "Undo:",
        *(f"  {line}" for line in undo),
    )
    blocks = [*blocks, "\n".join(f"# {line}" for line in about(order.trigger)) + "\n" + policy]
    return "#!/bin/sh\n" + text + "set -eu\n\n" + "\n".join(blocks)


def action_names(order: Order) -> list[str]:
    """Name each step's action: in order, and with its count."""
    return [
        f"capplan-{order.slug}-{i}-{step.servers}" for i, step in enumerate(order.steps, start=1)
    ]


def target_tracking(trigger: Autoscaling) -> dict[str, Any]:
    """Return the configuration of a target tracking policy.

    AWS counts requests per target and minute, and CPU in per cent.
    """
    if trigger.metric == "cpu":
        metric = {"PredefinedMetricType": "ASGAverageCPUUtilization"}
        return {
            "PredefinedMetricSpecification": metric,
            "TargetValue": round(trigger.value * 100, 1),
        }
    metric = {"PredefinedMetricType": "ALBRequestCountPerTarget", "ResourceLabel": ALB_LABEL}
    return {"PredefinedMetricSpecification": metric, "TargetValue": round(trigger.value * 60, 1)}


def about(trigger: Autoscaling) -> list[str]:
    """Say what the trigger is, and what is left to do."""
    if trigger.metric == "cpu":
        return ["What the load test says to keep, beyond the schedule: the share of the CPU."]
    return [
        "What the load test says to keep, beyond the schedule: requests per target and MINUTE. It",
        "has not seen the CPU. Put the label of your load balancer's target group in to use it.",
    ]


def _command(operation: str, group: str, **options: str | int) -> str:
    words = [f"--{name.replace('_', '-')} {shlex.quote(str(o))}" for name, o in options.items()]
    lines = [f"aws autoscaling {operation}", f"--auto-scaling-group-name {shlex.quote(group)}"]
    return " \\\n  ".join([*lines, *words]) + "\n"
