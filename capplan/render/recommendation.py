"""How many servers to start, for the terminal."""

from __future__ import annotations

from datetime import datetime

from rich.console import Group, RenderableType

from capplan.render.parts import Explained, answer, bullets, facts, next_step, notes, table, titled
from capplan.render.schedule import autoscaling, schedule
from capplan.results.recommendation import Option, Recommendation
from capplan.units import format_count, format_money, format_share

_RARE = 0.2


def recommendation(result: Recommendation, plan: str) -> RenderableType:
    """Show how many servers to start, and what every other choice costs and risks."""
    assumed = result.capacity_source == "assumed"
    return answer(
        headline(result),
        _why(result),
        _options(result),
        _ceilings(result),
        schedule(result),
        autoscaling(result),
        bullets(result.reasons) if result.reasons else None,
        notes(result.notes),
        next_step("capplan loadtest" if assumed else "capplan gate", plan),
        style="bold" if result.feasible else "bold red",
    )


def headline(result: Recommendation) -> str:
    """Return the answer in one sentence."""
    floor, chosen = result.resolution, result.chosen
    best = f"{fleet(chosen)}: {_stakes(chosen, floor)}."
    asked = result.asked and result.option(result.asked, result.asked_instance)
    if asked and not asked.chosen:
        recommended = "The recommendation is" if result.feasible else "The best is"
        return f"{_servers(asked)}: {_stakes(asked, floor)}. {recommended} {best}"
    if not result.feasible:
        binding = " and ".join(ceiling.name for ceiling in result.ceilings if ceiling.binds)
        if binding and not chosen.excuse:
            return f"No server count helps {binding} with the peak; of servers it takes {best}"
        return f"No server count meets the policy; the best is {best}"
    by = f" by {_clock(result.schedule[0].at)}" if result.schedule else ""
    return f"Start {_servers(chosen)}{by}: {_stakes(chosen, floor)}."


def fleet(option: Option) -> str:
    """Return the count, with the kind of server where the plan names one."""
    return f"{option.servers:,}" + (f" {option.instance}" if option.instance else "")


def _servers(option: Option) -> str:
    return f"{fleet(option)} {'server' if option.servers == 1 else 'servers'}"


def _stakes(option: Option, floor: float) -> str:
    risk = shown_risk(option.overload_probability, floor)
    return f"overload risk {risk} at {format_money(option.cost)}"


def _options(result: Recommendation) -> Group:
    options, floor = result.options, result.resolution
    zones = any(option.zone_loss_probability is not None for option in options)
    worth = any(option.expected_lost_value is not None for option in options)
    return titled(
        f"Options (x of today's servers): {'value of the visits' if worth else 'visits'} lost "
        f"with shedding and without{', and what one server more would save of it' * worth}",
        Explained(
            (
                *("servers", "cost", "overload", *["zone lost"] * zones, "lost", "unshed"),
                *["one more"] * worth,
                "<why not",
            ),
            [
                (
                    _count(option, result.planned_instance),
                    format_money(option.cost),
                    shown_risk(option.overload_probability, floor),
                    *[shown_risk(option.zone_loss_probability, floor)] * zones,
                    _lost(option.expected_lost_visits, option.expected_lost_value),
                    _lost(option.expected_lost_visits_unshed, option.expected_lost_value_unshed),
                    *[marginal(option)] * worth,
                    "chosen" if option.chosen else option.excuse,
                )
                for option in options
            ],
        ),
    )


def _count(option: Option, planned: str | None) -> str:
    # servers of another kind are no multiple of today's
    same = option.instance == planned
    return fleet(option) + (f" = {round(option.multiple, 1):g}x" if same else "")


def marginal(option: Option) -> str:
    """Return what one server more would save with shedding; empty where no visit has a value."""
    return "" if option.marginal_value is None else format_money(option.marginal_value)


def plainly(result: Recommendation, sla: str) -> str:
    """Say what the risk of the chosen count means, for those who decide."""
    chosen = result.chosen
    risk, within = chosen.overload_probability, f" within {sla}" if sla else ""
    if risk <= result.resolution:
        often = f"Fewer than one such sale in {1 / result.resolution:,.0f}"
    elif risk < _RARE:
        often = f"About one such sale in {1 / risk:,.0f}"
    else:
        often = f"{format_share(risk)} of such sales"
    carry = f"{_servers(chosen)} carry" if chosen.servers > 1 else "one server carries"
    return f"{often} would bring more visitors than {carry}{within}."


def _lost(visits: float, value: float | None) -> str:
    return format_count(round(visits)) if value is None else format_money(value)


def _why(result: Recommendation) -> Group | None:
    if not result.why:
        return None
    kind = f" {result.asked_instance}" if result.asked_instance else ""
    return titled(
        f"{result.asked:,}{kind} {'server' if result.asked == 1 else 'servers'} in full",
        facts((fact.name, fact.text) for fact in result.why),
    )


def shown_risk(probability: float | None, floor: float) -> str:
    """Write a probability; one at the resolution of the draws is an upper bound."""
    if probability is None:
        return "-"
    shown = format_share(probability)
    return f"<{shown}" if probability <= floor and not shown.startswith("<") else shown


def _ceilings(result: Recommendation) -> Group | None:
    if not result.ceilings:
        return None
    return titled(
        "Ceilings that do not scale with servers",
        table(
            ("", "holds", "risk", "<"),
            [
                (
                    ceiling.name,
                    ceiling.limit,
                    shown_risk(ceiling.exceed_probability, result.resolution),
                    "binds: no number of servers helps" if ceiling.binds else "",
                )
                for ceiling in result.ceilings
            ],
        ),
    )


def _clock(moment: datetime) -> str:
    return f"{moment:%H:%M}"
