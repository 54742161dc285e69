"""One count of servers, explained in full."""

from __future__ import annotations

from collections.abc import Sequence

from capplan.model.overload import left_after_zone_loss
from capplan.recommend.candidates import Asked
from capplan.recommend.options import Decider
from capplan.results.recommendation import Fact, Option
from capplan.units import (
    format_count,
    format_duration,
    format_money,
    format_number,
    format_price,
    format_rate,
    format_share,
)


def explained(shown: Sequence[Option], asked: Asked | None) -> tuple[Fact, ...]:
    """Explain what the servers asked for carry, risk, lose and cost, and if the policy takes them.

    They are among the options ``shown``. Nothing where none are asked for.
    """
    if asked is None:
        return ()
    decider = asked.candidate.decider
    wanted = (asked.servers, decider.basis.kind)
    option = next(o for o in shown if (o.servers, o.instance) == wanted)
    facts = {
        "the peak": _peak(decider),
        "they carry": _carried(decider, option),
        "overload": _overload(decider, option),
        **_zone_loss(decider, option),
        **_waiting(option),
        **_lost(option),
        **_one_more(decider, option),
        "cost": _cost(decider, option),
        "judged": _judged(decider, option),
    }
    return tuple(Fact(name=name, text=text) for name, text in facts.items())


def _peak(decider: Decider) -> str:
    low, middle, high = (decider.basis.peaks.quantile(share) for share in (0.05, 0.5, 0.95))
    return (
        f"{format_rate(middle)} in the middle case, {format_number(low)} to {format_rate(high)} in "
        f"nine of ten, at {format_number(decider.basis.peaks.per_visit)} requests per visit"
    )


def _carried(decider: Decider, option: Option) -> str:
    each = option.fleet_rps / option.servers
    kept, per_visit = each / decider.basis.middle_rps(1), decider.basis.peaks.per_visit
    return (
        f"{format_rate(option.fleet_rps)}, {format_number(option.fleet_rps_p5)} to "
        f"{format_rate(option.fleet_rps_p95)}: {format_rate(each)} each, {format_share(kept)} of "
        f"what one alone sustains; {format_number(option.fleet_rps / per_visit)} visits/s"
    )


def _overload(decider: Decider, option: Option) -> str:
    accepted = decider.plan.policy.overload_risk
    risk = decider.basis.peaks.show(option.overload_probability, accepted)
    return (
        f"{risk}, accepted is {format_share(accepted)}; "
        f"{format_duration(option.expected_overload_s)} expected above what they carry"
    )


def _zone_loss(decider: Decider, option: Option) -> dict[str, str]:
    risk, zones = option.zone_loss_probability, decider.plan.servers.zones
    if risk is None:
        return {}
    accepted = decider.plan.policy.zone_loss_risk
    left = left_after_zone_loss(option.servers, zones)
    shown = decider.basis.peaks.show(risk, accepted)
    return {f"one of {zones} zones lost": f"{left:,} are left: {shown}, accepted is "
            f"{format_share(accepted)}"}  # fmt: skip


def waiting(option: Option) -> str:
    """Say which share of requests would wait for a slot at the peak; empty where nothing tells."""
    middle, high = option.wait_probability_p50, option.wait_probability_p95
    if option.slots is None or middle is None or high is None:
        return ""
    return (
        f"{format_share(middle)} at the peak's median, {format_share(high)} at its p95 (Erlang C, "
        f"one queue for {option.slots:,} slots)"
    )


def _waiting(option: Option) -> dict[str, str]:
    return {"requests that wait": text} if (text := waiting(option)) else {}


def _lost(option: Option) -> dict[str, str]:
    def worth(visits: float, value: float | None) -> str:
        text = f"{format_count(round(visits))} visits"
        return text if value is None else f"{text}, {format_money(value)}"

    shed = worth(option.expected_lost_visits, option.expected_lost_value)
    unshed = worth(option.expected_lost_visits_unshed, option.expected_lost_value_unshed)
    return {
        "lost, with shedding": f"{shed}: only what is too much",
        "lost, without": f"{unshed}: all who come before the queue has drained",
    }


def _one_more(decider: Decider, option: Option) -> dict[str, str]:
    shed, unshed = option.marginal_value, option.marginal_value_unshed
    if shed is None or unshed is None:
        return {}
    return {
        "one server more": f"saves {format_money(shed)} with shedding, {format_money(unshed)} "
        f"without, and costs {format_money(decider.basis.cost_usd(1))}"
    }


def _cost(decider: Decider, option: Option) -> str:
    hours, price = decider.basis.window.hours, decider.plan.servers.usd_per_h
    return f"{format_money(option.cost)} for {hours:.3g} h at {format_price(price)} each"


def _judged(decider: Decider, option: Option) -> str:
    if not decider.complaint(option.servers):
        return "within the policy" + (f"; {option.excuse}" if option.excuse else "")
    beyond = decider.beyond_reach(option.servers)
    text = f"not within the policy: {option.excuse}"
    return text if not beyond or beyond in text else f"{text}, and {beyond}"
