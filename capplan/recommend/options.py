"""The options: what each server count would cost and risk, and why it was not chosen."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from capplan.model.overload import expected_excess, left_after_zone_loss
from capplan.plan.schema import Plan
from capplan.results.basis import Basis
from capplan.results.demand import Demand
from capplan.results.recommendation import Option
from capplan.units import format_money, format_share

MOST_SERVERS = 1_000_000
MULTIPLES = (1, 3, 5, 10)


@dataclass(frozen=True)
class Decider:
    """Judges any count by the plan's policy. ``hours`` is the time that is paid."""

    plan: Plan
    demand: Demand
    basis: Basis
    hours: float

    def cost(self, servers: int) -> float:
        """Return what the whole fleet costs over the sale's window, in US dollars."""
        return servers * self.plan.servers.price * self.hours

    def complaint(self, servers: int) -> str:
        """Say why a count does not meet the policy; empty when it does."""
        policy, fleet = self.plan.policy, self.plan.servers
        risk = self.basis.overload(servers)
        if risk > policy.overload_risk:
            return f"overload {format_share(risk)} > {format_share(policy.overload_risk)}"
        zone = self.basis.zone_loss(servers)
        if zone is not None and zone > policy.zone_loss_risk:
            left = left_after_zone_loss(servers, fleet.zones)
            return (
                f"a lost zone leaves {left}: {format_share(zone)} > "
                f"{format_share(policy.zone_loss_risk)}"
            )
        if self.beyond_reach(servers):
            return self.beyond_reach(servers)
        return ""

    def beyond_reach(self, servers: int) -> str:
        """Say whether a count is above the quota or the budget."""
        limit, budget = self.plan.servers.limit, self.plan.policy.budget
        if limit is not None and servers > limit:
            return f"above the limit of {limit}"
        if budget is not None and self.cost(servers) > budget:
            return f"over the budget of {format_money(budget)}"
        return ""

    def smallest(self) -> int:
        """Return the smallest count whose risks meet the policy, whatever it costs."""

        def risky(servers: int) -> bool:
            policy = self.plan.policy
            zone = self.basis.zone_loss(servers)
            return self.basis.overload(servers) > policy.overload_risk or (
                zone is not None and zone > policy.zone_loss_risk
            )

        high = 1
        while risky(high):
            if high >= MOST_SERVERS:
                return MOST_SERVERS
            high *= 2
        low = high // 2
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if risky(middle) else (low, middle)
        return high

    def reachable(self, wanted: int) -> int:
        """Return ``wanted``, or the largest count below it that quota and budget allow."""
        if not self.beyond_reach(wanted):
            return wanted
        low, high = 0, wanted
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if not self.beyond_reach(middle) else (low, middle)
        return max(low, 1)

    def option(self, servers: int, chosen: int) -> Option:
        """Describe one count."""
        lost = self._lost_visits(servers)
        value = self.plan.policy.value_per_visit
        excuse = "" if servers == chosen else self.complaint(servers)
        if servers > chosen and not excuse:
            dearer = self.cost(servers) - self.cost(chosen)
            excuse = "safer than the policy asks"
            excuse += f", {format_money(dearer)} more" if dearer else ""
        return Option(
            servers=servers,
            multiple=servers / self.plan.servers.today,
            cost=self.cost(servers),
            fleet_rps=float(np.median(self.basis.fleet.rates(servers))),
            overload_probability=self.basis.overload(servers),
            zone_loss_probability=self.basis.zone_loss(servers),
            expected_lost_visits=lost,
            expected_lost_value=None if value is None else lost * value,
            chosen=servers == chosen,
            excuse=excuse,
        )

    def _lost_visits(self, servers: int) -> float:
        profile = self.demand.profile
        excess = expected_excess(
            np.asarray(profile.t_s),
            np.asarray(profile.rps_p50),
            self.basis.peaks_rps,
            self.basis.fleet.rates(servers),
        )
        return excess / self.demand.requests_per_visit.p50


def counts(plan: Plan, chosen: int, asked: int | None) -> list[int]:
    """Return the counts worth showing: multiples of today, the plan's, those around the choice."""
    step = max(1, round(chosen * 0.1))
    wanted = {multiple * plan.servers.today for multiple in MULTIPLES}
    wanted |= {chosen - 2 * step, chosen - step, chosen, chosen + step, chosen + 2 * step}
    wanted |= {count for count in (plan.servers.planned, asked) if count is not None}
    return sorted(count for count in wanted if count >= 1)
