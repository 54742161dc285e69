"""The recommendation: the smallest fleet that meets the policy, among its alternatives."""

from __future__ import annotations

from capplan.plan.schema import Plan
from capplan.recommend.autoscaling import Scaler, telling, trigger_reasons
from capplan.recommend.candidates import asked_for, candidates, cheapest, guesses, options
from capplan.recommend.newsvendor import newsvendor
from capplan.recommend.reasons import reasons
from capplan.recommend.schedule import cost_usd, schedule
from capplan.recommend.why import explained
from capplan.results.base import Note, Provenance
from capplan.results.capacity import Capacity
from capplan.results.ceilings import ceilings
from capplan.results.demand import Demand
from capplan.results.recommendation import Recommendation, Step


def recommend(
    plan: Plan,
    demand: Demand,
    capacity: Capacity | None,
    provenance: Provenance,
    asked: int | None = None,
    kind: str | None = None,
) -> Recommendation:
    """Recommend how many servers to start.

    The smallest count N with P(peak > fleet of N) within ``policy.overload_risk`` and, with the
    fullest zone lost, within ``policy.zone_loss_risk``; of several kinds of server the cheapest
    fleet. When quota, budget or a ceiling forbid it, the best reachable count is returned with
    ``feasible`` false. ``asked`` is a count whose meaning is explained too, of the recommended
    ``kind`` of server or of another.

    Raises ``UsageError`` for an ``asked`` count below one or a ``kind`` that the plan lacks, and
    what ``basis`` raises: ``NotMet`` when one server misses the SLA at any load, for then no count
    can be recommended.
    """
    known = candidates(plan, demand, capacity)
    best = cheapest(known)
    decider, found = best.decider, known[0].decider.basis
    own = None if best is known[0] else known[0].decider
    checks, ceiling_notes = ceilings(plan, demand, found.peaks)
    wanted = asked_for(known, best, asked, kind)
    shown = options(known, best, wanted)
    bought = newsvendor(decider)
    server = found.fleet.server
    steps = schedule(decider, best.chosen, own)
    price, until = decider.plan.servers.usd_per_h, decider.basis.window.down
    scaling = Scaler(decider, best.chosen, telling(capacity), own).result(steps)
    return Recommendation(
        **dict(provenance),
        servers=best.chosen,
        instance=decider.basis.kind,
        planned_instance=found.kind,
        feasible=best.feasible and not any(check.binds for check in checks),
        asked=asked,
        asked_instance=wanted.candidate.decider.basis.kind if wanted else None,
        options=tuple(shown),
        schedule=steps,
        schedule_cost=cost_usd(steps, until, price) if steps else None,
        hold_cost=decider.basis.cost_usd(best.chosen) if steps else None,
        autoscaling=scaling,
        ceilings=checks,
        capacity_source=found.source,
        server_rps_low=server.low,
        server_rps_high=server.high,
        peak_rps_p50=demand.peak_rps.p50,
        peak_rps_p95=demand.peak_rps.p95,
        resolution=found.peaks.resolution,
        newsvendor=bought,
        why=explained(shown, wanted),
        reasons=(
            *reasons(known, best, shown, checks, bought),
            *trigger_reasons(scaling, best.chosen, scheduled=bool(steps)),
        ),
        notes=(*found.notes, *guesses(known), *ceiling_notes, *_on_time(plan, provenance, steps)),
    )


def _on_time(plan: Plan, provenance: Provenance, steps: tuple[Step, ...]) -> list[Note]:
    """Compare the schedule with the time at which the recommendation is made."""
    made_at, start = provenance.made_at, plan.sale.start
    if start < made_at:
        return [
            Note(
                code="past",
                message=f"the sale started in the past, on {start:%Y-%m-%d}",
                advice="set sale.start to the next one",
            )
        ]
    if steps and steps[0].at < made_at:
        return [
            Note(
                code="late",
                message="the time to start the servers has passed: those started now may be late",
                advice="start them at once",
            )
        ]
    return []
