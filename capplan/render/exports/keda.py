"""KEDA: one ScaledObject whose cron triggers hold the scheduled counts."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from capplan.render.exports.order import (
    Order,
    cron,
    header,
    require_cron_year,
    require_kubernetes_name,
)
from capplan.results.recommendation import Autoscaling

_QUERY = "sum(rate(http_requests_total[1m]))"


def scaled_object(order: Order) -> str:
    """Return the manifest.

    Between two steps one cron trigger asks for the count of the first. After the last step none
    does, and ``minReplicaCount`` holds today's servers: no trigger is needed to go down.
    """
    from yaml import safe_dump

    require_kubernetes_name(order.group)
    require_cron_year(order)
    triggers = [
        {
            "type": "cron",
            # KEDA takes strings only
            "metadata": {
                "timezone": "Etc/UTC",
                "start": cron(step.at),
                "end": cron(after.at),
                "desiredReplicas": str(step.servers),
            },
        }
        for step, after in pairwise(order.steps)
    ]
    document = {
        "apiVersion": "keda.sh/v1alpha1",
        "kind": "ScaledObject",
        "metadata": {"name": order.group},
        "spec": {
            "scaleTargetRef": {"name": order.group},
            "minReplicaCount": order.trigger.least_servers,
            "maxReplicaCount": order.trigger.most_servers,
            "triggers": [*triggers, *_measured(order)],
        },
    }
    text = header(
        order,
        "Look before: kubectl diff -f FILE.",
        "KEDA's cron has no year: these triggers come back EVERY YEAR. Take them out after the",
        "last step.",
        "Times are in UTC, and so is every trigger's timezone.",
        "If the Deployment has an autoscaler of its own, remove that first: KEDA makes one.",
        *_about(order.trigger, order.prometheus),
    )
    return f"{text}---\n{safe_dump(document, sort_keys=False)}"


def _measured(order: Order) -> list[dict[str, Any]]:
    """Return the trigger of the load test, which adds servers beyond the schedule."""
    trigger = order.trigger
    if trigger.metric == "cpu":
        share = str(max(1, round(trigger.value * 100)))
        return [{"type": "cpu", "metricType": "Utilization", "metadata": {"value": share}}]
    if order.prometheus is None:
        return []
    return [
        {
            "type": "prometheus",
            "metricType": "AverageValue",
            "metadata": {
                "serverAddress": order.prometheus,
                "query": _QUERY,
                "threshold": f"{trigger.value:.3g}"
                if trigger.value < 100
                else f"{trigger.value:.0f}",
            },
        }
    ]


def _about(trigger: Autoscaling, prometheus: str | None) -> list[str]:
    if trigger.metric == "cpu":
        return [
            "The cpu trigger is a share of the CPU that a Pod requests, and was measured as a",
            "share of all that it may use: request as much CPU as you limit it to.",
        ]
    if prometheus:
        return [f"Put your own query in: {_QUERY} has to count the requests/s of all Pods."]
    return [
        "The load test has not seen the CPU, and service.metrics names no Prometheus: add a",
        f"trigger of your own that keeps {trigger.value:.4g} requests/s per Pod.",
    ]
