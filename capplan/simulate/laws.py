"""What is known before the simulation, beside what the simulation found."""

from __future__ import annotations

import numpy as np

from capplan.model.retries import fluid_recovery, hidden_capacity_rps, safe_queue
from capplan.results.base import Note
from capplan.results.simulation import Act, Law
from capplan.simulate.acts import SURPRISE
from capplan.simulate.scene import Scene

_HOTOS = "Bronson et al., HotOS 2021"
_TOLERANCE_S, _TOLERANCE = 60.0, 0.10


def laws(scene: Scene, acts: tuple[Act, ...]) -> tuple[Law, ...]:
    """Return the laws of overload for this sale; each with what the unprotected surprise did."""
    bare = next((act for act in acts if act.name == SURPRISE and not act.protections), None)
    capacity_rps = scene.capacity_rps(scene.planned)
    attempts, patience_s = scene.plan.saleday.attempts, scene.patience_s
    found = [
        Law(
            name="capacity, always busy",
            formula="μ = N·c/S",
            source="the fitted server",
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
    return (*found, *(_collapse(scene, bare) if bare else ()))


def _collapse(scene: Scene, act: Act) -> tuple[Law, ...]:
    """Follow the backlog of the requests that were offered, and compare its two moments."""
    step_s = act.series.step_s
    load = np.repeat(np.add(act.series.offered, act.series.bots), int(step_s))
    late_at, back_at = fluid_recovery(
        load.tolist(), act.capacity_rps, scene.plan.saleday.attempts, scene.patience_s
    )
    if late_at is None:
        return ()
    late_s = float(scene.begins_s + late_at)
    moments = [_moment("answers too late from", late_s, act.lost_at_s)]
    if back_at is not None:
        moments.append(
            _moment("in time again from", float(scene.begins_s + back_at), act.recovered_at_s)
        )
    return tuple(moments)


def _moment(name: str, law_s: float, simulated_s: float | None) -> Law:
    agrees = None
    if simulated_s is not None:
        agrees = abs(simulated_s - law_s) <= max(_TOLERANCE_S, _TOLERANCE * abs(law_s))
    return Law(
        name=name,
        formula="b' = A·λ - μ while b > μT",
        source=_HOTOS,
        value=law_s,
        unit="s after the start",
        simulated=simulated_s,
        agrees=agrees,
    )


def disagreements(found: tuple[Law, ...]) -> tuple[Note, ...]:
    """Note each law that the simulation contradicts."""
    return tuple(
        Note(
            code="law_disagrees",
            message=f"{law.name}: {law.formula} says {law.value:.4g} {law.unit}, the simulation "
            f"says {law.simulated:.4g}",
            advice="the law is a fluid approximation; trust the simulation, and look at the chart",
        )
        for law in found
        if law.agrees is False
    )
