"""What a load test is asked: the plan joined with the command line, checked before any load."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

from capplan.errors import SetupError, UsageError
from capplan.loadtest.generators.remote import Wanted
from capplan.loadtest.generators.sources import sources
from capplan.loadtest.job import Watching
from capplan.loadtest.machine import cores
from capplan.loadtest.measure import Job
from capplan.loadtest.target import require_loadable, without_credentials
from capplan.plan.load import PlanFile
from capplan.plan.schema import SeenPeak, Service, Visit
from capplan.plan.sla import Sla
from capplan.results.capacity import Identity
from capplan.units import format_duration
from capplan.workflow.changes import file_hash
from capplan.workflow.shelf import Shelf, shown

TIME_BUDGET_S = 120.0
_MOST_PER_CORE = 4


@dataclass(frozen=True, slots=True)
class Overrides:
    """What the command line says instead of the plan; None, or nothing, leaves the plan's word.

    Paths are relative to the working directory. ``max_rate_rps`` counts requests of the mix.
    ``servers`` says how many of them stand behind the target, ``target_pids`` are processes of the
    target to be watched.
    """

    target: str | None = None
    locustfiles: tuple[Path, ...] = ()
    arguments: tuple[str, ...] = ()
    sla: Sla | None = None
    max_rate_rps: float | None = None
    max_requests: int | None = None
    processes: int | None = None
    workers: Wanted | None = None
    time_budget_s: float = TIME_BUDGET_S
    servers: int = 1
    target_pids: tuple[int, ...] = ()


AS_PLANNED = Overrides()


@dataclass(frozen=True, slots=True)
class Prepared:
    """A load test that was checked and can begin."""

    job: Job
    service: Service
    visit: Visit
    identity: Identity
    peak: SeenPeak | None = None


def prepare(plan_file: PlanFile, shelf: Shelf, overrides: Overrides, seed: int) -> Prepared:
    """Join the plan with the command line, and check both before any load."""
    service = plan_file.plan.service
    target = overrides.target or service.target
    if target is None:
        raise UsageError(
            "the plan names no target", "add service.target, or say --target http://127.0.0.1:8899"
        )
    scripts = _locustfiles(plan_file, overrides)
    require_loadable(target, service.allowed_hosts)
    service = service.model_copy(
        update={
            "target": target,
            "sla": overrides.sla or service.sla,
            "locustfile": tuple(map(str, scripts)) if overrides.locustfiles else service.locustfile,
            "arguments": overrides.arguments or service.arguments,
        }
    )
    _require_patience(service)
    _require_cores(overrides.processes or 1)
    usual = plan_file.plan.usual
    return Prepared(
        job=_job(target, service, plan_file.plan.visit, scripts, overrides, seed, _log(shelf)),
        service=service,
        visit=plan_file.plan.visit,
        identity=_identity(target, service, scripts, overrides.servers),
        peak=usual.peak if usual else None,
    )


def _job(
    target: str,
    service: Service,
    visit: Visit,
    scripts: tuple[Path, ...],
    overrides: Overrides,
    seed: int,
    log: Path,
) -> Job:
    return Job(
        target=target.rstrip("/"),
        locustfiles=scripts,
        sla=service.sla,
        endpoints=service.endpoints,
        timeout_s=service.timeout,
        allowed_hosts=service.allowed_hosts,
        max_rate_rps=overrides.max_rate_rps,
        max_requests=overrides.max_requests,
        processes=overrides.processes,
        workers=overrides.workers,
        time_budget_s=overrides.time_budget_s,
        seed=seed,
        log=log,
        arguments=service.arguments,
        unit=service.unit,
        visit_tasks=visit.tasks,
        order_endpoint=visit.order_endpoint,
        watching=Watching(overrides.target_pids, service.metrics, service.max.given),
    )


def _require_patience(service: Service) -> None:
    """Refuse limits that no answer could reach: it is given up before, and counts as a miss."""
    for where, sla in {"the SLA": service.sla, **service.endpoints}.items():
        for limit in sla.latency:
            if limit.limit_s > service.timeout:
                raise UsageError(
                    f"{limit} of {where} is longer than service.timeout, after which nobody waits: "
                    f"{format_duration(service.timeout)}",
                    "raise service.timeout, or lower the limit",
                )


def _require_cores(processes: int) -> None:
    """Refuse far more load generators than there are cores: the machine would only thrash."""
    if processes > _MOST_PER_CORE * cores():
        raise UsageError(
            f"--processes {processes} are too many for a machine with {cores()} cores",
            "one for each core makes the most load; for more, load from more machines: "
            "--expect-workers",
        )


def _identity(target: str, service: Service, scripts: tuple[Path, ...], servers: int) -> Identity:
    return Identity(
        target=without_credentials(target),
        locustfile=", ".join(path.name for path in scripts),
        locustfile_hash=file_hash(*sources(scripts)),
        arguments=service.arguments,
        sla=", ".join([str(service.sla), *service.max.words]),
        unit=service.unit,
        servers=servers,
    )


def _locustfiles(plan_file: PlanFile, overrides: Overrides) -> tuple[Path, ...]:
    planned = plan_file.plan.service.locustfile or ()
    paths = tuple(path.absolute() for path in overrides.locustfiles) or tuple(
        plan_file.resolve(name) for name in planned
    )
    if not paths:
        raise UsageError(
            "the plan names no locustfile", "add service.locustfile, or say --locustfile FILE"
        )
    for path in paths:
        if path.is_dir():
            raise UsageError(
                f"the locustfile {shown(path)} is a folder", "name the files in it, as a list"
            )
        if not path.is_file():
            raise UsageError(
                f"the locustfile {shown(path)} does not exist",
                "its path is relative to the plan; write a first one with: capplan init",
            )
    return paths


def _log(shelf: Shelf) -> Path:
    if shelf.folder is None:
        return Path(tempfile.mkdtemp(prefix="capplan-")) / "loadtest.log"
    try:
        shelf.folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SetupError(
            f"{shown(shelf.folder)}, the folder of the results, cannot be made: {error.strerror}",
            "move what stands in its place, or allow writing there",
        ) from error
    return shelf.folder / "loadtest.log"


def with_service(plan_file: PlanFile, service: Service) -> PlanFile:
    """Return the plan with the service that was really measured."""
    return replace(plan_file, plan=plan_file.plan.model_copy(update={"service": service}))
