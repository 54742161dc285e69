"""What ``capplan loadtest`` can be asked for, one function each: run, print, exit code."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from capplan.cli.interrupt import sigterm_as_interrupt
from capplan.cli.live import Display
from capplan.cli.output import check as check_output
from capplan.cli.output import deliver, named, say, write
from capplan.errors import ExitCode, UsageError
from capplan.loadtest.phases.asked import AskedPhases
from capplan.render import terminal
from capplan.render.checked import checked
from capplan.results.capacity import Capacity
from capplan.workflow.checked import all_well, checked_json
from capplan.workflow.compare import compare
from capplan.workflow.keeping import NotKept
from capplan.workflow.measuring import check, loadtest
from capplan.workflow.paired import paired
from capplan.workflow.preparing import Overrides

_EXITS = {"below_sla": ExitCode.FAILED, "inconclusive": ExitCode.INCONCLUSIVE}


@dataclass(frozen=True, slots=True)
class Asked:
    """What every load test is told: the plan, what overrides it, and where the answer goes."""

    plan: Path
    overrides: Overrides
    seed: int
    as_json: bool
    output: Path | None


@dataclass(frozen=True, slots=True)
class Mode:
    """What is asked of the load test besides a search, or in place of it."""

    phases: AskedPhases
    reuse: bool
    check: bool
    paired: tuple[str, str] | None
    compare: tuple[Path, Path] | None
    resume: bool = False


def run(
    plan: Path | None,
    overrides: Overrides,
    mode: Mode,
    *,
    seed: int,
    as_json: bool,
    output: Path | None,
) -> ExitCode:
    """Do what is asked; raise a ``UsageError`` for options that would do nothing together."""
    if overrides.max_requests and (mode.phases or mode.reuse or mode.paired):
        raise UsageError(
            "--max-requests goes with a search alone: --paired and phases need a load that is held",
            "run them one after the other",
        )
    if overrides.workers and (mode.check or mode.paired or mode.compare):
        raise UsageError(
            "--expect-workers goes with a search: --check, --paired and --compare run here",
            "leave it out",
        )
    if mode.resume and (mode.reuse or mode.check):
        other = "--reuse" if mode.reuse else "--check"
        raise UsageError(f"--resume does not go with {other}", "run them one after the other")
    if mode.paired or mode.compare:
        given = {"--check": mode.check, "--reuse": mode.reuse, "--resume": mode.resume}
        given["a phase"] = bool(mode.phases)
        given["--paired"] = bool(mode.compare and mode.paired)
        for name in (name for name, asked in given.items() if asked):
            without = "--compare" if mode.compare else "--paired"
            raise UsageError(f"{name} does not go with {without}", "run them one after the other")
    if mode.compare:
        return compare_results(*mode.compare, plan, as_json=as_json, output=output)
    if plan is None:
        raise UsageError("the plan is missing", "name it: capplan loadtest sale.yaml")
    check_output(output, plan)
    asked = Asked(plan, overrides, seed, as_json, output)
    if mode.paired:
        return compare_targets(asked, *mode.paired)
    return dry_run(asked) if mode.check else measure(asked, mode)


def dry_run(asked: Asked) -> ExitCode:
    """Run one visit of each user class without load."""
    visits = check(asked.plan, overrides=asked.overrides)
    if asked.as_json:
        write(checked_json(visits))
    else:
        say(checked(visits, named(asked.plan)))
    return ExitCode.OK if all_well(visits) else ExitCode.FAILED


def measure(asked: Asked, mode: Mode) -> ExitCode:
    """Find the sustained rate, or reuse the stored one, and hold the phases at it."""
    try:
        with sigterm_as_interrupt(), Display() as display:
            result = loadtest(
                asked.plan,
                overrides=asked.overrides,
                seed=asked.seed,
                asked=mode.phases,
                reuse=mode.reuse,
                resume=mode.resume,
                watcher=display,
            )
    except NotKept as error:
        _deliver(asked, error.result)
        raise
    _deliver(asked, result)
    return _EXITS.get(terminal.run_of(result, asked.overrides.servers).verdict, ExitCode.OK)


def compare_targets(asked: Asked, base: str, head: str) -> ExitCode:
    """Compare two targets in turns."""
    with sigterm_as_interrupt(), Display() as display:
        result = paired(
            asked.plan,
            base,
            head,
            overrides=asked.overrides,
            seed=asked.seed,
            watcher=display,
        )
    shown = terminal.paired(result, named(asked.plan))
    deliver(result, shown, as_json=asked.as_json, output=asked.output)
    return _EXITS.get(result.verdict, ExitCode.OK)


def compare_results(
    old: Path, new: Path, plan: Path | None, *, as_json: bool, output: Path | None
) -> ExitCode:
    """Compare two stored results."""
    if plan is not None:
        raise UsageError(
            f"--compare reads two results and no plan: {plan} is one too many",
            "capplan loadtest --compare old.json new.json",
        )
    check_output(output, new)
    result = compare(old, new)
    deliver(result, terminal.comparison(result), as_json=as_json, output=output)
    return ExitCode.INCONCLUSIVE if result.verdict == "cannot_tell" else ExitCode.OK


def _deliver(asked: Asked, result: Capacity) -> None:
    shown = terminal.capacity(result, named(asked.plan), asked.overrides.servers)
    deliver(result, shown, as_json=asked.as_json, output=asked.output)
