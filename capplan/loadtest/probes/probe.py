"""Watch the target while trials run: begin, sample, and say what was used over a span of time.

Sampling happens in the parent process, between two looks at the load, a few times a second. The
processes that send the load know nothing of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from time import monotonic

import psutil

from capplan.errors import SetupError, UsageError
from capplan.loadtest.job import Watching
from capplan.loadtest.probes import limits
from capplan.loadtest.probes.family import Family, interface, listeners, named
from capplan.loadtest.probes.prometheus import SHARES, Prometheus
from capplan.loadtest.probes.readings import Ceilings, Reading, Seen, used
from capplan.loadtest.target import is_here
from capplan.results.base import Note
from capplan.results.resources import ResourceUse, TargetProcess

_PER_TRIAL, _EVERY_S = 20, (0.09, 0.5)
_HANDS_ON = ("nginx", "haproxy", "envoy", "traefik", "caddy", "varnishd", "docker-proxy")


@dataclass
class Probe:
    """The target's own side; one that was not told what to watch sees nothing.

    ``clock`` counts seconds from anywhere.
    """

    clock: Callable[[], float] = monotonic
    seen: Seen = field(init=False, default=Seen())
    notes: tuple[Note, ...] = field(init=False, default=())
    missing: tuple[Note, ...] = field(init=False, default=())
    """Why metrics of the last trial could not be read."""
    _prometheus: Prometheus | None = field(init=False, default=None)
    _target: str = field(init=False, default="")
    _named: bool = field(init=False, default=False)
    _family: Family | None = field(init=False, default=None)
    _readings: list[Reading] = field(init=False, default_factory=list)
    _zero_s: float | None = field(init=False, default=None)
    _every_s: float = field(init=False, default=_EVERY_S[1])

    @classmethod
    def of(cls, target: str, watching: Watching) -> Probe:
        """Find the processes of a target, and ask its Prometheus once.

        ``UsageError`` for an id that no process has, a query that is not one number, or a limit on
        what is not seen; ``SetupError`` when Prometheus does not answer.
        """
        probe = cls()
        found, here = named(watching.pids), is_here(target)
        probe._target, probe._named = target, bool(found)
        if not found and here:
            found = listeners(target)
        if found:
            probe._watch(found)
        probe._ask(watching)
        if not probe.seen.by:
            probe.notes += (_not_seen(here=here),)
        for name in watching.limits:
            probe._require(name)
        return probe

    def sees(self, name: str) -> bool:
        """Return whether the share of the target's ``cpu`` or ``memory`` is known."""
        asked = self._prometheus is not None and name in self._prometheus.queries
        return self._family is not None or asked

    def begin(self, duration_s: float) -> None:
        """Forget what was sampled: a trial of ``duration_s`` begins."""
        self._readings, self._zero_s = [], None
        least, most = _EVERY_S
        self._every_s = min(most, max(least, duration_s / _PER_TRIAL))
        if self._family and not self._named and self._family.read(self.clock()) is None:
            self._watch(listeners(self._target))  # the server was restarted

    def sample(self, elapsed_s: float) -> None:
        """Read the counters if it is time to; the trial has lasted ``elapsed_s`` so far."""
        now_s = self.clock()
        # what is said of the time that has passed is a little old: the earliest zero is the truest
        zero_s = now_s - elapsed_s
        self._zero_s = zero_s if self._zero_s is None else min(self._zero_s, zero_s)
        if self._family is None:
            return
        if not self._readings or now_s - self._readings[-1].at_s >= self._every_s:
            reading = self._family.read(now_s)
            if reading is not None:
                self._readings.append(reading)

    def use(self, from_s: float, until_s: float) -> ResourceUse | None:
        """Return what was used from ``from_s`` to ``until_s`` after the trial began."""
        self.missing = ()
        if self._zero_s is None:
            return None
        from_s, until_s = self._zero_s + from_s, self._zero_s + until_s
        ceilings = self.seen.ceilings
        use = used(self._readings, from_s, until_s, ceilings) if ceilings else None
        if self._prometheus is None:
            return use
        now_s = self.clock()
        try:
            metrics = self._prometheus.over(now_s - from_s, now_s - until_s)
        except SetupError as error:
            self.missing = (Note(code="metrics_missing", message=str(error), advice=error.hint),)
            return use
        self.missing = _empty(metrics)
        return with_metrics(use, metrics)

    def memory_bytes(self) -> float | None:
        """Return the resident memory of the target's processes now; None where it is not seen."""
        reading = self._family and self._family.read(self.clock())
        return reading.memory_bytes if reading else None

    def _ask(self, watching: Watching) -> None:
        metrics = watching.metrics
        if metrics is None or not metrics.queries:
            return
        self._prometheus = Prometheus(metrics.prometheus, metrics.queries)
        self.notes += self._prometheus.check()
        self.seen = replace(self.seen, by=(*self.seen.by, "prometheus"))

    def _require(self, name: str) -> None:
        if not self.sees(name):
            raise UsageError(
                f"service.max.{name} cannot be kept: the {name} of the target is not seen",
                f"name its process with --target-pid, or a query {name} in service.metrics; or "
                "take the limit out",
            )

    def _watch(self, found: list[psutil.Process]) -> None:
        nic = interface(self._target)
        self._family = Family(found, nic)
        speed = psutil.net_if_stats()[nic].speed if nic else 0
        ceilings = Ceilings(
            cores=limits.cores(found),
            memory_bytes=limits.memory_bytes(found),
            network_bytes_per_s=speed * 1e6 / 8 or None,
        )
        processes = tuple(TargetProcess(pid=p.pid, name=_name(p)) for p in found)
        others = tuple(means for means in self.seen.by if means != "processes")
        self.seen = Seen(("processes", *others), processes, ceilings)
        hands_on = [p.name for p in processes if p.name in _HANDS_ON]
        if hands_on and not self._named:
            self.notes += (_hands_on(hands_on[0]),)


