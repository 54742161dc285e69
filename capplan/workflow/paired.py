"""``capplan loadtest --paired``: the ratio of two targets, kept beside the plan for the gate."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from capplan.errors import Interrupted, SetupError, UsageError
from capplan.loadtest.job import Watching
from capplan.loadtest.measure import Measurement
from capplan.loadtest.paired import Name, PairedMeasurement, measure_paired
from capplan.loadtest.pairing import CONFIDENCE, FEWEST_PAIRS
from capplan.model.ratio import Ratio
from capplan.results.base import Note, Provenance
from capplan.results.capacity import SustainedRate
from capplan.results.paired import Pair, Paired, PairedVerdict, RatioRange, Side
from capplan.workflow import sections
from capplan.workflow.preparing import Overrides, Prepared, prepare, with_service
from capplan.workflow.provenance import provenance
from capplan.workflow.shelf import open_plan, shown
from capplan.workflow.watcher import NOBODY, Watcher

TIME_BUDGET_S = 240.0
_OVERRIDES = Overrides(time_budget_s=TIME_BUDGET_S)
_UNKNOWN = Ratio(None, None, None)


def paired(
    plan: Path | str,
    base: str,
    head: str,
    *,
    overrides: Overrides = _OVERRIDES,
    seed: int = 1,
    watcher: Watcher = NOBODY,
) -> Paired:
    """Find how much more or less ``head`` sustains than ``base``, and keep it beside the plan.

    Both URLs are loaded with the plan's script, in turns. Raises what ``loadtest`` raises.
    """
    if overrides.target is not None:
        raise UsageError("--paired names both targets itself", "leave --target out")
    if overrides.target_pids:
        raise UsageError(
            "--target-pid does not go with --paired: it could be of either target",
            "leave it out: what listens at each target's port is watched",
        )
    plan_file, shelf = open_plan(plan)

    def side(name: Name, url: str) -> Prepared:
        return _alone(prepare(plan_file, shelf, replace(overrides, target=url), seed), name)

    sides: dict[Name, Prepared] = {"base": side("base", base), "head": side("head", head)}
    service = sides["base"].service.model_copy(update={"target": plan_file.plan.service.target})
    origin = provenance(with_service(plan_file, service), sections.CAPACITY, seed)

    def keep(name: Name, found: PairedMeasurement) -> None:
        with suppress(SetupError):  # a full disk is said at the end: the load is not repeated
            shelf.keep_partial(_result(sides, found, origin))
        watcher.side_done(name, found.base if name == "base" else found.head)

    with shelf.locked():
        found = measure_paired(sides["base"].job, sides["head"].job, watcher.show, keep)
        result = _result(sides, found, origin)
        if found.interrupted:
            kept = shelf.keep_partial(result)
            raise Interrupted(
                f"interrupted after {len(found.pairs)} pairs",
                f"what was measured is in {shown(kept)}" if kept else "",
            )
        shelf.keep(result)
        shelf.drop_partial(Paired)
        return result


def _alone(run: Prepared, name: Name) -> Prepared:
    """Return what is asked of one side: by its own log, and without limits on its resources."""
    if run.job.unit == "visit":
        raise UsageError(
            "--paired needs service.unit: task",
            "visits go on between two trials, so one target would not rest while the other is "
            "loaded",
        )
    log = run.job.log.with_name(f"loadtest-{name}.log")
    return replace(run, job=replace(run.job, log=log, watching=Watching()))


def _result(sides: dict[Name, Prepared], found: PairedMeasurement, origin: Provenance) -> Paired:
    verdict, reason, ratio = _judged(found)
    estimate = found.estimate
    each = estimate.each if estimate else (1.0,) * len(found.pairs)
    return Paired(
        **dict(origin),
        verdict=verdict,
        reason=reason,
        sla=sides["base"].job.sla,
        ratio=_range(ratio),
        unpaired_ratio=_range(estimate.unpaired if estimate else _UNKNOWN),
        pairs=tuple(
            Pair(base=held.base, head=held.head, first=held.first, ratio=one)
            for held, one in zip(found.pairs, each, strict=True)
        ),
        base=_side(sides["base"], found.base),
        head=_side(sides["head"], found.head),
        load_time_s=found.load_time_s,
        notes=tuple(dict.fromkeys((*_unused(sides), *found.base.notes, *found.head.notes))),
        interrupted=found.interrupted,
    )


def _unused(sides: dict[Name, Prepared]) -> tuple[Note, ...]:
    if not sides["base"].service.max.given:
        return ()
    return (
        Note(
            code="not_used",
            message="service.max does not limit a comparison in turns: both targets are loaded as "
            "far as the SLA holds",
        ),
    )


def _judged(found: PairedMeasurement) -> tuple[PairedVerdict, str, Ratio]:
    """Say whether the ratio is an answer, and which bound is known when it is not."""
    base, head = found.base.bounds_rps, found.head.bounds_rps
    for name, stop in found.stopped.items():
        if stop.verdict == "below_sla" and name == "head" and base.low:
            high = head.high / base.low if head.high else None
            return "below_sla", stop.reason, Ratio(None, None, high)
        what = "still held at the highest rate" if stop.verdict == "not_reached" else stop.reason
        return "inconclusive", f"the search on the {name} ended: {what}", _UNKNOWN
    if found.estimate is None:
        return "inconclusive", found.reason, _UNKNOWN
    ratio = found.estimate.paired
    if found.reason:
        return "inconclusive", found.reason, ratio
    if found.interrupted or len(found.pairs) < FEWEST_PAIRS:
        return "inconclusive", "the run ended before there were enough pairs", ratio
    if not found.estimate.narrow:
        return "inconclusive", "the pairs disagree too much for an answer", ratio
    return "measured", "", ratio


def _side(run: Prepared, measured: Measurement) -> Side:
    bounds = measured.bounds_rps
    return Side(
        identity=run.identity,
        sustained_rps=SustainedRate(
            low=bounds.low, mid=bounds.mid, high=bounds.high, confidence=CONFIDENCE
        ),
        trials=measured.trials,
        requests_per_arrival=measured.requests_per_arrival,
        mix=measured.mix,
    )


def _range(ratio: Ratio) -> RatioRange:
    return RatioRange(low=ratio.low, mid=ratio.mid, high=ratio.high, confidence=CONFIDENCE)
