"""Simulate a part of a sale: a share of demand and fleet together, or the minutes around its peak.

Overload does not depend on size: a tenth of the visits on a tenth of the servers breaks, recovers
and pays as the whole does, to within two errors that can be stated. Chance moves a count n by √n;
and a smaller pool of slots waits a little longer at the same utilisation.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import TypeVar

import numpy as np

from capplan.errors import UsageError
from capplan.model.queueing import mmc_sustained_rps
from capplan.plan.saleday import BotGroup
from capplan.plan.schema import Plan
from capplan.plan.section import Section
from capplan.results.base import Note
from capplan.results.simulation import Act
from capplan.simulate.acts import Script
from capplan.simulate.scene import Scene
from capplan.units import format_duration, format_number, format_share

ATTEMPTS_PER_S = 2e6
"""What one core simulates, about; only to say in advance how long something takes."""

_LONGEST_S = 600.0
_SHORT_S = 60.0
S = TypeVar("S", bound=Section)

_OF_THE_WHOLE = ("room_rate", "in_flight", "token_rate", "token_burst", "leak_rate", "queue",
                 "gateway_capacity")  # fmt: skip
"""Limits that belong to the fleet as a whole, and shrink with it."""


def shrink(scene: Scene, script: Script, scale: float) -> tuple[Scene, Script]:
    """Return about the share ``scale`` of a sale: a whole number of servers, and as much demand.

    The share is ``scene.share`` of the scene that is returned; it is never below that of one
    server.
    """
    servers = max(round(script.servers * scale), 1)
    share = servers / script.servers
    if share == 1.0:
        return scene, script
    smaller = replace(
        scene,
        share=share,
        visits_per_s=scene.visits_per_s * share,
        plan=_shrunk(scene.plan, scene.bots(), share),
    )
    return smaller, replace(script, servers=servers)


def _shrunk(plan: Plan, bots: tuple[BotGroup, ...], share: float) -> Plan:
    limits, servers = plan.saleday.limits, plan.servers
    fewer = tuple(
        group.model_copy(
            update={"rate": group.rate * share, "sources": max(round(group.sources * share), 1)}
        )
        for group in bots
    )
    less = _fewer(limits, _OF_THE_WHOLE, share).model_copy(
        update={
            "waf": _fewer(limits.waf, ("capacity",), share),
            "prescale": _fewer(limits.prescale, ("servers",), share),
            "autoscale": _fewer(limits.autoscale, ("most",), share),
        }
    )
    saleday = plan.saleday.model_copy(update={"limits": less, "bots": fewer})
    return plan.model_copy(
        update={"saleday": saleday, "servers": _fewer(servers, ("limit",), share)}
    )


def _fewer(section: S, names: Sequence[str], share: float) -> S:
    """Return a section with a share of what is given under some of its names."""
    given = {name: value for name in names if (value := getattr(section, name)) is not None}
    return section.model_copy(
        update={
            name: value * share if isinstance(value, float) else max(round(value * share), 1)
            for name, value in given.items()
        }
    )


def pooling_loss(scene: Scene, servers: int, share: float) -> float:
    """Return which part of its capacity a smaller pool loses, because it waits longer.

    1 - (sustained rate of share·c slots)/(share · sustained rate of c slots), M/M/c at the SLA.
    """
    slots = servers * scene.server.slots
    fewer = max(round(slots * share), 1)
    limits = [(limit.quantile, limit.limit_s) for limit in scene.plan.service.sla.latency]

    def per_slot(count: int) -> float:
        return min(mmc_sustained_rps(count, scene.server.service_s, *one) for one in limits) / count

    return max(1 - per_slot(fewer) / per_slot(slots), 0.0) if limits else 0.0


def around_peak(scene: Scene, reach_s: int = 600) -> Scene:
    """Return the minutes around the densest ones of a sale; attacks that begin later are left out.

    An attack that has begun before goes on from the first second.
    """
    smooth_s = min(60, scene.seconds)
    busiest = int(np.argmax(np.convolve(scene.visits_per_s, np.ones(smooth_s), "valid")))
    first = max(busiest + smooth_s // 2 - reach_s, 0)
    last = min(busiest + smooth_s // 2 + reach_s, scene.seconds)
    begins_s = scene.begins_s + first
    bots = tuple(group for group in scene.bots() if group.start < scene.begins_s + last)
    saleday = scene.plan.saleday.model_copy(update={"bots": bots})
    return replace(
        scene,
        plan=scene.plan.model_copy(update={"saleday": saleday}),
        begins_s=begins_s,
        visits_per_s=scene.visits_per_s[first:last],
    )


def round_down(share: float) -> float:
    """Return one significant digit of a share, not above it.

    >>> round_down(0.0378), round_down(0.5), round_down(3.0)
    (0.03, 0.5, 1.0)
    """
    if share >= 1:
        return 1.0
    digit = 10.0 ** math.floor(math.log10(share) + 1e-9)
    return round(math.floor(share / digit + 1e-9) * digit, 12)


def attempts(scene: Scene, script: Script) -> float:
    """Estimate how many attempts an act has, before it is simulated."""
    people = float(scene.visits_per_s.sum()) * script.factor * scene.per_visit
    bots = sum(group.rate * (group.duration or scene.seconds) for group in scene.bots())
    return people * scene.plan.saleday.attempts + bots * script.attacked


def check_size(scene: Scene, todo: Sequence[Script]) -> None:
    """Refuse acts whose exact simulation takes longer than a person waits.

    Raises ``UsageError`` that offers the scaled simulation with its error.
    """
    exact_s = sum(attempts(scene, script) for script in todo) / ATTEMPTS_PER_S
    if exact_s <= _LONGEST_S:
        return
    scale = round_down(_SHORT_S / exact_s)
    smallest = min(shrink(scene, script, scale)[0].share for script in todo)
    paying = min(float(scene.visits_per_s.sum()) * one.factor for one in todo) * scene.paying
    raise UsageError(
        f"the acts have about {format_number(exact_s * ATTEMPTS_PER_S)} attempts: to simulate "
        f"them one by one takes about {format_duration(exact_s)}",
        f"add --scale {scale:g} to simulate that share of demand and fleet: "
        f"{_errors(scene, smallest, paying)}; or --scale 1 to wait for all",
    )


def scaled_notes(scene: Scene, acts: Sequence[Act], scale: float) -> tuple[Note, ...]:
    """Note what a scaled simulation does not know; nothing for one at full size."""
    if scale >= 1 or not acts:
        return ()
    share = min(max(round(act.servers * scale), 1) / act.servers for act in acts)
    return (
        Note(
            code="scaled",
            message=f"{format_share(scale)} of demand and fleet were simulated, and counts are "
            f"those of the whole: {_errors(scene, share, min(act.could_pay for act in acts))}",
            advice="--scale 1 simulates every request",
        ),
    )


def _errors(scene: Scene, share: float, paying: float) -> str:
    chance = format_share(1.96 / math.sqrt(max(paying * share, 1.0)))
    lost = format_share(pooling_loss(scene, scene.planned, share))
    return (
        f"chance moves the visits that pay by up to {chance} (95%), and the smaller pool of slots "
        f"carries {lost} less within the SLA"
    )
