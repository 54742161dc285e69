"""What a load test is told, and what it knows so far."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from capplan.loadtest.generators.engine import Engine
from capplan.loadtest.generators.remote import Wanted
from capplan.loadtest.protocol import Unit, WorkerConfig
from capplan.loadtest.search.policy import Bounds
from capplan.plan.schema import Metrics
from capplan.plan.sla import Sla
from capplan.results.base import Note
from capplan.results.capacity import Binding, CapacityVerdict, Generator, Trial
from capplan.results.resources import Bottleneck, Resources


@dataclass(frozen=True, slots=True)
class Watching:
    """What to watch of the target besides its answers: processes by their ids, else by its port.

    ``metrics`` are read from Prometheus; ``limits`` bind like the SLA.
    """

    pids: tuple[int, ...] = ()
    metrics: Metrics | None = None
    limits: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Job:
    """What is measured. ``max_rate_rps`` counts requests of the mix, like every rate shown.

    ``max_requests`` is how many may be made in all, also by the runs that went before.
    ``processes`` is how many load generators there are on this machine; None leaves that to the
    load. ``workers`` are those on others.

    ``order_endpoint`` is the request that places an order, where the plan says so.
    """

    target: str
    locustfiles: tuple[Path, ...]
    sla: Sla
    endpoints: Mapping[str, Sla]
    timeout_s: float
    allowed_hosts: tuple[str, ...]
    max_rate_rps: float | None
    time_budget_s: float
    seed: int
    log: Path
    arguments: tuple[str, ...] = ()
    unit: Unit = "task"
    visit_tasks: int = 5
    order_endpoint: str | None = None
    watching: Watching = field(default_factory=Watching)
    max_requests: int | None = None
    processes: int | None = None
    workers: Wanted | None = None

    @property
    def worker(self) -> WorkerConfig:
        """What the child needs to know of it."""
        return WorkerConfig(
            tuple(str(path) for path in self.locustfiles),
            self.target,
            self.timeout_s,
            self.allowed_hosts,
            self.arguments,
            self.unit,
            self.visit_tasks,
        )


def engine_for(job: Job, tell: Callable[[str], None] = lambda text: None, usual: int = 1) -> Engine:
    """Return the load generators of a job; ``usual`` is how many when it leaves that open.

    Where workers come from other machines, this one makes no load unless that is asked for.
    """
    unsaid = 0 if job.workers else usual
    return Engine(
        job.worker,
        job.log,
        processes=unsaid if job.processes is None else job.processes,
        fixed=job.processes is not None or job.workers is not None,
        wanted=job.workers,
        tell=tell,
    )


@dataclass(frozen=True, slots=True)
class Earlier:
    """A search that was broken off: what it left for one that goes on."""

    trials: tuple[Trial, ...]
    load_time_s: float
    requests_made: int


@dataclass(frozen=True, slots=True)
class Measurement:
    """What is known so far; bounds in requests/s. ``mix`` is each endpoint's share of requests.

    ``predicted_s`` is the load time that the search was expected to need before it began.
    """

    verdict: CapacityVerdict
    reason: str
    bounds_rps: Bounds
    trials: tuple[Trial, ...]
    load_time_s: float
    requests_per_arrival: float
    mix: dict[str, float]
    notes: tuple[Note, ...]
    generator: Generator
    binding: Binding | None = None
    resources: Resources | None = None
    bottleneck: Bottleneck | None = None
    interrupted: bool = False
    requests_made: int = 0
    predicted_s: float | None = None
