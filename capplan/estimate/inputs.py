"""The uncertain inputs of the plan, drawn once: one value per draw and input.

Each input has its own uniform variables, named after its key in the plan. The shares of the
channels move together through one common factor, because a sale that goes viral does so everywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from capplan.errors import UsageError
from capplan.model import messages
from capplan.model.arrivals import Curve, Decay, Even, Rising, Some, opening, within
from capplan.model.streams import stream
from capplan.model.tabulated import Table, Tabulated
from capplan.model.uncertainty import Kind, common_factor, quantile, uniforms
from capplan.plan.schema import Channel, Plan
from capplan.units import Range

Floats = NDArray[np.float64]

Uniforms = Callable[[str], Floats]
"""Gives the uniform variables of a name, one per draw, from the open interval."""

BURST_S = Range(10.0, 60.0)
"""Mean of the exponential tail with which those who waited for the start come in, in seconds."""

EARLY_S = Range(60.0, 300.0)
"""How long before the start, on average, those come who look in early: an assumption, as only
anecdotes are published (a database busy to the limit five minutes early, Massdrop 2013)."""

WHICH = "which estimate"
"""The input that says which of two estimates counts in a draw."""

ALIKE = "all channels alike"
"""What moves the shares of all channels together."""

SHORTEST_S = 0.01
"""A shorter visit or window changes nothing, and its rates would drown in rounding."""

_NOBODY = 1e-6
_LEAST = 1e-12  # what is divided by must not be zero
_COMMON = "audience.common"


@dataclass(frozen=True)
class Inputs:
    """All draws. Arrays have one value per draw; ``visits`` and ``curves`` go by channel.

    ``visits`` are all that follow from the message, also those after the end of the sale; those of
    the channels in ``early`` come before the start, order nothing and come again. The second
    estimate is ``multiple_visits`` within ``usual.within``, None where the plan has no ``usual``;
    ``take_multiple`` says in which draws it counts. ``gusts`` is the spread of the arrivals of one
    window, and ``luck`` (0 to 1) how the windows round the peak fall out. ``uncertain`` holds the
    inputs that vary, by their name in the plan, and ``behind`` the names of the uniform variables
    that make each of them.
    """

    visits: Mapping[str, Floats]
    curves: Mapping[str, Curve]
    early: frozenset[str]
    first_requests: Floats
    later_requests: Floats
    visit_s: Floats
    conversion: Floats | None
    hot_share: Floats | None
    multiple_visits: Floats | None
    take_multiple: NDArray[np.bool_]
    gusts: Floats
    luck: Floats
    uncertain: Mapping[str, Floats]
    behind: Mapping[str, tuple[str, ...]]

    def only(self, some: Some) -> Inputs:
        """Return the inputs of some draws alone, without ``uncertain``, which is of all."""

        def of(values: Floats | None) -> Floats | None:
            return None if values is None else values[some]

        return replace(
            self,
            visits={name: values[some] for name, values in self.visits.items()},
            curves={name: curve.part(some) for name, curve in self.curves.items()},
            first_requests=self.first_requests[some],
            later_requests=self.later_requests[some],
            visit_s=self.visit_s[some],
            conversion=of(self.conversion),
            hot_share=of(self.hot_share),
            multiple_visits=of(self.multiple_visits),
            take_multiple=self.take_multiple[some],
            gusts=self.gusts[some],
            luck=self.luck[some],
            uncertain={},
        )


def draw(plan: Plan, seed: int, draws: int, tables: Mapping[str, Table] | None = None) -> Inputs:
    """Draw every uncertain input of the plan, each from its own random stream.

    Raises ``UsageError`` when no channel brings a visit.
    """
    return draw_by(plan, lambda name: uniforms(stream(seed, name), draws), draws, tables)


def draw_by(
    plan: Plan, source: Uniforms, draws: int, tables: Mapping[str, Table] | None = None
) -> Inputs:
    """Make the inputs from the uniform variables of ``source``; ``tables`` are the user's curves.

    Raises ``UsageError`` when no channel brings a visit.
    """
    drawer = _Drawer(plan, source, draws, tables or {})
    visits, curves, early = drawer.channels()
    multiple, conversion = drawer.multiple()
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
    first, hot_share = np.zeros(draws), None
    if plan.visit.first_page is not None:
        first = np.minimum(drawer("visit.first_page", plan.visit.first_page, "amount"), requests)
    if plan.visit.hot_share is not None:
        hot_share = quantile(plan.visit.hot_share, "share", source("visit.hot_share"))
    return Inputs(
        visits=visits,
        curves=curves,
        early=early,
        first_requests=first,
        later_requests=requests - first,
        visit_s=np.maximum(drawer("visit.duration", plan.visit.duration, "amount"), SHORTEST_S),
        conversion=conversion,
        hot_share=hot_share,
        multiple_visits=multiple,
        take_multiple=drawer.which_estimate(bool(plan.audience), multiple is not None),
        gusts=drawer.gusts(),
        luck=source("gusts.luck"),
        uncertain=drawer.uncertain,
        behind=drawer.behind,
    )


class _Drawer:
    def __init__(
        self, plan: Plan, source: Uniforms, draws: int, tables: Mapping[str, Table]
    ) -> None:
        self._plan, self._source, self._draws, self._tables = plan, source, draws, tables
        self._common = source(_COMMON)
        self.uncertain: dict[str, Floats] = {}
        self.behind: dict[str, tuple[str, ...]] = {}

    def __call__(self, name: str, interval: Range, kind: Kind) -> Floats:
        values = quantile(interval, kind, self._source(name))
        return self._remember(name, interval, values, name)

    def channels(self) -> tuple[dict[str, Floats], dict[str, Curve], frozenset[str]]:
        plan = self._plan
        once = np.ones(self._draws)
        if len(plan.audience) > 1:
            once = 1 - self("overlap", plan.overlap, "share")
        visits = {c.channel: np.maximum(self._visits(c) * once, _LEAST) for c in plan.audience}
        curves = {c.channel: self._curve(c) for c in plan.audience}
        early = [c for c in plan.audience if c.early.high > 0]
        names = {c.channel: f"{c.channel}, early" for c in early}
        for c in early:
            share = self(f"{c.channel}: early", c.early, "share")
            visits[names[c.channel]] = np.maximum(visits[c.channel] * share, _LEAST)
            before_s = self(f"{c.channel}: how early", EARLY_S, "amount")
            curves[names[c.channel]] = Rising(before_s[:, None])
        self._share_the_common()
        return visits, curves, frozenset(names.values())

    def multiple(self) -> tuple[Floats | None, Floats | None]:
        """Return the visits that usual orders make one expect, and the orders per visit."""
        usual = self._plan.usual
        if usual is None:
            return None, None
        orders = self("usual.orders_per_day", usual.orders_per_day, "amount")
        multiple = self("usual.multiple", usual.multiple, "amount")
        conversion = np.maximum(self("usual.conversion", usual.conversion, "share"), _LEAST)
        return orders * multiple / conversion, conversion

    def which_estimate(self, funnel: bool, multiple: bool) -> NDArray[np.bool_]:
        """Choose, draw by draw, which of two estimates counts: a mixture by ``usual.weight``."""
        if self._plan.usual is None or not (funnel and multiple):
            return np.zeros(self._draws, dtype=bool)
        taken = self._source("estimate.which") < self._plan.usual.weight
        if 0 < self._plan.usual.weight < 1:
            self.uncertain[WHICH] = taken.astype(float)
            self.behind[WHICH] = ("estimate.which",)
        return taken

    def gusts(self) -> Floats:
        gusts = self("gusts", self._plan.gusts, "share")
        if self._plan.gusts.high > 0:
            self.uncertain.setdefault("gusts", gusts)
            self.behind["gusts"] = ("gusts", "gusts.luck")
        return gusts

    def _visits(self, channel: Channel) -> Floats:
        name = channel.channel
        moved = common_factor(
            self._common, self._source(f"{name}.visits"), self._plan.audience_correlation
        )
        shares = quantile(channel.visits, "share", np.clip(moved, 1e-12, 1 - 1e-12))
        self._remember(f"{name}: visits", channel.visits, shares, f"{name}.visits")
        return self(f"{name}: reach", channel.reach, "amount") * shares

    def _share_the_common(self) -> None:
        """Name what moves all channels; where only one can move, it belongs to that one."""
        moving = [f"{c.channel}: visits" for c in self._plan.audience if not c.visits.certain]
        if len(moving) == 1:
            self.behind[moving[0]] += (_COMMON,)
        elif moving and self._plan.audience_correlation > 0:
            self.behind[ALIKE] = (_COMMON,)

    def _curve(self, channel: Channel) -> Curve:
        arrive, name = channel.arrive, channel.channel
        if arrive.file is not None:
            return Tabulated(self._tables[arrive.file])
        if arrive.kind == "evenly":
            return Even(self._plan.sale.duration)
        if arrive.kind == "like an opening":
            return opening(self._plan.sale.duration)
        if arrive.kind == "like an e-mail":
            quick = self(f"{name}: quick clicks", messages.EMAIL_QUICK, "share")
            return messages.email(quick[:, None], channel.send_over)
        if arrive.kind == "like a push":
            quick = self(f"{name}: quick clicks", messages.PUSH_QUICK, "share")
            return messages.push(quick[:, None], channel.send_over)
        if arrive.within_s is not None:
            decay = within(arrive.within_s)
            if not channel.send_over:
                return decay
            return messages.Message(np.asarray(1.0), decay, decay, channel.send_over)
        return Decay(self(f"{name}: arrive", BURST_S, "amount")[:, None])

    def _remember(self, name: str, interval: Range, values: Floats, variable: str) -> Floats:
        if not interval.certain:
            self.uncertain[name] = values
            self.behind[name] = (variable,)
        return values
