"""The candidates: every kind of server on which the sale could run, and the counts worth showing.

The cheapest that meets the policy is chosen. Where the speed of a kind is only assumed it may look
cheaper, but is not chosen: measuring one comes first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from capplan.errors import UsageError
from capplan.plan.schema import Plan
from capplan.recommend.options import Decider, counts
from capplan.results.base import Note
from capplan.results.basis import basis, relative_speed
from capplan.results.capacity import Capacity
from capplan.results.demand import Demand
from capplan.results.recommendation import Option
from capplan.results.slots import fitted_server, service_time_measured
from capplan.units import format_money, format_number

PLANNED = "planned"
"""Names the plan's own kind of server."""


@dataclass(frozen=True)
class Candidate:
    """One kind of server: what the policy needs of it, and what quota and budget leave of that.

    ``guessed``: how fast it is against the servers of the plan is assumed.
    """

    decider: Decider
    wanted: int
    chosen: int
    guessed: bool

    @property
    def feasible(self) -> bool:
        """Whether a count of it meets the policy."""
        return not self.decider.complaint(self.chosen)

    @property
    def cost_usd(self) -> float:
        """What the chosen count costs."""
        return self.decider.basis.cost_usd(self.chosen)


def candidates(plan: Plan, demand: Demand, capacity: Capacity | None) -> list[Candidate]:
    """Return the plan's own kind of server first, then its alternatives.

    Raises what ``basis`` raises.
    """
    found, queue = basis(plan, demand, capacity), None
    if service_time_measured(capacity):
        queue = fitted_server(plan, found.fleet.server.mid, capacity)
    own = _candidate(Decider(plan, demand, found, queue), guessed=False)
    others = []
    for other in plan.servers.alternatives:
        kind = found.on(other)
        # how many slots another kind has was not measured
        decider = Decider(kind.plan, demand, kind, server=None, table=own.decider.losses)
        others.append(_candidate(decider, guessed=other.relative_speed is None))
    return [own, *others]


def _candidate(decider: Decider, guessed: bool) -> Candidate:
    wanted = decider.smallest()
    return Candidate(decider, wanted, decider.reachable(wanted), guessed)


def cheapest(found: Sequence[Candidate]) -> Candidate:
    """Return the cheapest that meets the policy and is not a guess; else the plan's own kind."""
    sure = [candidate for candidate in found if candidate.feasible and not candidate.guessed]

    def rank(candidate: Candidate) -> tuple[float, float]:
        return candidate.cost_usd, candidate.decider.basis.overload(candidate.chosen)

    return min(sure, key=rank, default=found[0])


@dataclass(frozen=True)
class Asked:
    """A count of one kind of server that somebody wants explained."""

    candidate: Candidate
    servers: int


def asked_for(
    found: Sequence[Candidate], best: Candidate, servers: int | None, kind: str | None
) -> Asked | None:
    """Read which count is to be explained: of ``kind``, else of the ``best`` one.

    ``PLANNED`` names the kind of the plan, which may have no name of its own. Raises ``UsageError``
    for a count below one and for a kind that the plan does not know.
    """
    if servers is None:
        if kind is not None:
            raise UsageError(f"of how many {kind} is not said", "give a count: --why N")
        return None
    if servers < 1:
        raise UsageError(f"{servers} is not a number of servers", "ask for 1 or more")
    if kind is None:
        return Asked(best, servers)
    known = {one.decider.basis.kind or PLANNED: one for one in found} | {PLANNED: found[0]}
    if kind not in known:
        raise UsageError(
            f"the plan knows no servers of the kind {kind!r}",
            f"it knows: {', '.join(known)}; add others to servers.alternatives",
        )
    return Asked(known[kind], servers)


def options(
    found: Sequence[Candidate], best: Candidate, asked: Asked | None = None
) -> list[Option]:
    """Return the options worth showing, cheapest first, each with its excuse."""
    rows = []
    for candidate in found:
        decider, chosen = candidate.decider, candidate.chosen
        shown = [chosen - 1, chosen, chosen + 1]
        if candidate is found[0]:
            shown = counts(decider.plan, chosen, candidate.wanted)
        if asked and candidate is asked.candidate:
            shown.append(asked.servers)
        rows += [(candidate, decider.option(count)) for count in sorted({*shown}) if count >= 1]
    sure = [
        option
        for candidate, option in rows
        if not candidate.guessed and not candidate.decider.beyond_reach(option.servers)
    ]
    laid = [_compared(candidate, option, best, sure) for candidate, option in rows]
    return sorted(laid, key=lambda option: (option.cost, option.servers))


def _compared(
    candidate: Candidate, option: Option, best: Candidate, sure: Sequence[Option]
) -> Option:
    better = next((other for other in sure if _dominates(other, option)), None)
    return option.model_copy(
        update={
            "pareto": better is None,
            "chosen": candidate is best and option.servers == best.chosen,
            "excuse": _excuse(candidate, option, best, better),
        }
    )


def _dominates(other: Option, option: Option) -> bool:
    def costs(of: Option) -> tuple[float, ...]:
        return of.cost, of.overload_probability, of.zone_loss_probability or 0.0

    ours, theirs = costs(option), costs(other)
    return theirs != ours and all(a <= b for a, b in zip(theirs, ours, strict=True))


def _excuse(candidate: Candidate, option: Option, best: Candidate, better: Option | None) -> str:
    complaint = candidate.decider.complaint(option.servers)
    if best.decider.complaint(best.chosen):
        # no count keeps the policy: what keeps a larger one from being the best is out of reach
        complaint = candidate.decider.beyond_reach(option.servers) or complaint
    if complaint or (candidate is best and option.servers <= best.chosen):
        return complaint
    dearer = option.cost - best.cost_usd
    if candidate.guessed and dearer < 0:
        return f"{format_money(-dearer)} less, but its speed is only assumed: measure one"
    if better and better.cost < option.cost:
        saved = format_money(option.cost - better.cost)
        kind = better.instance or "servers"
        return f"{better.servers:,} {kind} cost {saved} less at no more risk"
    more = f", {format_money(dearer)} more" if dearer else ""
    return f"safer than the policy asks{more}"


def guesses(found: Sequence[Candidate]) -> list[Note]:
    """Say which speeds are assumed."""
    servers = found[0].decider.plan.servers
    kinds = {candidate.decider.basis.kind for candidate in found if candidate.guessed}
    notes = []
    for other in servers.alternatives:
        if other.label not in kinds or servers.instance is None:
            continue
        speed = relative_speed(servers, other)
        notes.append(
            Note(
                code="assumed_speed",
                message=f"how fast {other.label} is against {servers.instance.name} is assumed "
                f"from their vCPUs: {format_number(speed.low)}x to {format_number(speed.high)}x",
                advice="measure one and give its relative_speed under servers.alternatives",
            )
        )
    return notes
