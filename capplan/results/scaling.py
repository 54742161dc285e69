"""Scale-out: runs at 1, 2, 4 … servers gather in one capacity, and a law is fitted through them.

A run belongs to the runs before it when script, arguments, SLA, unit and the plan's service are the
same. The address may differ: one server and a load balancer rarely share it. A new run takes the
place of the earlier one with the same number of servers.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from capplan.model.overload import ServerRate
from capplan.model.quasirandom import sobol
from capplan.model.scalability import Laws, fit, resample
from capplan.results.base import Note
from capplan.results.capacity import (
    Capacity,
    Identity,
    LawDraws,
    ScalePoint,
    Scaling,
    ScalingLaw,
    Span,
    SustainedRate,
)
from capplan.results.phases import Phases
from capplan.units import format_number, format_rate

CONFIDENCE = 0.95
FEWEST_POINTS = 3
_POWER = 8  # 2^8 resampled fits
_SURE = 0.9  # the share of resampled fits that has to agree that the law is identified
_ELSEWHERE = ("service.target", "service.locustfile")  # another address; scripts by their content
_DERIVED = "one_server_not_measured"


def accumulate(earlier: Capacity | None, run: Capacity) -> Capacity:
    """Add a run to what is known, and return the capacity of one server with its scaling.

    ``run.sustained_rps`` is that of all ``run.identity.servers`` together.
    """
    kept = earlier if earlier and same_service(earlier, run) else None
    points = {point.servers: point for point in _points(kept)} if kept else {}
    servers = run.identity.servers
    points[servers] = _point(run)
    shown = run if kept is None or servers <= kept.identity.servers else kept
    shown = shown.model_copy(update={"notes": _without(shown.notes), "scaling": None})
    if earlier and not kept:
        shown = shown.model_copy(update={"notes": (*shown.notes, *_dropped(earlier))})
    if set(points) == {1}:
        return shown
    ordered = [points[count] for count in sorted(points)]
    scaling = Scaling(
        points=tuple(
            point.model_copy(update={"trials": (), "phases": Phases()})
            if point.servers == shown.identity.servers
            else point
            for point in ordered
        ),
        law=scaling_law(ordered),
    )
    shown = shown.model_copy(update={"scaling": scaling})
    return shown if shown.identity.servers == 1 else _derived(shown, scaling)


def same_service(earlier: Capacity, run: Capacity) -> bool:
    """Return whether two runs asked the same of the same service, whatever its size and address."""
    return _asked(earlier) == _asked(run)


def scaling_law(points: Iterable[ScalePoint]) -> ScalingLaw | None:
    """Fit the law through the points that were measured; None for fewer than three."""
    known = [(p.servers, rate) for p in points if (rate := _rate(p))]
    if len(known) < FEWEST_POINTS:
        return None
    servers = [count for count, _ in known]
    fitted = fit(servers, [rate.mid for _, rate in known])
    u = sobol(len(known), _POWER)
    throughputs = np.column_stack([rate.quantile(q) for (_, rate), q in zip(known, u, strict=True)])
    largest = max(servers)
    fits = sorted(resample(servers, throughputs), key=lambda law: law.throughput(largest))
    share = float(np.mean([law.identified for law in fits]))
    return ScalingLaw(
        alpha=fitted.alpha,
        beta=fitted.beta,
        gamma=fitted.gamma,
        peak_servers=fitted.peak_servers,
        peak_throughput=fitted.peak_throughput,
        identified=fitted.identified and share >= _SURE,
        identified_share=share,
        measured_to=largest,
        confidence=CONFIDENCE,
        intervals={
            "alpha": _span([law.alpha for law in fits]),
            "beta": _span([law.beta for law in fits]),
            "gamma": _span([law.gamma for law in fits]),
            "peak_servers": _span([law.peak_servers for law in fits]),
            "peak_throughput": _span([law.peak_throughput for law in fits]),
        },
        draws=LawDraws(
            alpha=tuple(law.alpha for law in fits),
            beta=tuple(law.beta for law in fits),
            gamma=tuple(law.gamma for law in fits),
        ),
    )


def laws(law: ScalingLaw) -> Laws:
    """Return the law with its doubt, for the model of a fleet."""
    draws = law.draws
    peak = law.peak_servers if law.identified else None
    reach: float = law.measured_to
    if law.identified:
        reach = np.inf if peak is None else max(1, round(peak))  # of the whole numbers the nearest
    return Laws(np.array(draws.alpha), np.array(draws.beta), np.array(draws.gamma), reach, peak)


def described(law: ScalingLaw) -> str:
    """Say in a sentence what the law means."""
    end = f"the {law.measured_to} servers measured"
    if not law.identified:
        return (
            f"not identified: up to {end} the throughput does not bend enough to tell where it "
            f"peaks, so it is not extrapolated beyond them"
        )
    if law.peak_servers is None or law.peak_throughput is None:
        limit = f": it levels off at {format_rate(law.gamma / law.alpha)}" if law.alpha else ""
        return f"identified, with no peak{limit}"
    return (
        f"identified: the throughput peaks at {format_number(law.peak_servers)} servers with "
        f"{format_rate(law.peak_throughput)}, and more servers carry less"
    )


def _asked(capacity: Capacity) -> tuple[Identity, dict[str, str]]:
    sections = {k: v for k, v in capacity.plan.sections.items() if k not in _ELSEWHERE}
    anywhere = {"target": "", "locustfile": "", "servers": 1}
    return capacity.identity.model_copy(update=anywhere), sections


def _points(capacity: Capacity) -> list[ScalePoint]:
    if capacity.scaling is None:
        return [_point(capacity)]
    shown = capacity.identity.servers
    return [
        point.model_copy(update=of_the_run(capacity)) if point.servers == shown else point
        for point in capacity.scaling.points
    ]


def _point(run: Capacity) -> ScalePoint:
    return ScalePoint(
        servers=run.identity.servers,
        target=run.identity.target,
        verdict=run.verdict,
        reason=run.reason,
        sustained_rps=run.sustained_rps,
        load_time_s=run.load_time_s,
        made_at=run.made_at,
        binding=run.binding,
        resources=run.resources,
        bottleneck=run.bottleneck,
        trials=run.trials,
        phases=run.phases,
    )


def of_the_run(capacity: Capacity) -> dict[str, object]:
    """Return what the capacity itself holds of the run that it shows, and its point leaves out."""
    return {"trials": capacity.trials, "phases": capacity.phases}


def _rate(point: ScalePoint) -> ServerRate | None:
    known = point.sustained_rps
    if point.verdict != "measured" or not (known.low and known.mid and known.high):
        return None
    return ServerRate(known.low, known.mid, known.high, known.confidence)


def _derived(shown: Capacity, scaling: Scaling) -> Capacity:
    """State what one server sustains when only several were measured."""
    servers = shown.identity.servers
    if scaling.law:
        found = _span(scaling.law.draws.gamma)
        one = SustainedRate(
            low=found.low, mid=scaling.law.gamma, high=found.high, confidence=CONFIDENCE
        )
        what = "what the scaling law says of one server"
    else:
        (all_,) = (p.sustained_rps for p in scaling.points if p.servers == servers)
        one = SustainedRate(
            low=all_.low and all_.low / servers,
            mid=all_.mid and all_.mid / servers,
            high=all_.high and all_.high / servers,
            confidence=all_.confidence,
        )
        what = f"1/{servers} of what {servers} servers sustain"
    note = Note(
        code=_DERIVED,
        message=f"one server alone was not measured: {what} stands in",
        advice="measure one server with --servers 1",
    )
    return shown.model_copy(update={"sustained_rps": one, "notes": (note, *shown.notes)})


def _without(notes: Sequence[Note]) -> tuple[Note, ...]:
    return tuple(note for note in notes if note.code not in (_DERIVED, "earlier_runs_dropped"))


def _dropped(earlier: Capacity) -> list[Note]:
    """Say that runs at other numbers of servers no longer count, when there were some."""
    if earlier.scaling is None:
        return []
    counts = ", ".join(str(point.servers) for point in earlier.scaling.points)
    return [
        Note(
            code="earlier_runs_dropped",
            message=f"the earlier runs with {counts} servers asked something else: another script, "
            "SLA, unit or plan; they no longer count",
            advice="measure those numbers of servers again",
        )
    ]


def _span(values: Sequence[float | None]) -> Span:
    """Return the central interval; what is None counts as larger than any number."""
    ordered: NDArray[np.float64] = np.sort([np.inf if v is None else v for v in values])
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(ordered, [tail, 1 - tail], method="inverted_cdf")
    return Span(
        low=float(low) if np.isfinite(low) else None,
        high=float(high) if np.isfinite(high) else None,
    )
