"""The sale day that goes wrong, for the terminal."""

from __future__ import annotations

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.text import Text

from capplan.render.chart import Band, Canvas, plot, rate_axis
from capplan.render.parts import answer, next_step, notes, table, titled
from capplan.results.simulation import (
    AS_PLANNED,
    ATTACK,
    SURPRISE,
    Act,
    Difference,
    Law,
    Ranking,
    Setting,
    Simulation,
)
from capplan.units import (
    format_count,
    format_duration,
    format_money,
    format_number,
    format_rate,
    format_share,
)

_HEIGHT, _WIDTH = 6, 64
_STAGED = (ATTACK, SURPRISE, AS_PLANNED)


def simulation(result: Simulation, plan: str) -> RenderableType:
    """Show the acts side by side, what was known in advance, and the settings."""
    return answer(
        headline(result),
        _acts(result),
        _charts(result),
        _worth(result.protection_worth),
        _refusals(result),
        _downstream(result),
        _laws(result.laws),
        _settings(result.settings),
        _model(result),
        notes(result.notes),
        next_step("capplan recommend", plan),
    )


def act_line(act: Act) -> str:
    """Say in one line what became of an act."""
    paid = f"{format_count(act.paid)} of {format_count(round(act.could_pay))} paid"
    return f"{act.label}: {paid}, {_outcome(act)}{_sold(act)}"


def caption(act: Act) -> str:
    """Say below a picture what became of an act."""
    paid, could = format_count(act.paid), format_count(round(act.could_pay))
    told = f"{paid} of the {could} visits that could pay did ({format_share(act.paid_ratio)})"
    if act.outcome == "held" or act.lost_at_s is None:
        return f"{told}. It holds{_sold(act)}."
    back = (
        "and never recovers" if act.recovered_at_s is None else f"back {_after(act.recovered_at_s)}"
    )
    return f"{told}. It breaks {_after(act.lost_at_s)}, {back}{_stuck(act)}{_sold(act)}."


def _after(at_s: float) -> str:
    when = "before" if at_s < 0 else "after"
    return f"{format_duration(abs(at_s))} {when} the start"


def clock(at_s: float) -> str:
    """Show a time from the start of the sale.

    >>> clock(3725.0), clock(-30.0)
    ('1:02:05', '-0:00:30')
    """
    whole = abs(round(at_s))
    sign = "-" if at_s <= -0.5 else ""
    return f"{sign}{whole // 3600}:{whole % 3600 // 60:02}:{whole % 60:02}"


def headline(result: Simulation) -> str:
    """Return the answer in words."""
    staged = [a for name in _STAGED for a in result.acts if a.name == name]
    name = staged[0].name if staged else result.acts[0].name
    told = [_told(a, result.model.surprise) for a in result.acts if a.name == name]
    return " ".join(told)


def _told(act: Act, surprise: float) -> str:
    what = {
        AS_PLANNED: "As planned",
        SURPRISE: f"With {surprise:g}x the demand",
        ATTACK: f"With {surprise:g}x the demand and bots",
    }.get(act.name, act.name)
    subject = f"{what}, unprotected" if not act.protections else "With the protections"
    value = "" if not act.lost_value else f", {format_money(act.lost_value)} lost"
    return (
        f"{subject}: {format_count(act.paid)} of the {format_count(round(act.could_pay))} visits "
        f"paid that could ({format_share(act.paid_ratio)}), {_outcome(act)}{value}{_sold(act)}."
    )


def _outcome(act: Act) -> str:
    if act.outcome == "held" or act.lost_at_s is None:
        return "it holds"
    broken = f"breaks at {clock(act.lost_at_s)}"
    if act.recovered_at_s is None:
        return f"{broken} and never recovers{_stuck(act)}"
    return f"{broken}, back at {clock(act.recovered_at_s)}{_stuck(act)}"


def _stuck(act: Act) -> str:
    return " (metastable)" if act.metastable else ""


