"""The services behind the servers, at the size that is simulated: what they do, and carry."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from capplan.errors import UsageError
from capplan.plan.layers import Downstream
from capplan.plan.schema import Ceiling, Plan
from capplan.simulate.shoppers import Step, paying_share, requests_per_visit
from capplan.units import format_duration, format_rate

_MOST_SLOTS = 1_000_000  # as many as a plan may give


@dataclass(frozen=True)
class Service:
    """A downstream service: ``need_s[class]`` is how long a request of a class takes there.

    ``need_s`` has the mean over all requests under the empty name. In a part of the sale slots are
    whole, and service times make up for that: so it carries its part exactly.
    """

    given: Downstream
    slots: int
    need_s: dict[str, float]
    timeout_s: float
    calls_per_request: float

    @property
    def name(self) -> str:
        """What it is called."""
        return str(self.given.name)

    @property
    def mean_s(self) -> float:
        """How long a request takes there, over all of them."""
        return self.need_s[""]

    @property
    def capacity_rps(self) -> float:
        """Requests per second, of all classes in their mix, with which it is always busy."""
        return self.slots / self.mean_s if self.mean_s > 0 else math.inf


def services(plan: Plan, steps: Sequence[Step], share: float) -> tuple[Service, ...]:
    """Return the services of a sale of which ``share`` is simulated.

    Slots that the plan leaves out are those with which the service carries the rate of the ceiling
    of its name. Raises ``UsageError`` where there is none, and for classes that nobody has.
    """
    return tuple(_service(plan, steps, one, share) for one in plan.saleday.downstream)


def _service(plan: Plan, steps: Sequence[Step], given: Downstream, share: float) -> Service:
    names = [step.name for step in steps]
    for name in given.calls:
        if name not in names:
            raise UsageError(
                f"saleday.downstream: {given.name!r} is called by {name!r}, which is not a class "
                "of requests",
                f"use one of {', '.join(names)}",
            )
    calls = {name: given.calls.get(name, 0.0) if given.calls else 1.0 for name in names}
    total = sum(step.per_visit for step in steps)
    mean = sum(calls[step.name] * step.per_visit for step in steps) / total
    slots = given.slots or _by_ceiling(plan, steps, given, mean)
    kept = max(round(slots * share), 1)
    each_s = given.service_time * kept / (slots * share)
    return Service(
        given=given,
        slots=kept,
        need_s={"": mean * each_s} | {name: count * each_s for name, count in calls.items()},
        timeout_s=given.timeout or plan.saleday.timeout or plan.service.timeout,
        calls_per_request=mean,
    )


def _by_ceiling(plan: Plan, steps: Sequence[Step], given: Downstream, calls: float) -> int:
    """Return how many slots carry the ceiling of that name, calls/s times seconds (Little)."""
    ceiling = next((one for one in plan.servers.ceilings if one.name == given.name), None)
    requests_rps = None if ceiling is None else _requests_rps(ceiling, steps)
    if requests_rps is None:
        raise UsageError(
            f"saleday.downstream: how many calls {given.name!r} serves at once is not known",
            f"give its slots, or a ceiling of that name under servers.ceilings (calls of "
            f"{format_duration(given.service_time)} fill rate x time slots)",
        )
    slots = math.ceil(requests_rps * calls * given.service_time - 1e-9)
    if slots > _MOST_SLOTS:
        raise UsageError(
            f"saleday.downstream: {given.name!r} would serve {slots:,} calls at once: "
            f"{format_rate(requests_rps * calls)} of calls that take "
            f"{format_duration(given.service_time)}",
            "look again at its calls and service_time, at the classes' per_visit, and at the "
            "ceiling of that name; or give its slots",
        )
    return max(slots, 1)


def _requests_rps(ceiling: Ceiling, steps: Sequence[Step]) -> float | None:
    per_visit = requests_per_visit(steps)
    return {
        "request": ceiling.rate,
        "visit": ceiling.rate * per_visit,
        "order": ceiling.rate * per_visit / paying_share(steps),
    }.get(ceiling.per)
