"""What one server sustains, for the terminal."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Group, RenderableType
from rich.text import Text

from capplan.render.parts import answer, next_step, notes, span, table, titled
from capplan.results.capacity import Binding, Capacity, Trial
from capplan.units import format_duration, format_number, format_share

_ANSWERED = ("measured", "not_reached")


def capacity(result: Capacity, plan: str) -> RenderableType:
    """Show what one server sustains."""
    return answer(
        _capacity_headline(result),
        _binding(result.binding) if result.binding else None,
        _trials(result.trials) if result.trials else None,
        notes(result.notes),
        next_step("capplan recommend", plan) if result.verdict in _ANSWERED else None,
    )


def _capacity_headline(result: Capacity) -> str:
    known = result.sustained_rps
    rates = None if known.low is None or known.high is None else span(known.low, known.high)
    if result.verdict == "measured" and rates:
        return f"One server sustains {rates} rps (SLA {result.identity.sla})."
    return {
        "measured": f"One server was measured: {result.reason}",
        "not_reached": f"The limit of one server was not reached: {result.reason}",
        "below_sla": f"One server misses the SLA at any load: {result.reason}",
        "inconclusive": f"Inconclusive{f', {rates} rps so far' if rates else ''}: {result.reason}",
    }[result.verdict]


def _binding(binding: Binding) -> Text:
    who = binding.endpoint or "the whole mix"
    few, many = format_number(binding.from_rps), format_number(binding.to_rps)
    rates = f"at {few} rps" if few == many else f"between {few} and {many} rps"
    missed, allowed = format_share(binding.exceedance), format_share(binding.allowed)
    if binding.name == "failures":
        return Text(f"What binds: failures of {who}. {missed} failed {rates}, {allowed} may.")
    return Text(
        f"What binds: {binding.name} of {who}. {missed} took longer than "
        f"{format_duration(binding.limit)} {rates}, {allowed} may."
    )


def _trials(trials: Iterable[Trial]) -> Group:
    return titled(
        "Trials: latency from the intended start, rates in requests/s",
        table(
            ("trial", "asked", "sent", "p50", "p95", "p99", "failed", "late p99", "<outcome"),
            [
                (
                    trial.purpose,
                    format_number(trial.rate_rps),
                    format_number(trial.achieved_rps),
                    *map(_latency, (trial.latency_s.p50, trial.latency_s.p95, trial.latency_s.p99)),
                    format_share((trial.failures + trial.timeouts) / max(trial.requests, 1)),
                    _latency(trial.health.lateness_s_p99),
                    trial.outcome,
                )
                for trial in trials
            ],
        ),
    )


def _latency(seconds: float | None) -> str:
    return "∞" if seconds is None else format_duration(seconds)
