"""The reasons: in plain words, why this count, and what the numbers rest on."""

from __future__ import annotations

from capplan.recommend.options import Decider
from capplan.results.recommendation import CeilingCheck
from capplan.results.scaling import described
from capplan.results.window import LEAD_S
from capplan.units import (
    format_count,
    format_duration,
    format_money,
    format_number,
    format_rate,
    format_share,
)


def reasons(
    decider: Decider,
    wanted: int,
    chosen: int,
    asked: int | None,
    checks: tuple[CeilingCheck, ...],
) -> tuple[str, ...]:
    """Return the reasons, the answer first.

    ``wanted`` is what the policy needs, ``chosen`` what quota and budget leave of it.
    """
    return (
        _answer(decider, wanted, chosen),
        *(_ceiling(decider, check) for check in checks if check.binds),
        *([] if asked is None else [_about(decider, asked, chosen)]),
        *_grounds(decider),
    )


def _answer(decider: Decider, wanted: int, chosen: int) -> str:
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
    if chosen <= decider.plan.servers.today:
        return (
            f"today's {_servers(decider.plan.servers.today)} are enough; the smallest count that "
            f"meets the policy is {chosen}: {_risks(decider, chosen)}"
        )
    return f"{chosen} is the smallest count that meets the policy: {_risks(decider, chosen)}"


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
        f"the peak exceeds the ceiling {check.name} ({format_rate(check.ceiling_rps)}) with "
        f"probability {risk}: no number of servers helps"
    )


def _about(decider: Decider, asked: int, chosen: int) -> str:
    option = decider.option(asked, chosen)
    lost = f"{format_count(round(option.expected_lost_visits))} visits"
    if option.expected_lost_value is not None:
        lost += f" worth {format_money(option.expected_lost_value)}"
    if decider.complaint(asked):
        judged = "this is not within the policy"
        if beyond := decider.beyond_reach(asked):
            judged += f", and {beyond}"
    else:
        judged = "this is within the policy" + (f", and {option.excuse}" if option.excuse else "")
    return (
        f"{_servers(asked)} carry {format_rate(option.fleet_rps)} in the middle case, cost "
        f"{format_money(option.cost)} and are expected to lose {lost}; {_risks(decider, asked)}; "
        f"{judged}"
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
        f"one server {known} to sustain {span}; the error is the same in all servers and does not "
        f"average out",
        f"an overload is a peak of {window_s} or longer above what the fleet sustains within the "
        f"SLA; a shorter one is a queue",
        f"the cost is that of the whole fleet for {found.window.hours:.3g} h, with boot, warm-up "
        f"and {format_duration(LEAD_S)} to spare",
    ]


def _servers(count: int) -> str:
    return f"{count:,} server" if count == 1 else f"{count:,} servers"
