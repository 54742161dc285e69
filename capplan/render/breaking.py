"""Breaking points and sweeps, for the terminal and as a table for a spreadsheet."""

from __future__ import annotations

from rich.console import RenderableType

from capplan.render.csv import as_text
from capplan.render.parts import answer, bullets, next_step, notes, table, titled
from capplan.render.simulation import clock
from capplan.results.breaking import BreakingPoint, BreakingPoints
from capplan.results.simulation import ActInShort
from capplan.results.sweep import Sweep
from capplan.units import format_number, format_share

COLUMNS = ("", "surprise", "paid", "with bots", "paid")
_CSV = (
    "name", "protections", "servers", "visits", "paid", "could_pay", "paid_ratio", "scalped",
    "sold_out_at_s", "abandoned", "peak_queue", "outcome", "lost_at_s", "recovered_at_s",
    "metastable", "lost_value",
)  # fmt: skip


def breaking_points(result: BreakingPoints, plan: str) -> RenderableType:
    """Show up to which surprise each set of protections holds."""
    part = "" if result.scale == 1 else f" {format_share(result.scale)} of the sale was simulated."
    return answer(
        breaking_headline(result),
        titled(
            "Times the expected demand up to which goodput keeps up, and who paid then",
            table(COLUMNS, rows(result)),
        ),
        bullets(
            [
                *(
                    ["interrupted: what is not in the table was not found out"]
                    if result.interrupted
                    else []
                ),
                f"the expected peak is what {result.servers} servers finish, always busy, at "
                f"{_times(result.full_at)}",
                f"a factor is survived when goodput is at least 95% of what is offered in every "
                f"half minute of {result.runs} runs; found to within "
                f"{format_share(result.precision)}, {clock(result.from_s)} to "
                f"{clock(result.to_s)}.{part}",
                "behind a waiting room goodput keeps up and visitors wait; who paid shows them",
            ]
        ),
        notes(result.notes),
        next_step("capplan simulate", plan),
    )


def breaking_headline(result: BreakingPoints) -> str:
    """Return the answer in words."""
    found = {(point.attacked, point.protections): point for point in result.points}

    def upto(attacked: bool, of: str = "") -> str:
        bare, full = (found.get((attacked, some)) for some in ((), result.protections))
        said = [f"{_upto(bare)}{of}"] if bare else []
        if full and full != bare:
            said.append(f"with the protections {_upto(full)}")
        return ", ".join(said)

    bots = upto(True)
    said = upto(False, " the expected demand") + (f"; with bots {bots}" if bots else "")
    return f"{result.servers} servers survive {said}."


def rows(result: BreakingPoints) -> list[tuple[str, ...]]:
    """Return a row for each set of protections: the factor and who paid, without and with bots."""
    found = {(point.attacked, point.protections): point for point in result.points}
    sets = dict.fromkeys(point.protections for point in result.points)
    return [
        (
            _named(some, result),
            *(cell for attacked in (False, True) for cell in _cells(found.get((attacked, some)))),
        )
        for some in sets
    ]


def _named(protections: tuple[str, ...], result: BreakingPoints) -> str:
    if not protections:
        return "none"
    is_all = protections == result.protections and len(protections) > 1
    return f"all {len(protections)}" if is_all else ", ".join(protections)


def _cells(point: BreakingPoint | None) -> tuple[str, str]:
    if point is None:
        return "-", "-"
    paid = "-" if point.paid_ratio is None else format_share(point.paid_ratio)
    return _upto(point), paid


def _upto(point: BreakingPoint) -> str:
    if point.survives is None:
        return f"less than {_times(point.breaks or 0.0)}"
    if point.breaks is None:
        return f"more than {_times(point.survives)}"
    return _times(point.survives)


def _times(factor: float) -> str:
    return f"{format_number(factor)}x"


def sweep(result: Sweep, plan: str) -> RenderableType:
    """Show the share that paid, and what became of the act, at each value."""
    return answer(
        sweep_headline(result),
        titled(
            "Share that paid of the visits that could, and what became of the sale",
            table((result.key, *(f"<{name}" for name in swept_acts(result))), swept_rows(result)),
        ),
        bullets(["interrupted: the other values were not simulated"])
        if result.interrupted
        else None,
        notes(result.notes),
        next_step("capplan simulate", plan),
    )


def swept_acts(result: Sweep) -> list[str]:
    """Return what the acts of a sweep are called."""
    acts = result.points[0].acts
    return [f"{act.name}{', protected' * bool(act.protections)}" for act in acts]


def swept_rows(result: Sweep) -> list[tuple[str, ...]]:
    """Return a row for each value: the value, and what became of each act."""
    return [(point.text, *map(_briefly, point.acts)) for point in result.points]


def sweep_headline(result: Sweep) -> str:
    """Return the answer in words: the best value, and the span of what it changes."""
    protected = [point.acts[-1].paid_ratio for point in result.points]
    best = max(zip(protected, result.points, strict=True), key=lambda pair: pair[0])[1]
    last = best.acts[-1]
    return (
        f"{result.key} from {result.points[0].text} to {result.points[-1].text}: of the visits "
        f"that could, {format_share(min(protected))} to {format_share(max(protected))} paid "
        f"({last.label}), most at {best.text}."
    )


def _briefly(act: ActInShort) -> str:
    paid = format_share(act.paid_ratio)
    if act.outcome == "held":
        return f"{paid} holds"
    back = "never back" if act.recovered_at_s is None else f"back {clock(act.recovered_at_s)}"
    return f"{paid} {back}{' (metastable)' if act.metastable else ''}"


def sweep_csv(result: Sweep) -> str:
    """Return a row for each act at each value; times are seconds from the start of the sale."""
    rows: list[list[object]] = [[result.key, "act", *_CSV[1:]]]
    for point in result.points:
        for act in point.acts:
            found = act.model_dump() | {"protections": " ".join(act.protections)}
            cells = (found[name] for name in _CSV)
            rows.append(
                [f"{point.value:g}", *(f"{c:.6g}" if isinstance(c, float) else c for c in cells)]
            )
    return as_text(rows)
