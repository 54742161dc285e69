"""What could be done about the peak besides more servers, and what it would bring.

Each lever is pulled in the same draws, so that it is compared with itself and not with luck.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from capplan.estimate.follow import follow, traffic_of
from capplan.estimate.inputs import Inputs
from capplan.estimate.waiting_room import admission
from capplan.model.arrivals import Curve, Decay
from capplan.model.messages import Message
from capplan.plan.schema import Plan
from capplan.results.demand import Lever, Percentiles
from capplan.units import format_duration, format_number, format_share

Floats = NDArray[np.float64]

SEND_OVER_S = (600.0, 1800.0, 3600.0)
LONGEST_WAIT_S = (300.0, 900.0)
CACHED = (0.3, 0.6)

_DRAWS = 2_000
_ROOM_DRAWS = 500
_LEVELS = {"p5": 0.05, "p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99}


def levers(
    plan: Plan, inputs: Inputs, mixture: Floats, scale: Floats, peak: Percentiles
) -> tuple[Lever, ...]:
    """Return the levers, each with the peak that it would leave.

    ``mixture`` turns the funnel's traffic of each draw into that of both estimates, ``scale`` into
    that which history corrects; ``peak`` is the estimate without any lever.
    """
    few = inputs.only(slice(0, _DRAWS))
    before = follow(plan, few).peak * mixture[:_DRAWS]
    return (
        Lever(name="as planned", peak_rps=peak, how=""),
        *_slower_messages(plan, few, mixture[:_DRAWS], before, peak),
        *_waiting_rooms(plan, inputs, (mixture, scale), before, peak),
        *(
            Lever(
                name=f"cache for {format_share(share)} of requests",
                peak_rps=_times(peak, dict.fromkeys((*_LEVELS, "mean"), 1 - share)),
                how=f"visit.requests {format_share(share)} lower",
            )
            for share in CACHED
        ),
    )


def _slower_messages(
    plan: Plan, inputs: Inputs, mixture: Floats, before: Floats, peak: Percentiles
) -> Iterator[Lever]:
    """Give the levers of sending the messages over a longer time than planned.

    They move visits and bring none, so that the second estimate counts as it does without them.
    """
    for over_s in SEND_OVER_S:
        sent = [c.channel for c in plan.audience if c.arrive.sent and c.send_over < over_s]
        if not sent:
            continue
        slower = {name: _sent_over(inputs.curves[name], over_s) for name in sent}
        after = follow(plan, replace(inputs, curves={**inputs.curves, **slower})).peak * mixture
        yield Lever(
            name=f"send over {format_duration(over_s)}",
            peak_rps=_times(peak, _ratios(before, after)),
            how=f"send_over: {format_duration(over_s)} for {', '.join(sent)}",
        )


def _waiting_rooms(
    plan: Plan, inputs: Inputs, scales: tuple[Floats, Floats], before: Floats, peak: Percentiles
) -> Iterator[Lever]:
    mixture, scale = scales
    count = min(_ROOM_DRAWS, len(scale))
    traffic = traffic_of(inputs, slice(0, count))
    end_s = max(plan.sale.duration, *(c.rises_until_s for c in traffic.curves.values()))
    for longest_s in LONGEST_WAIT_S:
        rates, highest = admission(inputs, traffic, end_s, longest_s)
        after = np.minimum(highest * mixture[:count], before[:count])
        let_in = float(np.quantile(rates * scale[:count], _LEVELS["p95"]))
        yield Lever(
            name=f"waiting room of up to {format_duration(longest_s)}",
            peak_rps=_times(peak, _ratios(before[:count], after)),
            how=f"let in {format_number(let_in)} visits/s (p95)",
        )


def _sent_over(curve: Curve, over_s: float) -> Curve:
    if isinstance(curve, Message):
        return replace(curve, over_s=over_s)
    if isinstance(curve, Decay):
        return Message(np.asarray(1.0), curve, curve, over_s)
    return curve


def _ratios(before: Floats, after: Floats) -> dict[str, float]:
    """Return what becomes of each percentile, and of the mean."""
    levels = list(_LEVELS.values())
    found = np.quantile(after, levels) / np.quantile(before, levels)
    return {**dict(zip(_LEVELS, map(float, found), strict=True)),
            "mean": float(after.mean() / before.mean())}  # fmt: skip


def _times(peak: Percentiles, ratios: Mapping[str, float]) -> Percentiles:
    return Percentiles(**{name: getattr(peak, name) * ratio for name, ratio in ratios.items()})
