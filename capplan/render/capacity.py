"""What one server sustains, for the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from capplan.render.parts import answer, bounds, latency, next_step, notes, span, table, titled
from capplan.render.phases import details, headlines
from capplan.render.resources import bottleneck, target_side
from capplan.render.scaling import scaling
from capplan.results.base import Note
from capplan.results.capacity import Binding, Capacity, ScalePoint, SustainedRate, Trial
from capplan.results.phases import Phases
from capplan.results.scaling import of_the_run
from capplan.units import format_duration, format_number, format_share

_COLUMNS = ("trial", "asked", "sent", "p50", "p95", "p99", "failed", "late p99")
_SEEN = ("cpu", "memory")
_ANSWERED = ("measured", "not_reached")


def capacity(result: Capacity, plan: str, servers: int | None = None) -> RenderableType:
    """Show what one server sustains, or so many ``servers`` of those that were measured."""
    shown = run_of(result, servers or result.identity.servers)
    return answer(
        headline(shown, result.identity.sla),
        _in_visits(result) if shown is result else None,
        _limits(shown),
        headlines(shown.phases),
        _trials(shown.trials) if shown.trials else None,
        details(shown.phases),
        scaling(result),
        notes([*result.notes, *_phase_notes(shown.phases)]),
        next_step("capplan recommend", plan) if shown.verdict in _ANSWERED else None,
    )


def run_of(result: Capacity, servers: int) -> Capacity | ScalePoint:
    """Return the run with so many servers."""
    for point in result.scaling.points if result.scaling else ():
        if point.servers == servers != 1:
            own = servers == result.identity.servers
            return point.model_copy(update=of_the_run(result)) if own else point
    return result


def _phase_notes(phases: Phases) -> list[Note]:
    held = (("opening", phases.opening), ("overload", phases.overload), ("soak", phases.soak))
    return [
        *phases.notes,
        *(
            note.model_copy(update={"message": f"in the {name}: {note.message}"})
            for name, phase in held
            if phase
            for note in phase.notes
        ),
    ]


def headline(result: Capacity | ScalePoint, sla: str) -> str:
    """Return the answer in one sentence."""
    known = result.sustained_rps
    count = result.servers if isinstance(result, ScalePoint) else 1
    who, sustain, miss = f"{count} servers", "sustain", "miss"
    if count == 1:
        who, sustain, miss = "one server", "sustains", "misses"
    rates = _amount(known, "rps")
    if result.verdict == "measured" and rates:
        return f"{who.capitalize()} {sustain} {rates} (SLA {sla})."
    return {
        "measured": f"The limit of {who} was measured: {result.reason}",
        "not_reached": f"{who.capitalize()} {sustain} {rates or 'more'}: {result.reason}",
        "below_sla": f"{who.capitalize()} {miss} the SLA at any load: {result.reason}",
        "inconclusive": f"Inconclusive{f', {rates} so far' if rates else ''}: {result.reason}",
    }[result.verdict]


def _in_visits(result: Capacity) -> Text | None:
    """Restate the rate in visits and in orders, and say whose visits these are."""
    each, visits = result.visit_mix, result.sustained_visits_per_s
    amount = visits and _amount(visits, "visits/s")
    if each is None or amount is None:
        return None
    if each.requests_from == "measured":
        source = f"{format_number(each.requests_mid)} requests each, as measured"
    else:
        source = f"{span(each.requests_low, each.requests_high)} requests each, as planned"
    text = f"In visits: {amount} ({source})."
    orders = result.sustained_orders_per_min
    placed = orders and _amount(orders, "a minute")
    if placed:
        text += f" Orders: {placed} ({each.order_endpoint})."
    return Text(text)


def _amount(known: SustainedRate, unit: str) -> str | None:
    amount = bounds(known.low, known.high)
    return amount and f"{amount} {unit}"


def limits(result: Capacity | ScalePoint) -> list[str]:
    """Say what binds, what stops the target, and what it used: one sentence or two each."""
    found = (
        _binding(result.binding) if result.binding else None,
        bottleneck(result),
        target_side(result.resources) if result.resources else None,
    )
    return [text for text in found if text]


def _limits(result: Capacity | ScalePoint) -> Group | None:
    found = limits(result)
    return Group(*map(Text, found)) if found else None


def _binding(binding: Binding) -> str:
    who = binding.endpoint or "the whole mix"
    few, many = format_number(binding.from_rps), format_number(binding.to_rps)
    rates = f"at {few} rps" if few == many else f"between {few} and {many} rps"
    if binding.name in ("cpu", "memory"):
        used, name = format_share(binding.exceedance), binding.name.replace("cpu", "CPU")
        return f"What binds: the {name} of the target. {used} in use {rates}, " + (
            f"{format_share(binding.allowed)} may be (service.max)."
        )
    missed, allowed = format_share(binding.exceedance), format_share(binding.allowed)
    if binding.name == "failures":
        return f"What binds: failures of {who}. {missed} failed {rates}, {allowed} may."
    return (
        f"What binds: {binding.name} of {who}. {missed} took longer than "
        f"{format_duration(binding.limit)} {rates}, {allowed} may."
    )


def _trials(trials: Sequence[Trial]) -> Group:
    seen = [name for name in _SEEN if _shown(name, trials)]
    return titled(
        "Trials: latency from the intended start, rates in requests/s",
        table(
            (*_COLUMNS, *seen, "<outcome"),
            [
                (
                    trial.purpose,
                    format_number(trial.rate_rps),
                    format_number(trial.achieved_rps),
                    *map(latency, (trial.latency_s.p50, trial.latency_s.p95, trial.latency_s.p99)),
                    format_share((trial.failures + trial.timeouts) / max(trial.requests, 1)),
                    latency(trial.health.lateness_s_p99),
                    *(_used(trial, name) for name in seen),
                    trial.outcome,
                )
                for trial in trials
            ],
        ),
    )


def _shown(name: str, trials: Sequence[Trial]) -> bool:
    """Show the CPU where it was seen, and memory where the plan limits it."""
    if any(criterion.name == name for trial in trials for criterion in trial.criteria):
        return True
    return name == "cpu" and any(t.resources and t.resources.cpu is not None for t in trials)


def _used(trial: Trial, name: str) -> str:
    used = getattr(trial.resources, name) if trial.resources else None
    return "-" if used is None else format_share(used)
