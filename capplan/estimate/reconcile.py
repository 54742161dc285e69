"""Two estimates that disagree: which input, at which value, would make them agree.

For each input in turn all others stay as they are, and its median is moved until the medians of the
two numbers of visits, within ``usual.within``, are equal. How far that is from what the plan says
is counted in standard deviations of the input's own range; the nearest is the most plausible.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy.special import logit, ndtri

from capplan.estimate.follow import begun_within
from capplan.estimate.inputs import Inputs
from capplan.model.roots import root
from capplan.model.uncertainty import Kind, quantile
from capplan.plan.schema import Plan
from capplan.results.demand import Agreement
from capplan.units import Range

Floats = NDArray[np.float64]

_DRAWS = 4_000
_WIDEST = 30.0  # e^30 either way
_WITHIN_ONE = 1e-12
_ENDS = np.array([0.05, 0.95])
_ENDS_APART = 2 * float(ndtri(0.95))  # standard deviations


def agreements(plan: Plan, inputs: Inputs) -> tuple[Agreement, ...]:
    """Return what would reconcile the two estimates, the most plausible first.

    Nothing where the plan gives only one.
    """
    usual = plan.usual
    if usual is None or inputs.multiple_visits is None or not plan.audience:
        return ()
    funnel = {n: v[:_DRAWS] for n, v in begun_within(inputs, usual.within).items()}
    multiple = inputs.multiple_visits[:_DRAWS]
    found = [*_of_usual(plan, funnel, multiple), *_of_channels(plan, inputs, funnel, multiple)]
    return tuple(sorted(found, key=lambda entry: (entry.distance is None, entry.distance or 0.0)))


def _of_usual(plan: Plan, funnel: dict[str, Floats], multiple: Floats) -> Iterator[Agreement]:
    usual = plan.usual
    if usual is None:
        return
    factor = float(np.median(_sum(funnel)) / np.median(multiple))
    moved: tuple[tuple[str, Range, Kind, float], ...] = (
        ("usual.orders_per_day", usual.orders_per_day, "amount", factor),
        ("usual.multiple", usual.multiple, "amount", factor),
        ("usual.conversion", usual.conversion, "share", 1 / factor),
    )
    for name, interval, kind, by in moved:
        yield from _agreement(name, interval, kind, _middle(interval, kind) * by)


def _of_channels(
    plan: Plan, inputs: Inputs, funnel: dict[str, Floats], multiple: Floats
) -> Iterator[Agreement]:
    wanted = float(np.median(multiple))
    for channel in plan.audience:
        own = funnel[channel.channel]
        rest = _sum(funnel) - own
        factor = _factor(rest, own, wanted)
        if factor is None:
            continue
        moved: tuple[tuple[str, Range, Kind], ...] = (
            ("reach", channel.reach, "amount"),
            ("visits", channel.visits, "share"),
        )
        for key, interval, kind in moved:
            middle = _middle(interval, kind) * factor
            yield from _agreement(f"{channel.channel}: {key}", interval, kind, middle)
    if len(plan.audience) > 1:
        kept = (1 - _middle(plan.overlap, "share")) * wanted / float(np.median(_sum(funnel)))
        yield from _agreement("overlap", plan.overlap, "share", 1 - kept)


def _agreement(name: str, interval: Range, kind: Kind, value: float) -> Iterator[Agreement]:
    """Give the agreement, unless there is no such value: a share lies between 0 and 1."""
    if value <= 0 or (kind == "share" and value >= 1):
        return
    distance = None
    if not interval.certain:
        # both kinds are normal on their own scale, which the 5th and 95th percentile span
        low, high, here = _scaled(kind, [*quantile(interval, kind, _ENDS), value])
        distance = float(abs(here - (low + high) / 2) / ((high - low) / _ENDS_APART))
    yield Agreement(
        input=name,
        value=value,
        low=interval.low,
        high=interval.high,
        kind=kind,
        distance=distance,
    )


def _factor(rest: Floats, own: Floats, wanted: float) -> float | None:
    """Return by what one channel has to be multiplied; None where none of it is too much."""

    def excess(log_factor: float) -> float:
        return float(np.median(rest + np.exp(log_factor) * own)) - wanted

    if excess(-_WIDEST) >= 0 or excess(_WIDEST) <= 0:
        return None
    return float(np.exp(root(excess, -_WIDEST, _WIDEST)))


def _middle(interval: Range, kind: Kind) -> float:
    return float(quantile(interval, kind, np.array([0.5]))[0])


def _scaled(kind: Kind, values: list[float]) -> Floats:
    if kind == "amount":
        return np.log(values)
    return np.asarray(logit(np.clip(values, _WITHIN_ONE, 1 - _WITHIN_ONE)))


def _sum(parts: dict[str, Floats]) -> Floats:
    return np.asarray(sum(parts.values()))
