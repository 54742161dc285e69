"""The uncertain inputs of the plan, drawn once: one value per draw and input.

Each input has its own random stream, named after its key in the plan. The shares of the channels
move together through one common factor, because a sale that goes viral does so everywhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from capplan.errors import UsageError
from capplan.model.arrivals import Curve, Decay, Even, opening, within
from capplan.model.streams import stream
from capplan.model.uncertainty import Kind, common_factor, quantile, uniforms
from capplan.plan.schema import Channel, Plan
from capplan.units import Range

Floats = NDArray[np.float64]

BURST_S = Range(10.0, 60.0)
"""Mean of the exponential tail with which those who waited for the start come in, in seconds."""

WHICH = "which estimate"
"""The input that says which of two estimates counts in a draw."""

SHORTEST_S = 0.01
"""A shorter visit or window changes nothing, and its rates would drown in rounding."""

_NOBODY = 1e-6
_LEAST = 1e-12  # what is divided by must not be zero


@dataclass(frozen=True)
class Inputs:
    """All draws. Arrays have one value per draw; ``visits`` and ``curves`` go by channel.

    ``visits`` are all that follow from the message, also those after the end of the sale.
    ``multiple_visits`` is the second estimate's number of visits within ``usual.within``, None
    where the plan has no ``usual``; ``take_multiple`` says in which draws it counts. ``uncertain``
    holds the inputs that vary, by their name in the plan.
    """

    visits: Mapping[str, Floats]
    curves: Mapping[str, Curve]
    first_requests: Floats
    later_requests: Floats
    visit_s: Floats
    multiple_visits: Floats | None
    take_multiple: NDArray[np.bool_]
    uncertain: Mapping[str, Floats]


def draw(plan: Plan, seed: int, draws: int) -> Inputs:
    """Draw every uncertain input of the plan.

    Raises ``UsageError`` when no channel brings a visit.
    """
    drawer = _Drawer(plan, seed, draws)
    visits, curves = drawer.channels()
    multiple = drawer.multiple()
    if plan.usual is not None and multiple is not None and not visits:
        curve = opening(plan.usual.within)
        visits = {"usual": multiple / curve.begun(np.asarray(plan.usual.within))}
        curves = {"usual": curve}
    if np.median(sum(visits.values())) < _NOBODY:
        raise UsageError(
            "nobody comes: the channels under audience bring no visits",
            "give a channel visits above 0%, or leave the audience out and give usual",
        )
    requests = drawer("visit.requests", plan.visit.requests, "amount")
    first = np.zeros(draws)
    if plan.visit.first_page is not None:
        first = np.minimum(drawer("visit.first_page", plan.visit.first_page, "amount"), requests)
    return Inputs(
        visits=visits,
        curves=curves,
        first_requests=first,
        later_requests=requests - first,
        visit_s=np.maximum(drawer("visit.duration", plan.visit.duration, "amount"), SHORTEST_S),
        multiple_visits=multiple,
        take_multiple=drawer.which_estimate(bool(plan.audience), multiple is not None),
        uncertain=drawer.uncertain,
    )


class _Drawer:
    def __init__(self, plan: Plan, seed: int, draws: int) -> None:
        self._plan, self._seed, self._draws = plan, seed, draws
        self.uncertain: dict[str, Floats] = {}

    def __call__(self, name: str, interval: Range, kind: Kind) -> Floats:
        values = quantile(interval, kind, self._uniforms(name))
        return self._remember(name, interval, values)

    def channels(self) -> tuple[dict[str, Floats], dict[str, Curve]]:
        plan = self._plan
        once = np.ones(self._draws)
        if len(plan.audience) > 1:
            once = 1 - self("overlap", plan.overlap, "share")
        visits = {c.channel: np.maximum(self._visits(c) * once, _LEAST) for c in plan.audience}
        return visits, {c.channel: self._curve(c) for c in plan.audience}

    def multiple(self) -> Floats | None:
        usual = self._plan.usual
        if usual is None:
            return None
        orders = self("usual.orders_per_day", usual.orders_per_day, "amount")
        multiple = self("usual.multiple", usual.multiple, "amount")
        conversion = self("usual.conversion", usual.conversion, "share")
        return orders * multiple / np.maximum(conversion, _LEAST)

    def which_estimate(self, funnel: bool, multiple: bool) -> NDArray[np.bool_]:
        """Choose, draw by draw, which of two estimates counts: an equal-weight mixture."""
        if not (funnel and multiple):
            return np.zeros(self._draws, dtype=bool)
        taken = stream(self._seed, "estimate.which").random(self._draws) < 0.5
        self.uncertain[WHICH] = taken.astype(float)
        return taken

    def _visits(self, channel: Channel) -> Floats:
        name = channel.channel
        common = self._uniforms("audience.common")
        own = self._uniforms(f"{name}.visits")
        moved = common_factor(common, own, self._plan.audience_correlation)
        shares = quantile(channel.visits, "share", np.clip(moved, 1e-12, 1 - 1e-12))
        self._remember(f"{name}: visits", channel.visits, shares)
        return self(f"{name}: reach", channel.reach, "amount") * shares

    def _curve(self, channel: Channel) -> Curve:
        arrive = channel.arrive
        if arrive.kind == "evenly":
            return Even(self._plan.sale.duration)
        if arrive.within_s is not None:
            return within(arrive.within_s)
        return Decay(self(f"{channel.channel}: arrive", BURST_S, "amount")[:, None])

    def _remember(self, name: str, interval: Range, values: Floats) -> Floats:
        if not interval.certain:
            self.uncertain[name] = values
        return values

    def _uniforms(self, name: str) -> Floats:
        return uniforms(stream(self._seed, name), self._draws)
