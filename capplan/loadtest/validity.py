"""Whether a trial may be trusted: the generator's faults make it worthless, the target's do not.

Overload of the target is no fault: above its capacity any pool of users runs dry, because they all
wait for answers, and what never started in time has missed the SLA. Pure functions of what was
measured; what is then done about it is ``remedy``'s part.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from capplan.results.base import Note
from capplan.results.capacity import Health, Outcome, Trial
from capplan.units import format_duration, format_share

MAX_LATENESS_S = 0.010
MAX_GENERATOR_CPU = 0.80
MAX_HELD_UP = 0.3
MAX_STEAL = 0.05
SHARED_CORES_DOUBT = 0.05
"""How much a rate may be off when the target had to share cores none of which was idle."""

_IDLE = 0.05  # of the machine's cores: less than this means that somebody waited for a core
_UNSENT_EARLY = (0.05, 5)  # share and number that an end at an arbitrary moment may leave unsent


@dataclass(frozen=True, slots=True)
class Usage:
    """The machine over a stretch of time.

    ``cores`` the generator may use, ``idle_cores`` how many of the machine's were idle on average
    (None: not known), ``steal`` the share (0 to 1) of CPU time that the host took away.
    """

    cores: int = 1
    idle_cores: float | None = None
    steal: float = 0.0


@dataclass(frozen=True, slots=True)
class Held:
    """Whether the SLA held by latency from the intended start, and by two other clocks.

    ``actual``: from the actual start. ``without_lateness``: the same, and every latency shorter by
    the generator's own lateness (p99), which may have delayed the answer as well. ``served``: from
    the actual start, of those alone for which the script sent something.
    ``nothing``: there was no request of which it could be said.
    """

    intended: bool
    actual: bool
    without_lateness: bool
    nothing: bool = False
    served: bool = False


def judge(
    held: Held, health: Health, lost: Sequence[str], ended_early: bool
) -> tuple[Outcome, tuple[Note, ...]]:
    """Return the outcome of a trial and what is doubtful about it.

    ``lost`` says of each generator process that died how it died.
    """
    faults = [*_deaths(lost), *_arrivals(health, ended_early, bool(lost)), *_weakness(health)]
    if held.nothing and not faults:
        faults.append(
            Note(
                code="no_requests",
                message="not one request was counted, so that nothing held and nothing was missed",
                advice="let trials last longer, with a higher --time-budget",
            )
        )
    if not held.intended:
        own = _script_faults(health) if held.served else []
        faults += own
        if not own and held.actual and not ended_early:
            faults.append(_waited(health))
    if {fault.code for fault in faults} == {"late_arrivals"} and not held.without_lateness:
        # what is over the limit by more than the lateness was not made so by the lateness
        return "fail", tuple(faults)
    if faults:
        return "invalid", tuple(faults)
    passed = held.intended and not ended_early
    return ("pass" if passed else "fail"), tuple(_stolen(health))


def beside_the_target(cores: int) -> Note:
    """Say once that the target and the generator share ``cores`` cores."""
    return Note(
        code="same_machine",
        message=f"the target runs on the generator's machine: they share its {cores} cores",
        advice="for the number of the sale, generate the load from another machine",
    )


def doubt(health: Health, *, same_machine: bool) -> float:
    """Return by which share a trial's rate may be off for reasons that are not the server's.

    CPU time that the host took away counts as it is: a server that got 90 % of its time carries at
    most a tenth more with all of it. Where the target runs beside the generator and no core was
    idle, the two took time from each other.
    """
    stolen = health.steal if health.steal > MAX_STEAL else 0.0
    busy = health.idle_cores is not None and health.idle_cores < _IDLE * health.cores
    return max(stolen, SHARED_CORES_DOUBT if same_machine and busy else 0.0)


def mean_doubt(trials: Sequence[Trial], *, same_machine: bool) -> float:
    """Return the doubt of a measurement: that of its valid trials, weighted by their length."""
    valid = [t for t in trials if t.outcome != "invalid"]
    total_s = sum(t.duration_s for t in valid)
    if not total_s:
        return 0.0
    return sum(t.duration_s * doubt(t.health, same_machine=same_machine) for t in valid) / total_s


def widen(low: float, high: float, share: float) -> tuple[float, float]:
    """Return an interval that is wider by a share of the rate on each side.

    >>> widen(100.0, 120.0, 0.0)
    (100.0, 120.0)
    >>> widen(100.0, 120.0, 0.2)
    (80.0, 150.0)
    """
    return low * (1 - share), high / (1 - share)


def _deaths(lost: Sequence[str]) -> list[Note]:
    advice = "that trial does not count"
    return [Note(code="worker_died", message=how.splitlines()[0], advice=advice) for how in lost]


def _arrivals(health: Health, ended_early: bool, died: bool) -> list[Note]:
    share, number = _UNSENT_EARLY if ended_early else (0.0, 0)
    missing = abs(health.tickets_due - health.tickets_issued)
    if died or missing <= max(share * health.tickets_due, number):
        return []
    return [
        Note(
            code="arrivals_lost",
            message=f"{health.tickets_issued} of the {health.tickets_due} arrivals that were due "
            "were issued",
            advice="the generator's machine stood still or its script blocks: see its log",
        )
    ]


def _weakness(health: Health) -> list[Note]:
    notes = []
    if health.lateness_s_p99 > MAX_LATENESS_S:
        notes.append(
            Note(
                code="late_arrivals",
                message=f"arrivals left {format_duration(health.lateness_s_p99)} late (p99) "
                "although a user was free",
                advice="the generator's machine is too busy: give it a core of its own",
            )
        )
    if health.held_up > MAX_HELD_UP and health.generator_cpu <= MAX_GENERATOR_CPU:
        notes.append(
            Note(
                code="script_holds_up",
                message=f"for {format_share(health.held_up)} of the time no user could go on, "
                f"although the generator used {format_share(health.generator_cpu)} of its core",
                advice="a call in the script gives no control back (a database driver in C, an "
                "unpatched sleep): use one that gevent knows; or something else takes the CPU",
            )
        )
    if health.generator_cpu > MAX_GENERATOR_CPU:
        whose = "the generator" if health.processes == 1 else "a process of the generator"
        notes.append(
            Note(
                code="generator_busy",
                message=f"{whose} used {format_share(health.generator_cpu)} of a core",
                advice="use FastHttpUser in the script, or a faster machine for the generator",
            )
        )
    return notes


def _waited(health: Health) -> Note:
    """Name what made arrivals start late enough to miss an SLA that the target itself held."""
    if not health.starved:
        return Note(
            code="lateness_decides",
            message="the SLA was missed only because arrivals left "
            f"{format_duration(health.lateness_s_p99)} late (p99)",
            advice="the generator's machine is too busy for so short a limit",
        )
    if health.users < health.most_users:
        return Note(
            code="pool_too_small",
            message=f"{health.starved} arrivals found no free user although the target answered "
            "in time",
            advice="the pool is grown and the trial repeated",
        )
    return Note(
        code="pool_limit",
        message=f"{health.starved} arrivals found no free user although the target answered in "
        f"time, and {health.most_users:,} users are the most there are",
        advice="shorten the waits in the script, or measure a smaller server",
    )


def _script_faults(health: Health) -> list[Note]:
    """Say why the script sent less than it should, where the target held the SLA for the rest.

    Its accounts ran out, so that users cannot start; or its data did, so that tasks raise.
    """
    notes = []
    if health.starved and health.failed_starts:
        notes.append(
            Note(
                code="users_missing",
                message=f"{health.starved} arrivals found no free user although the target "
                f"answered in time: {health.users} users were there, and more ended in on_start "
                f"({health.start_error})",
                advice="let the script have as many users as it takes: with an account for each, "
                "or one that they share",
            )
        )
    if health.unasked:
        notes.append(
            Note(
                code="script_raised",
                message=f"for {health.unasked} arrivals the script raised before it sent anything, "
                "and the target held the SLA for all others",
                advice="repair the script: data that runs out, a name that is not always set",
            )
        )
    return notes


def _stolen(health: Health) -> list[Note]:
    if health.steal <= MAX_STEAL:
        return []
    return [
        Note(
            code="stolen_cpu",
            message=f"the host took {format_share(health.steal)} of the CPU time away",
            advice="measure on a quieter machine; the interval is wider for it",
        )
    ]
