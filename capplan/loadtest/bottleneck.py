"""What stops the target from serving more: the resource that is used up where the SLA breaks.

Pure. Requests wait for a CPU long before it is used up, so the CPU at the sustained rate alone does
not tell whether it is the limit. What tells is the load above: a target that is limited by its CPU
uses all of it there, and one that waits for a lock or a database never does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from capplan.results.capacity import Binding, Trial
from capplan.results.resources import Bottleneck, Resource, Resources, ResourceUse
from capplan.units import format_number, format_share

_FROM = 0.97  # of the answer: trials from here on are at or above the limit
_SHORTEST_S = 0.25  # over less than this the CPU is not known well enough
_USED_UP = 0.85  # of a CPU, a core or a link: the rest is lost in switching and uneven arrivals
_FULL = 0.9  # of memory or of the files a process may open
_QUEUES = 0.6  # of a CPU: below this hardly a request waits for it
_OVERLOADED = 0.8  # of what was sent is served: the target serves all it can
_TAKEN = 0.15  # of a core: how long a thread may wait for one while the target has its own


def find_bottleneck(
    trials: Sequence[Trial],
    answer_rps: float | None,
    target: Resources | None,
    binding: Binding | None,
) -> Bottleneck | None:
    """Name the resource that is used up at the limit, or say that none of those seen is.

    None without a failed trial, or where nothing of the target was seen at the limit.
    """
    failed = [t.rate_rps for t in trials if t.outcome == "fail"]
    if not failed or target is None:
        return None
    least = _FROM * (min(failed) if answer_rps is None else answer_rps)
    above = [
        t
        for t in trials
        if t.outcome != "invalid"
        and t.rate_rps >= least
        and t.resources is not None
        and t.resources.samples
        and t.duration_s - t.warmup_s >= _SHORTEST_S
    ]
    if not above:
        return None
    resource, share, message, advice = _Evidence(above, target).judge(binding)
    return Bottleneck(
        resource=resource,
        share=share,
        from_rps=min(t.rate_rps for t in above),
        to_rps=max(t.rate_rps for t in above),
        message=message,
        advice=advice,
    )


Finding = tuple[Resource, float | None, str, str]


class _Evidence:
    """The most that was used of each resource in the trials at and above the limit."""

    def __init__(self, above: Sequence[Trial], target: Resources) -> None:
        def most(get: Callable[[ResourceUse], float | None]) -> float | None:
            uses = (t.resources for t in above if t.resources)
            return max((v for use in uses if (v := get(use)) is not None), default=None)

        self.above, self.target = above, target
        self.cpu = most(lambda use: use.cpu)
        self.thread = most(lambda use: use.busiest_thread_cores)
        self.waiting = most(lambda use: use.waiting_threads)
        wanted = most(lambda use: _wanted(use, target.cores or 1.0))
        self.wanted = self.cpu or 0.0 if wanted is None else wanted
        self.process = most(lambda use: use.busiest_process_cores)
        self.memory = most(lambda use: use.memory)
        self.files = most(lambda use: use.open_files_share)
        self.network = most(lambda use: use.network)

    def judge(self, binding: Binding | None) -> Finding:
        """Take the first resource that is used up."""
        for found in (
            self._limited(binding),
            self._cpu(),
            self._one_core(),
            self._network(),
            self._files(),
            self._memory(),
            self._machine(),
        ):
            if found is not None:
                return found
        return self._none_used_up(binding)

    def _limited(self, binding: Binding | None) -> Finding | None:
        """Take what the plan limits: the answer ends there, whatever the target could still do."""
        if binding is None or binding.name not in ("cpu", "memory"):
            return None
        most = f"which the plan limits to {format_share(binding.limit)}"
        advice = f"a higher service.max.{binding.name} lets it serve more, with less in reserve"
        if binding.name == "cpu":
            used = min(binding.exceedance, 1.0)
            return (
                "cpu",
                used,
                f"{cpu_text(used, self.target.cores)} near the limit, {most}",
                advice,
            )
        used = binding.exceedance
        return "memory", used, f"memory {format_share(used)} near the limit, {most}", advice

    def _cpu(self) -> Finding | None:
        if self.cpu is None or self.cpu < _USED_UP:
            return None
        advice = "more or faster cores raise it, or less work per request"
        return "cpu", self.cpu, f"{self._cpu_text()} at the limit", advice

    def _one_core(self) -> Finding | None:
        """Find a thread, or a process with an interpreter lock, that cannot use a second core."""
        cores = self.target.cores or 1.0
        if cores <= 1 or self.thread is None:
            return None
        if self.thread >= _USED_UP:
            used, who = self.thread, "one thread"
        elif self.process is not None and _USED_UP <= self.process <= 2 - _USED_UP:
            used, who = self.process, "one process"
        else:
            return None
        message = f"{who} used {format_share(min(used, 1.0))} of a core at the limit: "
        return (
            "one_core",
            min(used, 1.0),
            message + f"{self._cpu_text()}, so other cores stayed free",
            "run more processes (workers): this one does not use a second core",
        )

    def _network(self) -> Finding | None:
        if self.network is None or self.network < _USED_UP:
            return None
        message = f"the network {format_share(self.network)} of its speed at the limit"
        advice = "send less per request (compression, a CDN), or use a faster link"
        return "network", self.network, message, advice

    def _files(self) -> Finding | None:
        if self.files is None or self.files < _FULL:
            return None
        message = f"open files {format_share(self.files)} of the limit of a process"
        return "open_files", self.files, message, "raise ulimit -n of the server"

    def _memory(self) -> Finding | None:
        if self.memory is None or self.memory < _FULL:
            return None
        message = f"memory {format_share(self.memory)} of what the target may have"
        advice = "give it more memory, or let it keep less per request and connection"
        return "memory", self.memory, message, advice

    def _machine(self) -> Finding | None:
        """Find that others on the machine left the target too little of the CPU it wanted."""
        if self.cpu is None or self.waiting is None or self.waiting < _TAKEN:
            return None
        if self.wanted < _QUEUES:
            return None
        waited = "a thread of it" if self.waiting < 1 else f"{self.waiting:.1f} threads of it"
        return (
            "machine",
            self.cpu,
            f"{self._cpu_text()} at the limit, and {waited} had to wait for a core: others on its "
            "machine took the rest",
            "leave the target cores of its own, and load it from another machine",
        )

    def _none_used_up(self, binding: Binding | None) -> Finding:
        seen = {"memory": self.memory, "open files": self.files, "the network": self.network}
        others = [f"{name} {format_share(v)}" for name, v in seen.items() if v is not None]
        listed = f" ({', '.join(others)})" if others else ""
        errors = next((next(iter(t.errors)) for t in self.above if t.errors), None)
        failed = ""
        if binding is not None and binding.name == "failures" and errors:
            failed = f"; requests failed with {errors.rstrip('.')}"
        if self.cpu is None:
            message = f"the CPU was not seen, and nothing else is used up{listed}{failed}"
            return "unclear", None, message, "watch its CPU as well"
        overloaded = any(t.served_rps < _OVERLOADED * t.achieved_rps for t in self.above)
        if self.wanted < _QUEUES or overloaded:
            return (
                "elsewhere",
                self.cpu,
                f"{self._cpu_text()} at the limit: not the CPU{listed}{failed}",
                "look at locks, connection pools, and what it calls: database, payment, cache",
            )
        return (
            "unclear",
            self.cpu,
            f"{self._cpu_text()} at the limit: enough for requests to wait for it, though it is "
            f"not used up{listed}{failed}",
            "more cores probably help; look at locks, connection pools and what it calls as well",
        )

    def _cpu_text(self) -> str:
        return cpu_text(self.cpu or 0.0, self.target.cores)


def _wanted(use: ResourceUse, cores: float) -> float | None:
    """Return the share of its cores, or of a thread's core, that the target used or waited for."""
    if use.cpu is None:
        return None
    by_thread = (use.busiest_thread_cores or 0.0) + (use.busiest_thread_wait or 0.0)
    return max(by_thread, use.cpu + (use.waiting_threads or 0.0) / cores)


def cpu_text(share: float, cores: float | None) -> str:
    """Say how much of its CPU a target used.

    >>> cpu_text(0.97, 1.0), cpu_text(0.4123, 4.0), cpu_text(0.5, None)
    ('CPU 97% of its core', 'CPU 41% of its 4 cores', 'CPU 50%')
    """
    used = f"CPU {format_share(min(share, 1.0))}"
    if cores is None:
        return used
    return f"{used} of its core" if cores == 1 else f"{used} of its {format_number(cores)} cores"
