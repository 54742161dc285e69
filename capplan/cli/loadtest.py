"""``capplan loadtest``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from capplan.cli.loadtest_options import (
    BindOption,
    CheckOption,
    CompareOption,
    LocustfileOption,
    MaxRateOption,
    MaxRequestsOption,
    OpeningOption,
    OptionalPlan,
    OverloadOption,
    PairedOption,
    ProcessesOption,
    ResumeOption,
    ReuseOption,
    ScriptArgument,
    ServersOption,
    SlaOption,
    SoakOption,
    TargetOption,
    TargetPidOption,
    TimeBudgetOption,
    WorkersOption,
)
from capplan.cli.options import (
    JsonOption,
    OutputOption,
    SeedOption,
    examples,
    read,
    read_duration,
    read_rate,
)
from capplan.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from capplan.loadtest.generators.remote import Wanted

EPILOG = examples(
    "capplan loadtest sale.yaml",
    "capplan loadtest sale.yaml --check",
    "capplan loadtest sale.yaml --target http://127.0.0.1:8899 --time-budget 60s",
    "capplan loadtest sale.yaml --resume --time-budget 4min",
    "capplan loadtest sale.yaml -- --tags buy",
    "capplan loadtest sale.yaml --servers 4 --target http://127.0.0.1:8080",
    "capplan loadtest sale.yaml --target-pid 4242",
    "capplan loadtest sale.yaml --paired http://127.0.0.1:81 http://127.0.0.1:82",
    "capplan loadtest --compare old.json sale.capplan/capacity.json",
    "capplan loadtest sale.yaml --sla 'p95<300ms, failures<1%' --max-rate 500",
    "capplan loadtest sale.yaml --max-rate 500 --max-requests 50000",
    "capplan loadtest sale.yaml --processes 4",
    "capplan loadtest sale.yaml --expect-workers 8 --bind 10.0.0.5:5577",
    "capplan loadtest sale.yaml --opening --overload '1.5x for 20s'",
    "capplan loadtest sale.yaml --reuse --soak 10min",
)


def loadtest(
    plan: OptionalPlan = None,
    target: TargetOption = None,
    script_options: ScriptArgument = None,
    locustfile: LocustfileOption = None,
    sla: SlaOption = None,
    max_rate: MaxRateOption = None,
    max_requests: MaxRequestsOption = None,
    time_budget: TimeBudgetOption = None,
    servers: ServersOption = 1,
    target_pid: TargetPidOption = None,
    processes: ProcessesOption = None,
    expect_workers: WorkersOption = None,
    bind: BindOption = None,
    opening: OpeningOption = False,
    overload: OverloadOption = None,
    soak: SoakOption = None,
    reuse: ReuseOption = False,
    resume: ResumeOption = False,
    paired: PairedOption = None,
    compare: CompareOption = None,
    check: CheckOption = False,
    seed: SeedOption = 1,
    as_json: JsonOption = False,
    output: OutputOption = None,
) -> ExitCode:
    """Measure how many requests per second the target sustains within the SLA.

    Drives a Locust script, unmodified, under Poisson arrivals that do not wait for answers. Options
    override the plan. Exits with 3 when the SLA is missed at any load, and with 5 when the numbers
    cannot be trusted.
    """
    from capplan.cli.loadtest_modes import Mode, run
    from capplan.loadtest.phases.asked import AskedPhases, parse_overload, parse_soak
    from capplan.plan.sla import parse_sla
    from capplan.workflow.paired import TIME_BUDGET_S as PAIRED_BUDGET_S
    from capplan.workflow.preparing import TIME_BUDGET_S, Overrides

    overrides = Overrides(
        target=target,
        locustfiles=tuple(locustfile or ()),
        arguments=tuple(script_options or ()),
        sla=None if sla is None else read("--sla", sla, parse_sla),
        max_rate_rps=None if max_rate is None else read_rate("--max-rate", max_rate),
        max_requests=max_requests,
        processes=processes,
        workers=_workers(expect_workers, bind),
        time_budget_s=(PAIRED_BUDGET_S if paired else TIME_BUDGET_S)
        if time_budget is None
        else read_duration("--time-budget", time_budget),
        servers=servers,
        target_pids=tuple(target_pid or ()),
    )
    phases = AskedPhases(
        opening=opening,
        overload=None if overload is None else read("--overload", overload, parse_overload),
        soak_s=None if soak is None else read("--soak", soak, parse_soak),
    )
    mode = Mode(phases, reuse, check, paired, compare, resume)
    return run(plan, overrides, mode, seed=seed, as_json=as_json, output=output)


def _workers(count: int | None, bind: str | None) -> Wanted | None:
    from capplan.workflow.workers import USUAL_BIND, wanted

    if count is None:
        if bind is not None:
            raise UsageError("--bind waits for no worker", "add --expect-workers N")
        return None
    return read("--bind", bind or USUAL_BIND, lambda address: wanted(count, address))
