"""Everything the child recorded about one trial, request by request."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from capplan.loadtest.protocol import (
    ATTEMPT_COLUMNS,
    COLUMNS,
    CONNECT_COLUMNS,
    TIMEOUT,
    VISIT_COLUMNS,
    TrialSpec,
)

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Rows:
    """Requests of a trial as arrays of equal length.

    ``intended_s`` counts from the start of the trial; ``latency_s`` from the actual start of the
    request, infinite for a timeout; ``lateness_s`` is actual minus intended start; ``endpoint``
    indexes ``Recording.endpoints``; ``ending`` is one of the protocol's codes.
    """

    intended_s: Floats
    latency_s: Floats
    lateness_s: Floats
    endpoint: NDArray[np.int64]
    ending: NDArray[np.int64]

    @property
    def sojourn_s(self) -> Floats:
        """Latency from the intended start, infinite for a timeout."""
        return self.latency_s + self.lateness_s

    def __len__(self) -> int:
        """Return the number of requests."""
        return len(self.ending)

    def where(self, mask: NDArray[np.bool_]) -> Rows:
        """Return the requests that ``mask`` selects."""
        return Rows(
            self.intended_s[mask],
            self.latency_s[mask],
            self.lateness_s[mask],
            self.endpoint[mask],
            self.ending[mask],
        )


@dataclass(frozen=True, slots=True)
class Attempts:
    """Attempts as arrays of equal length; ``ending`` is one of the protocol's codes for attempts.

    ``ordinal`` is 0 for the first attempt of a request, ``last`` whether the client then gave up or
    had its answer.
    """

    start_s: Floats
    ordinal: NDArray[np.int64]
    last: NDArray[np.bool_]
    ending: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Connects:
    """Connections that were opened, or could not be, as arrays of equal length."""

    start_s: Floats
    took_s: Floats
    failed: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class VisitRows:
    """Visits as arrays of equal length; ``length_s`` is infinite where one had not ended."""

    intended_s: Floats
    length_s: Floats
    requests: NDArray[np.int64]


_WORST = frozenset({"elapsed_s", "held_s", "generator_cpu", "held_up", "lateness_s_p99"})
"""What the workers report one by one and is bad when one of them is bad; counts are added up."""

_SAME = frozenset({"is", "trial"})


@dataclass
class Recording:
    """A growing recording of what ``workers`` children saw.

    ``tickets_due`` is how many arrivals the schedule drew, by the parent's own count; ``lost`` says
    of each child that died meanwhile how it died.
    """

    spec: TrialSpec
    workers: int = 1
    endpoints: list[str] = field(default_factory=list)
    tickets_due: int = 0
    lost: tuple[str, ...] = ()
    ended_early: bool = False
    misses: int = 0
    failures: int = 0
    count: int = 0
    _chunks: list[dict[str, NDArray[Any]]] = field(default_factory=list)
    _attempts: list[dict[str, NDArray[Any]]] = field(default_factory=list)
    _connects: list[dict[str, NDArray[Any]]] = field(default_factory=list)
    _visits: list[dict[str, NDArray[Any]]] = field(default_factory=list)
    _reports: dict[int, dict[str, Any]] = field(default_factory=dict)
    _indexes: dict[str, int] = field(default_factory=dict)

    def add(self, columns: dict[str, str], endpoints: list[str], worker: int = 0) -> None:
        """Append rows as they came through a socket; each worker has its own list of endpoints."""
        chunk = _unpacked(columns, COLUMNS)
        for name in endpoints:
            self._indexes.setdefault(name, len(self._indexes))
        self.endpoints = list(self._indexes)
        ours = np.array([self._indexes[name] for name in endpoints], np.int64)
        chunk["endpoint"] = ours[chunk["endpoint"]]
        self._chunks.append(chunk)
        sojourn = chunk["latency_s"] + chunk["lateness_s"]
        timeouts = chunk["ending"] == TIMEOUT
        self.count += len(sojourn)
        self.misses += int(np.count_nonzero((sojourn > self.spec.limit_s) | timeouts))
        self.failures += int(np.count_nonzero(chunk["ending"]))

    def progress(self, message: dict[str, Any], worker: int = 0) -> None:
        """Remember a worker's last report."""
        self._reports[worker] = message

    @property
    def state(self) -> dict[str, Any]:
        """All workers' last reports as one, see ``worker.trial``."""
        return _merge(list(self._reports.values()))

    def each(self, name: str) -> tuple[float, ...]:
        """Return one number of each worker's last report, in the order of the workers."""
        return tuple(float(self._reports.get(w, {}).get(name, 0.0)) for w in range(self.workers))

    @property
    def silence(self) -> int:
        """How many requests in a row have had no answer; 0 while any worker gets some."""
        each = self.each("silence")
        return int(sum(each)) if min(each) else 0

    @property
    def answers(self) -> int:
        """How many requests were answered, with success or not."""
        return int(self.state.get("answers", 0))

    @property
    def requests_made(self) -> int:
        """How many requests were made since the last trial, logins and others outside included."""
        return int(self.state.get("made", 0))

    @property
    def elapsed_s(self) -> float:
        """Seconds since the first arrival could come."""
        return float(self.state.get("elapsed_s", 0.0))

    def add_wire(self, message: dict[str, Any]) -> None:
        """Append attempts and connections as they came through the socket."""
        if "attempts" in message:
            self._attempts.append(_unpacked(message["attempts"], ATTEMPT_COLUMNS))
        if "connects" in message:
            self._connects.append(_unpacked(message["connects"], CONNECT_COLUMNS))

    def attempts(self) -> Attempts:
        """Return all attempts so far; empty unless the clients retry."""
        merged = _merged(self._attempts, ATTEMPT_COLUMNS)
        return Attempts(
            merged["start_s"],
            merged["ordinal"].astype(np.int64),
            merged["last"].astype(np.bool_),
            merged["ending"].astype(np.int64),
        )

    def connects(self) -> Connects:
        """Return the connections opened so far; empty in trials that do not record them."""
        merged = _merged(self._connects, CONNECT_COLUMNS)
        return Connects(
            merged["start_s"],
            merged["took_s"].astype(np.float64),
            merged["failed"].astype(np.bool_),
        )

    def add_visits(self, columns: dict[str, str]) -> None:
        """Append visits as they came through the socket."""
        self._visits.append(_unpacked(columns, VISIT_COLUMNS))

    def visits(self) -> VisitRows:
        """Return the visits of the trial; empty in unit ``task``."""
        merged = _merged(self._visits, VISIT_COLUMNS)
        return VisitRows(
            merged["intended_s"],
            merged["length_s"].astype(np.float64),
            merged["requests"].astype(np.int64),
        )

    def rows(self, latest: int | None = None) -> Rows:
        """Return all requests so far, or those of the ``latest`` messages."""
        merged = _merged(self._chunks[-latest:] if latest else self._chunks, COLUMNS)
        ending = merged["ending"].astype(np.int64)
        latency = merged["latency_s"].astype(np.float64)
        latency[ending == TIMEOUT] = np.inf
        return Rows(
            merged["intended_s"],
            latency,
            merged["lateness_s"].astype(np.float64),
            merged["endpoint"].astype(np.int64),
            ending,
        )


def _unpacked(packed: Mapping[str, str], columns: Mapping[str, str]) -> dict[str, NDArray[Any]]:
    return {
        name: np.frombuffer(base64.b64decode(packed[name]), dtype=np.dtype(code))
        for name, code in columns.items()
    }


def _merged(
    chunks: Sequence[dict[str, NDArray[Any]]], columns: Mapping[str, str]
) -> dict[str, NDArray[Any]]:
    return {
        name: np.concatenate([c[name] for c in chunks] or [np.empty(0, np.dtype(code))])
        for name, code in columns.items()
    }


def _merge(reports: list[dict[str, Any]]) -> dict[str, Any]:
    merged: dict[str, Any] = dict(reports[0]) if reports else {}
    for report in reports[1:]:
        for name, value in report.items():
            before = merged.get(name)
            if name in _WORST:
                merged[name] = max(before or 0.0, value)
            elif isinstance(value, dict):
                before = before or {}
                merged[name] = {k: before.get(k, 0) + value.get(k, 0) for k in before | value}
            elif name in _SAME or isinstance(value, str | None):
                merged[name] = before or value
            else:
                merged[name] = (before or 0) + value
    return merged
