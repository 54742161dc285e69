"""The reasons: in plain words, why this count, and what the numbers rest on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from capplan.recommend.candidates import Candidate
from capplan.recommend.options import Decider
from capplan.recommend.why import waiting
from capplan.results.basis import Basis
from capplan.results.recommendation import CeilingCheck, Newsvendor, Option
from capplan.results.scaling import described
from capplan.results.window import LEAD_S
from capplan.units import (
    format_duration,
    format_money,
    format_number,
    format_price,
    format_rate,
    format_share,
)


def reasons(
    known: Sequence[Candidate],
    best: Candidate,
    shown: Sequence[Option],
    checks: tuple[CeilingCheck, ...],
    bought: Newsvendor | None,
) -> tuple[str, ...]:
    """Return the reasons, the answer first; ``bought`` is what value alone would buy."""
    decider = best.decider
    return (
        _answer(best, own=best is known[0]),
        *_other_kinds(known, best),
        *(_ceiling(decider, check) for check in checks if check.binds),
        *([_tail(bought)] if bought else []),
        *_grounds(decider),
        *_queueing(shown),
    )


def _answer(best: Candidate, *, own: bool) -> str:
    decider, wanted, chosen = best.decider, best.wanted, best.chosen
    if beyond := decider.beyond_reach(wanted):
        return (
            f"the policy needs {wanted:,} servers, which is {beyond}; within reach, {chosen:,} "
            f"have the lowest risk: {_risks(decider, chosen)}"
        )
    if decider.complaint(chosen):
        if decider.basis.most == wanted:
            beyond = decider.basis.beyond(wanted + 1)
            return (
                f"no count up to {wanted:,} meets the policy, and more are {beyond}; {chosen:,} "
                f"come nearest: {_risks(decider, chosen)}"
            )
        return f"no count meets the policy; {chosen:,} come nearest: {_risks(decider, chosen)}"
    if not own:
        return (
            f"{chosen} {decider.basis.kind} are the cheapest fleet that meets the policy: "
            f"{_risks(decider, chosen)}"
        )
    if chosen <= decider.plan.servers.today:
        today = decider.plan.servers.today
        return (
            f"today's {_servers(today)} {'is' if today == 1 else 'are'} enough; the smallest count "
            f"that meets the policy is {chosen}: {_risks(decider, chosen)}"
        )
    return f"{chosen} is the smallest count that meets the policy: {_risks(decider, chosen)}"


def _other_kinds(known: Sequence[Candidate], best: Candidate) -> Iterator[str]:
    """Say how many of each other kind the policy needs, and what they cost."""
    for other in known:
        if other is best:
            continue
        needed = f"of {other.decider.basis.kind or 'the servers of the plan'} "
        if not other.feasible:
            yield f"{needed}no count meets the policy"
            continue
        cost = format_money(other.cost_usd)
        yield f"{needed}the policy needs {other.chosen:,}, which cost {cost}"


def _risks(decider: Decider, servers: int) -> str:
    policy, found = decider.plan.policy, decider.basis
    risk = found.peaks.show(found.overload(servers), policy.overload_risk)
    text = f"overload {risk}, accepted is {format_share(policy.overload_risk)}"
    zone = found.zone_loss(servers)
    if zone is not None:
        text += (
            f"; with a zone lost {found.peaks.show(zone, policy.zone_loss_risk)}, accepted is "
            f"{format_share(policy.zone_loss_risk)}"
        )
    return text


def _ceiling(decider: Decider, check: CeilingCheck) -> str:
    risk = decider.basis.peaks.show(check.exceed_probability, decider.plan.policy.overload_risk)
    return (
        f"the peak exceeds the ceiling {check.name} ({check.limit}) with "
        f"probability {risk}: no number of servers helps"
    )


def _tail(bought: Newsvendor) -> str:
    covers = ""
    if bought.quantile is not None:
        covers = f", which covers {format_share(bought.quantile)} of the cases"
    return (
        f"by value alone one would buy {_servers(bought.servers)}{covers}; a server costs "
        f"{format_money(bought.overage_usd)}, so little against lost visits that this always says "
        "to buy the tail: read the whole table, it is only as good as the far end of the estimate"
    )


def _grounds(decider: Decider) -> list[str]:
    plan, found = decider.plan, decider.basis
    server, window_s = found.fleet.server, format_duration(plan.policy.window)
    span = f"{format_number(server.low)} to {format_rate(server.high)}"
    if not found.firm:
        span = f"at least {format_rate(server.low)}"
    known = "was measured" if found.source == "measured" else "is assumed"
    scaling = []
    if found.law:
        scaling = [f"how the fleet scales was measured; the law is {described(found.law)}"]
    return [
        *scaling,
        *_kind(found),
        *_visits(decider),
        f"one server {known} to sustain {span}; the error is the same in all servers and does not "
        f"average out",
        f"an overload is a peak of {window_s} or longer above what the fleet sustains within the "
        f"SLA; a shorter one is a queue",
        f"the cost is that of the whole fleet for {found.window.hours:.3g} h, with boot, warm-up "
        f"and {format_duration(LEAD_S)} to spare",
    ]


def _visits(decider: Decider) -> Iterator[str]:
    peaks = decider.basis.peaks
    if peaks.in_visits:
        middle, high = (peaks.quantile(share) / peaks.per_visit for share in (0.5, 0.95))
        yield (
            f"peak and fleet are compared in visits/s, of {format_number(peaks.per_visit)} "
            f"requests each, as the load test made them: the peak is {format_number(middle)} "
            f"visits/s, {format_number(high)} at its p95"
        )


def _kind(found: Basis) -> Iterator[str]:
    """Say what is taken for granted of the kind of server."""
    servers, speed = found.plan.servers, found.fleet.speed
    if servers.instance and servers.price is None:
        listed = servers.instance
        yield (
            f"{listed.name} costs {format_price(listed.usd_per_h)} by the list of {listed.listed} "
            f"({listed.source}); servers.price takes yours"
        )
    if not (speed.certain and speed.low == 1):
        span = f"{format_number(speed.low)}x"
        if not speed.certain:
            span = f"{format_number(speed.low)} to {format_number(speed.high)}x"
        kind = found.kind or "a server of the sale"
        yield f"{kind} is taken to do {span} of what was {found.source}"


def _queueing(shown: Sequence[Option]) -> list[str]:
    (chosen,) = (option for option in shown if option.chosen)
    waits = waiting(chosen)
    return [f"requests that wait for one of {_servers(chosen.servers)}: {waits}"] if waits else []


def _servers(count: int) -> str:
    return f"{count:,} server" if count == 1 else f"{count:,} servers"