def _acts(result: Simulation) -> RenderableType:
    return titled(
        "The acts: visits that paid, of those that could; when it breaks, after the start",
        table(
            ("", "servers", "visits", "paid", "could", "share", "breaks", "back", "<"),
            [
                (
                    "… protected" if act.name in _STAGED and act.protections else act.name,
                    str(act.servers),
                    format_count(act.visits),
                    format_count(act.paid),
                    format_count(round(act.could_pay)),
                    format_share(act.paid_ratio),
                    *_briefly(act),
                )
                for act in result.acts
            ],
        ),
    )


def _briefly(act: Act) -> tuple[str, str, str]:
    """Say when it breaks, when it is back, and what else there is to say."""
    also = f"{'metastable' * act.metastable}{_sold(act)}".removeprefix("; ")
    if act.outcome == "held" or act.lost_at_s is None:
        return "holds", "-", also
    back = "never" if act.recovered_at_s is None else clock(act.recovered_at_s)
    return clock(act.lost_at_s), back, also


def _sold(act: Act) -> str:
    """Say when the stock was gone, and how much of it bots bought."""
    out = "" if act.sold_out_at_s is None else f"; sold out {clock(act.sold_out_at_s)}"
    return f"{out}; bots bought {format_count(act.scalped)}" if act.scalped else out


def _charts(result: Simulation) -> RenderableType | None:
    blocks: list[RenderableType] = []
    for name in _STAGED[:1]:
        for act in result.acts:
            if act.name == name:
                title = f"{act.label}: shoppers' requests/s offered (dots), good (line)"
                blocks += [Text(""), titled(title, _ActChart(act))]
    return Group(*blocks[1:]) if blocks else None


def _worth(ranking: Ranking | None) -> RenderableType | None:
    if ranking is None:
        return None
    bare = next(run for run in ranking.runs if not run.protections)
    minutes = f"{clock(ranking.from_s)} to {clock(ranking.to_s)}"
    part = "" if ranking.scale == 1 else f", {format_share(ranking.scale)} of the sale simulated"
    about = (
        f"{ranking.act}, {minutes}, {format_count(round(bare.paid))} of "
        f"{format_count(round(bare.could_pay))} paid without protection; mean of "
        f"{ranking.replications} runs with the same visits, ± is its "
        f"{format_share(ranking.confidence)} interval{part}"
    )
    rows = [
        (one.protection, *_difference(one.alone), *_difference(one.missing))
        for one in ranking.protections
    ]
    return Group(
        titled(
            "What each protection is worth: visits that paid",
            table(("", "more, alone", "<", "fewer, if missing", "<"), rows),
        ),
        Text(about, style="dim"),
    )


def _difference(found: Difference | None) -> tuple[str, str]:
    if found is None:
        return "-", ""
    return format_count(round(found.paid)), f"±{format_count(round(found.error))}"


def _refusals(result: Simulation) -> RenderableType | None:
    rows = []
    for act in result.acts:
        by: dict[str, int] = {}
        for outcome in act.classes.values():
            for reason, count in outcome.rejected_by.items():
                by[reason] = by.get(reason, 0) + count
        if by:
            most = sorted(by.items(), key=lambda item: -item[1])
            said = ", ".join(f"{reason} {format_count(count)}" for reason, count in most)
            rows.append((f"{act.name}{', protected' * bool(act.protections)}", said))
    if not rows:
        return None
    return titled("Who refused attempts", table(("", "<refused by"), rows))


