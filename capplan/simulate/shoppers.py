"""Shoppers: which classes of requests a visit walks through, and when visits begin."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from capplan.plan.schema import Endpoint, Plan
from capplan.results.capacity import Capacity
from capplan.results.demand import Profile

Floats = NDArray[np.float64]

_CONVERSION = 0.025  # orders per visit where the plan says nothing
_ENDPOINTS = (
    ("pay", re.compile(r"\bpay|^POST .*(checkout|order)", re.I)),
    ("order", re.compile(r"checkout|order", re.I)),
    ("cart", re.compile(r"cart|basket", re.I)),
    ("search", re.compile(r"search|query", re.I)),
)
_CACHEABLE = {"browse": 0.5}  # of what reaches the servers today
_PRIORITIES = {"browse": 2, "search": 2, "cart": 1, "order": 0, "pay": 0}
_LEVELS = {"critical": 0, "normal": 1, "low": 2}  # as service.endpoints names them


@dataclass(frozen=True, slots=True)
class Step:
    """A request class: how often a visit makes one, its cost and its priority (0 is first)."""

    name: str
    per_visit: float
    cost: float = 1.0
    priority: int = 1
    cacheable: float = 0.0
    degraded: float | None = None


def steps(plan: Plan, capacity: Capacity | None, per_visit: float) -> tuple[Step, ...]:
    """Return the classes of a visit of ``per_visit`` requests, in their order.

    The plan's own; else the mix of the load test, its endpoints sorted by their names into browse,
    search, cart, order and pay; else browse and pay, by the conversion of ``usual``. A class is as
    urgent as the most urgent of its endpoints to which the plan gives a priority.
    """
    if plan.saleday.classes:
        return tuple(
            Step(one.name, one.per_visit, one.cost, one.priority, one.cacheable, one.degraded)
            for one in plan.saleday.classes
        )
    shares = _by_name(capacity.mix) if capacity else {}
    if len(shares) < 2:
        usual = plan.usual.conversion if plan.usual else None
        paid = (usual.low + usual.high) / 2 if usual else _CONVERSION
        shares = {"browse": 1 - paid / per_visit, "pay": paid / per_visit}
    urgent = _PRIORITIES | _priorities(plan.service.endpoints)
    return tuple(
        Step(name, share * per_visit, 1.0, urgent[name], _CACHEABLE.get(name, 0.0))
        for name, share in shares.items()
    )


def _by_name(mix: Mapping[str, float]) -> dict[str, float]:
    """Sort endpoints into classes by their names; what is no endpoint stands in brackets."""
    shares = dict.fromkeys(_PRIORITIES, 0.0)
    for endpoint, share in mix.items():
        if not endpoint.startswith("("):
            shares[_class_of(endpoint)] += share
    total = sum(shares.values())
    return {name: share / total for name, share in shares.items() if share > 0}


def _class_of(endpoint: str) -> str:
    return next((name for name, pattern in _ENDPOINTS if pattern.search(endpoint)), "browse")


def _priorities(endpoints: Mapping[str, Endpoint]) -> dict[str, int]:
    """Return the priorities of the classes with endpoints to which the plan gives one."""
    known: dict[str, int] = {}
    for endpoint, sla in endpoints.items():
        if sla.priority is not None:
            name, level = _class_of(endpoint), _LEVELS[sla.priority]
            known[name] = min(level, known.get(name, level))
    return known


def walk(steps: Sequence[Step]) -> Floats:
    """Return the chances with which one class follows another; the last row begins a visit.

    A visit goes through the classes in their order and repeats each. A class with v requests per
    visit is reached by the share r = min(1, v, those who reached the one before) of the visits, and
    repeated with probability 1 - r/v, so that a visit makes v of them on average. Who has done with
    a class goes on to the next one with probability r'/r, or leaves.

    >>> walk([Step("browse", 4.0), Step("pay", 0.5)]).tolist()
    [[0.75, 0.125], [0.0, 0.0], [1.0, 0.0]]
    """
    count = len(steps)
    chances = np.zeros((count + 1, count))
    chances[-1, 0] = 1.0
    reached = 1.0
    for k, step in enumerate(steps):
        reached = min(reached, step.per_visit) if k else 1.0
        again = max(1 - reached / step.per_visit, 0.0)
        chances[k, k] = again
        if k + 1 < count:
            following = min(reached, steps[k + 1].per_visit)
            chances[k, k + 1] = (1 - again) * following / reached
    return chances


def paying_share(steps: Sequence[Step]) -> float:
    """Return which share of the visits reaches the last class when everything is answered."""
    reached = 1.0
    for step in steps[1:]:
        reached = min(reached, step.per_visit)
    return reached


def requests_per_visit(steps: Sequence[Step]) -> float:
    """Return how many requests a visit makes in all; its first class at least once."""
    return max(steps[0].per_visit, 1.0) + sum(step.per_visit for step in steps[1:])


def visits_per_s(
    profile: Profile, rates: Sequence[float], per_visit: float, think_s: float
) -> Floats:
    """Return when visits begin, per second from the profile's first time on.

    Requests r(t) come from n shoppers who think for θ seconds between them, n ≈ θ·r, and leave
    after R requests, so that n' = v - r/R: the visits are v = θ·r' + r/R, where that is not below
    zero, scaled so that as many requests are made in all.
    """
    t_s = np.arange(np.floor(profile.t_s[0]), np.ceil(profile.t_s[-1]))
    requests = np.interp(t_s + 0.5, profile.t_s, rates)
    begun = np.maximum(think_s * np.gradient(requests) + requests / per_visit, 0.0)
    total = begun.sum()
    return np.asarray(begun * (requests.sum() / per_visit / total) if total > 0 else begun)


def rates_at(profile: Profile, percentile: float) -> Floats:
    """Return λ(t) at any percentile: a lognormal through p50, and p95 above it or p5 below.

    >>> known = Profile(t_s=(0, 1), rps_p5=(5, 5), rps_p50=(10, 10), rps_p95=(40, 40))
    >>> [rates_at(known, q).round(2).tolist()[0] for q in (5, 50, 80, 95)]
    [5.0, 10.0, 20.33, 40.0]
    """
    z = ndtri(percentile / 100) / ndtri(0.95)
    middle, far = np.array(profile.rps_p50), np.array(profile.rps_p95 if z >= 0 else profile.rps_p5)
    known = (middle > 0) & (far > 0)
    ratio = np.divide(far, middle, out=np.ones_like(middle), where=known)
    return np.asarray(middle * ratio ** abs(z))


def think_s(plan: Plan, per_visit: float) -> float:
    """Return the mean time between two requests of a visit."""
    lasting = plan.visit.duration
    return float((lasting.low + lasting.high) / 2 / max(per_visit - 1, 1.0))
