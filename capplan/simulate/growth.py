"""Servers over time: how many are started ahead, and what an autoscaler is told."""

from __future__ import annotations

from functools import cache

import numpy as np

from capplan.model.autoscaler import HPA, TARGET_TRACKING
from capplan.results.simulation import Setting
from capplan.simulate.kernel.scaling import Scaling
from capplan.simulate.kernel.setup import Fleet
from capplan.simulate.scene import Scene
from capplan.simulate.setting import setting
from capplan.units import format_duration, format_rate

_ROOM = 10
"""Times the fleet that an autoscaler may order where the plan has no quota."""


def growth_settings(scene: Scene, servers: int) -> tuple[Setting, ...]:
    """Return the settings of what changes the number of servers."""
    given, limits = scene.plan.saleday.limits, scene.plan.servers
    peak_rps = scene.plan.saleday.surprise * peak_requests_rps(scene)
    most = given.autoscale.most or limits.limit or _ROOM * servers
    if given.autoscale.metric == "cpu":
        load, unit, load_why = given.autoscale.target, "of CPU", "compared at each sync"
    else:
        each_rps = scene.sustained_rps(servers) / servers
        load = given.autoscale.requests or given.autoscale.target * each_rps
        unit, load_why = "rps per server", f"a server sustains {format_rate(each_rps)}"
    ahead = _sustaining(scene, servers, peak_rps)
    return (
        setting("prescale", "servers", given.prescale.servers, ahead,
                "servers", f"sustain {format_rate(peak_rps)}, the peak of the surprise; ready "
                f"{format_duration(given.prescale.ready)} after the start"),
        setting("autoscale", "target", None, load, unit, f"{given.autoscale.rule}: {load_why}"),
        setting("autoscale", "most", None, max(most, servers), "servers",
                f"each ready {format_duration(limits.boot)} after it was ordered"),
    )  # fmt: skip


def scaling(
    scene: Scene,
    servers: int,
    fleet: Fleet,
    values: dict[tuple[str, str], float],
    *,
    ahead: bool,
    auto: bool,
    follow: tuple[str, ...],
) -> Scaling | None:
    """Return how the number of servers changes, or None where it does not."""
    if not ahead and not auto:
        return None
    given, first = scene.plan.saleday.limits, fleet.count * fleet.slots
    rule = HPA if given.autoscale.rule == "hpa" else TARGET_TRACKING

    @cache
    def slots(count: int) -> int:
        share = scene.capacity_rps(count) / scene.capacity_rps(servers)
        return max(round(first * share), 1)

    return Scaling(
        servers=servers,
        most=int(values["autoscale", "most"]) if auto else servers,
        prescaled=int(values["prescale", "servers"]) if ahead else 0,
        ready_s=max(given.prescale.ready - scene.begins_s, 0.0),
        by=rule if auto else None,
        metric=given.autoscale.metric,
        target=values["autoscale", "target"],
        start_s=scene.plan.servers.boot,
        slots=slots,
        full=min(fleet.cores / fleet.slots, 1.0),
        follow=follow,
    )


def peak_requests_rps(scene: Scene) -> float:
    """Return the most requests per second, as planned: of the visits within the time of one."""
    window_s = round(scene.think_s * max(scene.per_visit - 1, 0.0))
    window_s = min(max(window_s, 1), scene.seconds)
    smooth = np.convolve(scene.visits_per_s, np.ones(window_s) / window_s, "valid")
    return float(smooth.max()) * scene.per_visit


def _sustaining(scene: Scene, servers: int, rate_rps: float) -> int:
    """Return the smallest fleet that sustains a rate, no more than the quota allows."""
    most = max(scene.plan.servers.limit or 10 * _ROOM * servers, servers)
    low, high = servers, servers
    while high < most and scene.sustained_rps(high) < rate_rps:
        low, high = high, min(2 * high, most)
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if scene.sustained_rps(middle) >= rate_rps else (middle + 1, high)
    return high
