"""Kubernetes: an autoscaler, and CronJobs that move its lower bound.

Whoever moved the Deployment's own replicas would be put right by the autoscaler within 15 s.
"""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

from capplan.render.exports.order import (
    Order,
    cron,
    header,
    require_cron_year,
    require_kubernetes_name,
)
from capplan.results.recommendation import Autoscaling

_IMAGE = "registry.k8s.io/kubectl:v1.33.4"
_LATE_S = 600
_CLEAN_UP = timedelta(hours=1)
_RBAC = "rbac.authorization.k8s.io"


def manifests(order: Order) -> str:
    """Return the manifests, one YAML document each."""
    from yaml import safe_dump

    require_kubernetes_name(order.group)
    require_cron_year(order)
    account = f"capplan-{order.slug}"
    names = [f"{account}-{i}" for i in range(1, len(order.steps) + 1)]
    clean_up = f"{account}-clean-up"
    jobs = [
        _job(name, account, cron(step.at), _raise_to(order.group, step.servers))
        for name, step in zip(names, order.steps, strict=True)
    ]
    remove = ["delete", "cronjob", *names, clean_up, "--ignore-not-found", "--wait=false"]
    after = order.steps[-1].at + _CLEAN_UP
    documents = [
        _autoscaler(order.group, order.trigger),
        *_rights(account, order.group, [*names, clean_up]),
        *jobs,
        _job(clean_up, account, cron(after), remove),
    ]
    text = header(
        order,
        f"Look before: kubectl diff -f FILE. Undo: kubectl delete cronjob {' '.join(names)}.",
        "cron has no year: the last CronJob removes all of them, or they would come back.",
        "Times are in UTC. spec.timeZone needs Kubernetes 1.27.",
        "Two autoscalers on one Deployment fight: if it has one, drop the first document, and put",
        "the name of yours into the Role and the CronJobs.",
        "Argo CD and Flux put minReplicas back: let them ignore /spec/minReplicas.",
        *_about(order.trigger),
    )
    return text + "".join(f"---\n{safe_dump(d, sort_keys=False)}" for d in documents)


def _about(trigger: Autoscaling) -> list[str]:
    if trigger.metric == "cpu":
        return [
            "averageUtilization is a share of the CPU that a Pod requests, and was measured as a",
            "share of all that it may use: request as much CPU as you limit it to.",
        ]
    return [
        "The load test has not seen the CPU: the autoscaler counts requests/s per Pod, which needs",
        "a metrics adapter that serves http_requests_per_second.",
    ]


def _autoscaler(group: str, trigger: Autoscaling) -> dict[str, Any]:
    if trigger.metric == "cpu":
        target = {"type": "Utilization", "averageUtilization": max(1, round(trigger.value * 100))}
        metric = {"type": "Resource", "resource": {"name": "cpu", "target": target}}
    else:
        # in thousandths, for a rate below one must not become none
        target = {"type": "AverageValue", "averageValue": f"{round(trigger.value * 1000)}m"}
        named = {"name": "http_requests_per_second"}
        metric = {"type": "Pods", "pods": {"metric": named, "target": target}}
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": group},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": group},
            "minReplicas": trigger.least_servers,
            "maxReplicas": trigger.most_servers,
            "metrics": [metric],
        },
    }


def _rights(account: str, group: str, jobs: list[str]) -> list[dict[str, Any]]:
    """Return an account that may move this one autoscaler and remove these jobs, no more."""
    return [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": account}},
        {
            "apiVersion": f"{_RBAC}/v1",
            "kind": "Role",
            "metadata": {"name": account},
            "rules": [
                {
                    "apiGroups": ["autoscaling"],
                    "resources": ["horizontalpodautoscalers"],
                    "resourceNames": [group],
                    "verbs": ["get", "patch"],
                },
                {
                    "apiGroups": ["batch"],
                    "resources": ["cronjobs"],
                    "resourceNames": jobs,
                    "verbs": ["get", "delete"],
                },
            ],
        },
        {
            "apiVersion": f"{_RBAC}/v1",
            "kind": "RoleBinding",
            "metadata": {"name": account},
            "roleRef": {"apiGroup": _RBAC, "kind": "Role", "name": account},
            "subjects": [{"kind": "ServiceAccount", "name": account}],
        },
    ]


def _raise_to(group: str, servers: int) -> list[str]:
    patch = json.dumps({"spec": {"minReplicas": servers}})
    return ["patch", "hpa", group, "--type=merge", f"--patch={patch}"]


def _job(name: str, account: str, schedule: str, arguments: list[str]) -> dict[str, Any]:
    container = {
        "name": "kubectl",
        "image": _IMAGE,
        "command": ["kubectl", *arguments],
        "env": [{"name": "HOME", "value": "/tmp"}],
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "runAsNonRoot": True,
            "runAsUser": 65532,
        },
    }
    pod = {
        "serviceAccountName": account,
        "restartPolicy": "OnFailure",
        "containers": [container],
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": {"name": name},
        "spec": {
            "schedule": schedule,
            "timeZone": "Etc/UTC",
            "startingDeadlineSeconds": _LATE_S,
            "concurrencyPolicy": "Forbid",
            "jobTemplate": {"spec": {"backoffLimit": 6, "template": {"spec": pod}}},
        },
    }