def _name(process: psutil.Process) -> str:
    try:
        return process.name()
    except psutil.Error:
        return "?"


def with_metrics(use: ResourceUse | None, metrics: Mapping[str, float | None]) -> ResourceUse:
    """Add what Prometheus said; its ``cpu`` and ``memory`` take the place of those of processes."""
    shares = {name: metrics[name] for name in SHARES if name in metrics}
    others = {name: value for name, value in metrics.items() if name not in SHARES}
    if "cpu" in shares:
        shares |= {"cpu_stderr": None, "cores_used": None}
    use = use or ResourceUse(samples=int(any(value is not None for value in metrics.values())))
    return use.model_copy(update={**shares, "metrics": others})


def _empty(metrics: Mapping[str, float | None]) -> tuple[Note, ...]:
    empty = [name for name, value in metrics.items() if value is None]
    if not empty:
        return ()
    return (
        Note(
            code="metrics_empty",
            message=f"no single number came from the query {', '.join(empty)}",
            advice="try it in the expression browser of Prometheus, over the time of the load test",
        ),
    )


def _not_seen(*, here: bool) -> Note:
    if here:
        return Note(
            code="target_not_seen",
            message="the target's side was not seen: no process that listens at its port may be "
            "looked at",
            advice="run capplan as the user of the server, or name the server with --target-pid",
        )
    return Note(
        code="target_not_seen",
        message="the target's side was not seen: it runs on another machine, so what limits it is "
        "not known",
        advice="name its Prometheus in service.metrics, with a query cpu for the share of its "
        "cores in use",
    )


def _hands_on(name: str) -> Note:
    return Note(
        code="target_hands_on",
        message=f"what listens at the target is {name}, which usually only hands requests on: its "
        "CPU and memory are not those of the server behind it",
        advice="name the server's own process with --target-pid",
    )