def _downstream(result: Simulation) -> RenderableType | None:
    """Show how busy the services behind the servers were, and how long their queues."""
    services = result.acts[0].downstream
    if not services:
        return None
    rows = [
        (
            "" if place else f"{act.name}{', protected' * bool(act.protections)}",
            name,
            format_share(one.busy),
            format_count(one.peak_queue),
            format_count(one.breaker_opened) if "circuit-breaker" in act.protections else "-",
        )
        for act in result.acts
        for place, (name, one) in enumerate(act.downstream.items())
    ]
    carried = "; ".join(
        f"{name}: {format_count(one.slots)} slots of {format_duration(one.service_s)} carry "
        f"{format_rate(one.capacity_rps)} of the mix"
        for name, one in services.items()
    )
    return Group(
        titled(
            "Behind the servers: slots busy at most, longest queue, how often a breaker opened",
            table(("", "<", "busy", "queue", "breaker"), rows),
        ),
        Text(carried, style="dim"),
    )


def _laws(laws: tuple[Law, ...]) -> RenderableType | None:
    if not laws:
        return None
    sources = sorted({law.source for law in laws})
    marks = {source: chr(ord("a") + place) for place, source in enumerate(sources)}
    rows = [
        (
            law.name,
            f"{law.formula} [{marks[law.source]}]",
            _quantity(law.value, law.unit),
            "-"
            if law.simulated is None and law.agrees is None
            else _quantity(law.simulated, law.unit),
            {True: "agrees", False: "disagrees", None: ""}[law.agrees],
        )
        for law in laws
    ]
    return Group(
        titled(
            "Known in advance, and what the simulated surprise did",
            table(("", "<", "value", "simulated", "<"), rows),
        ),
        Text("; ".join(f"[{marks[source]}] {source}" for source in sources), style="dim"),
    )


def _quantity(value: float | None, unit: str) -> str:
    if value is None:
        return "never"
    if unit == "s after the start":
        return clock(value)
    if unit == "s":
        return format_duration(value)
    if unit.startswith("of "):
        return format_share(value)
    return f"{format_number(value)} {unit}"


def _settings(settings: tuple[Setting, ...]) -> RenderableType | None:
    if not settings:
        return None
    return titled(
        "Settings of the protections",
        table(
            ("", "<", "", "<from"),
            [(one.protection, one.name, _setting(one), one.why) for one in settings],
        ),
    )


def _setting(one: Setting) -> str:
    if one.unit == "s":
        return format_duration(one.value)
    if one.unit == "rps":
        return format_rate(one.value)
    if one.unit.startswith("of "):
        return f"{format_share(one.value)} {one.unit}"
    return f"{format_number(one.value)} {one.unit}"


def _model(result: Simulation) -> RenderableType:
    model = result.model
    steps = ", ".join(f"{name} {format_number(n)}" for name, n in model.per_visit.items())
    demand = "" if model.percentile == 50 else f" The demand is its p{model.percentile:g}."
    return Text(
        f"A server has {model.slots} slots of {format_duration(model.service_s)} each, which "
        f"finish {format_rate(model.server_capacity_rps)}; a visit makes {steps} requests, "
        f"{format_duration(model.think_s)} apart; clients wait "
        f"{format_duration(model.patience_s)} and ask {model.attempts} times.{demand}"
    )


class _ActChart:
    """Offered and good requests of shoppers over the act."""

    def __init__(self, act: Act) -> None:
        self._act = act

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Draw it for the width and the characters of this console."""
        series = self._act.series
        canvas = Canvas(max(20, min(options.max_width - 10, _WIDTH)), _HEIGHT, options.ascii_only)
        band = Band(series.t_s, (0.0,) * len(series.t_s), series.good, series.offered)
        rates = rate_axis(max(band.high), canvas.height)
        margin = max(map(len, rates.values()), default=0)
        side = "|" if options.ascii_only else "│"
        for row, drawn in enumerate(plot(band, canvas)):
            line = f"{rates.get(row, ''):>{margin}} {side}{drawn}".rstrip()
            yield Text(line, no_wrap=True, overflow="crop")
        ends = f"{clock(series.t_s[0])} to {clock(series.t_s[-1])}"
        yield Text(f"{' ' * margin} {ends}", no_wrap=True)
