"""What is known before the simulation, beside what the simulation found."""

from __future__ import annotations

import numpy as np

from capplan.model.retries import (
    drained_after_s,
    fluid_backlog,
    fluid_recovery,
    hidden_capacity_rps,
    rejection,
    safe_queue,
)
from capplan.results.base import Note
from capplan.results.simulation import Act, Law
from capplan.simulate.acts import SURPRISE
from capplan.simulate.scene import Scene
from capplan.units import format_duration, format_rate

_HOTOS = "Bronson et al., HotOS 2021"
_BALANCE = "balance: λ(1 - p^A) = μ"
_COSTLY = "balance: g + κ(λ - g) = μ"
_TOLERANCE_S, _TOLERANCE = 60.0, 0.10
_BUSIEST_S = 30


def laws(scene: Scene, acts: tuple[Act, ...], shed: Act | None = None) -> tuple[Law, ...]:
    """Return the laws of overload for this sale; each with what the unprotected surprise did.

    ``shed`` is the surprise with a bounded queue alone: it refuses, and nobody waits in vain.
    """
    bare = next((act for act in acts if act.name == SURPRISE and not act.protections), None)
    capacity_rps = scene.capacity_rps(scene.planned)
    attempts, patience_s = scene.plan.saleday.attempts, scene.patience_s
    formula, source = _tightest(scene, capacity_rps)
    found = [
        Law(
            name="capacity, always busy",
            formula=formula,
            source=source,
            value=capacity_rps,
            unit="rps",
            simulated=None,
            agrees=None,
        ),
        Law(
            name="hidden capacity",
            formula=f"μ/A, A = {attempts}",
            source=_HOTOS,
            value=hidden_capacity_rps(capacity_rps, attempts),
            unit="rps",
            simulated=None,
            agrees=None,
        ),
        Law(
            name="safe queue",
            formula="μ·(T - S)",
            source=_HOTOS,
            value=float(safe_queue(capacity_rps, patience_s, scene.server.service_s)),
            unit="requests",
            simulated=float(bare.peak_queue) if bare else None,
            agrees=None,
        ),
    ]
    return (
        *found,
        *_flood(scene),
        *(_collapse(scene, bare) if bare else ()),
        *(_refused(scene, shed) if shed else ()),
    )


def _flood(scene: Scene) -> tuple[Law, ...]:
    """Say with how many requests refusing alone fills the gateway: none gets through beyond."""
    cost = scene.plan.saleday.limits.gateway_refusal_cost
    if not cost:
        return ()
    return (
        Law(
            name="nothing passes the gateway",
            formula="μ/κ, goodput (μ - κλ)/(1 - κ)",
            source=_COSTLY,
            value=scene.gateway_rps / cost,
            unit="rps",
            simulated=None,
            agrees=None,
        ),
    )


def _tightest(scene: Scene, capacity_rps: float) -> tuple[str, str]:
    """Return the formula of the layer that carries least, and where it is from."""
    if capacity_rps < min(scene.behind_rps, scene.gateway_rps):
        return "μ = N·c/S", "the fitted server"
    if scene.gateway_rps < scene.behind_rps:
        nodes = scene.plan.saleday.limits.gateway_nodes
        return f"μ of the gateway's {nodes} nodes", "saleday.limits"
    tightest = min(scene.services, key=lambda one: one.capacity_rps)
    formula = f"μ = {tightest.slots}/{format_duration(tightest.mean_s)} of {tightest.name}"
    return formula, "saleday.downstream"


def _collapse(scene: Scene, act: Act) -> tuple[Law, ...]:
    """Follow the backlog of the requests that were offered, and compare its moments."""
    step_s, patience_s = act.series.step_s, scene.patience_s
    attempts, capacity_rps = scene.plan.saleday.attempts, act.capacity_rps
    load = np.repeat(np.add(act.series.offered, act.series.bots), int(step_s))
    backlog = fluid_backlog(load.tolist(), capacity_rps, attempts, patience_s)
    late_at, back_at = fluid_recovery(backlog, capacity_rps, patience_s)
    if late_at is None:
        return ()
    highest = int(np.argmax(backlog))
    calm = float(load[highest:back_at].mean())
    takes_s = drained_after_s(backlog[highest], capacity_rps, calm, attempts, patience_s)
    back_s = act.recovered_at_s
    since_s = None if back_s is None else back_s - (scene.begins_s + highest)
    return (
        _moment("answers too late from", scene.begins_s + late_at, act.lost_at_s),
        _moment(
            "in time again from",
            None if back_at is None else scene.begins_s + back_at,
            back_s,
        ),
        Law(
            name="recovery takes",
            formula="(B - μT)/(μ - A·λ)",
            source=_HOTOS,
            value=takes_s if back_at is not None else None,
            unit="s",
            simulated=since_s,
            agrees=_agree(takes_s if back_at is not None else None, since_s),
        ),
    )


def _moment(name: str, law_s: float | None, simulated_s: float | None) -> Law:
    return Law(
        name=name,
        formula="b' = A·λ - μ while b > μT",
        source=_HOTOS,
        value=law_s,
        unit="s after the start",
        simulated=simulated_s,
        agrees=_agree(law_s, simulated_s),
    )


def _agree(law_s: float | None, simulated_s: float | None) -> bool:
    """Compare two times; None is never."""
    if law_s is None or simulated_s is None:
        return law_s is simulated_s
    return abs(simulated_s - law_s) <= max(_TOLERANCE_S, _TOLERANCE * abs(law_s))


def _refused(scene: Scene, shed: Act) -> tuple[Law, ...]:
    """Compare the share of attempts that is refused, in the half minute that refuses most.

    The law is about a queue that is full, and a queue takes its time to fill.
    """
    series = shed.series
    steps = min(max(round(_BUSIEST_S / series.step_s), 1), len(series.offered))

    def sums(values: tuple[float, ...]) -> np.ndarray:
        return np.convolve(values, np.ones(steps), "valid")

    refused, offered, asked = (
        sums(values) for values in (series.rejected, series.offered, series.attempts)
    )
    busiest = int(np.argmax(refused))
    rate_rps = float(offered[busiest]) / steps
    if rate_rps <= shed.capacity_rps or not refused[busiest]:
        return ()
    share, _ = rejection(shed.capacity_rps, rate_rps, scene.plan.saleday.attempts)
    found = float(refused[busiest] / asked[busiest])
    return (
        Law(
            name=f"refused at {format_rate(rate_rps)}",
            formula="p = (1 - μ/λ)^(1/A)",
            source=_BALANCE,
            value=share,
            unit="of the attempts",
            simulated=found,
            agrees=abs(found - share) <= _TOLERANCE,
        ),
    )


def disagreements(found: tuple[Law, ...]) -> tuple[Note, ...]:
    """Note each law that the simulation contradicts."""
    return tuple(
        Note(
            code="law_disagrees",
            message=f"{law.name}: {law.formula} says {_said(law.value, law.unit)}, the simulation "
            f"says {_said(law.simulated, law.unit)}",
            advice="the law is a fluid approximation; trust the simulation, and look at the chart",
        )
        for law in found
        if law.agrees is False
    )


def _said(value: float | None, unit: str) -> str:
    return "never" if value is None else f"{value:.4g} {unit}"
