"""What the target used meanwhile: CPU, memory, open files, network, and what its metrics say."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from capplan.results.base import Frozen

Resource = Literal[
    "cpu", "one_core", "machine", "memory", "open_files", "network", "elsewhere", "unclear"
]


class ResourceUse(Frozen):
    """What the target used, as means over the time that counts; null is what could not be seen.

    ``cpu`` is the share (0 to 1) of the cores that it may use, ``cpu_stderr`` its standard error,
    ``cores_used`` the same in cores. ``busiest_process_cores`` and ``busiest_thread_cores`` are
    those of one process and one thread; ``busiest_thread_wait`` is the share of the time in which
    that thread was ready to run and waited for a core, ``waiting_threads`` how many did on average.
    ``memory_bytes`` is resident, ``memory`` its share of what the target may have. ``open_files``
    are those of all processes, ``open_files_share`` the largest share that one of them has of its
    own limit. ``received_bytes_per_s`` and ``sent_bytes_per_s`` are those of the network interface,
    ``network`` the larger one's share of its speed. ``samples`` were taken. ``metrics`` are the
    plan's queries, null where one returned nothing.
    """

    cpu: float | None = None
    cpu_stderr: float | None = None
    cores_used: float | None = None
    busiest_process_cores: float | None = None
    busiest_thread_cores: float | None = None
    busiest_thread_wait: float | None = None
    waiting_threads: float | None = None
    memory_bytes: float | None = None
    memory: float | None = None
    open_files: float | None = None
    open_files_share: float | None = None
    received_bytes_per_s: float | None = None
    sent_bytes_per_s: float | None = None
    network: float | None = None
    samples: int = 0
    metrics: dict[str, float | None] = Field(default={})


class TargetProcess(Frozen):
    """A process of the target that was watched, with its children."""

    pid: int
    name: str


class CpuAtRate(Frozen):
    """The CPU share (0 to 1) at ``rate_rps``, from a line through the trials around it.

    CPU = ``idle`` + ``per_rps`` · rate. A bound is null where the trials are too few for one.
    ``confidence`` (0 to 1) is the probability that the interval is meant to contain the mean.
    """

    rate_rps: float
    low: float | None
    mid: float
    high: float | None
    confidence: float
    idle: float
    per_rps: float
    trials: int


class Resources(Frozen):
    """The target's side of a load test.

    ``cores`` may be used by all of its processes together (affinity and cgroup quota), and
    ``memory_limit_bytes`` of memory (of the machine or its cgroup). ``cpu_at_sustained`` is the CPU
    share of these cores at the sustained rate, or at the highest rate that held where that is not
    known; ``at_sustained`` is what else was used near it. ``samples`` is how often was looked.
    """

    seen_by: tuple[Literal["processes", "prometheus"], ...]
    processes: tuple[TargetProcess, ...] = ()
    cores: float | None = None
    memory_limit_bytes: float | None = None
    samples: int = 0
    cpu_at_sustained: CpuAtRate | None = None
    at_sustained: ResourceUse | None = None


class Bottleneck(Frozen):
    """What stops the target from serving more, as far as its own side tells.

    ``elsewhere``: none of what was seen is used up. ``share`` (0 to 1) is the use of the resource
    in the trials from ``from_rps`` to ``to_rps``, at and above the limit.
    """

    resource: Resource
    share: float | None
    from_rps: float
    to_rps: float
    message: str
    advice: str
