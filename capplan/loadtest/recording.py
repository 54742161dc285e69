"""Everything the child recorded about one trial, request by request."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from capplan.loadtest.protocol import COLUMNS, TIMEOUT, TrialSpec

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


@dataclass
class Recording:
    """A growing recording. ``state`` is the child's last report, see ``worker.trial``."""

    spec: TrialSpec
    endpoints: list[str] = field(default_factory=list)
    state: dict[str, Any] = field(default_factory=dict)
    ended_early: bool = False
    misses: int = 0
    failures: int = 0
    count: int = 0
    _chunks: list[dict[str, NDArray[Any]]] = field(default_factory=list)

    def add(self, columns: dict[str, str], endpoints: list[str]) -> None:
        """Append rows as they came through the socket."""
        chunk = {
            name: np.frombuffer(base64.b64decode(columns[name]), dtype=np.dtype(code))
            for name, code in COLUMNS.items()
        }
        self.endpoints = endpoints
        self._chunks.append(chunk)
        sojourn = chunk["latency_s"] + chunk["lateness_s"]
        timeouts = chunk["ending"] == TIMEOUT
        self.count += len(sojourn)
        self.misses += int(np.count_nonzero((sojourn > self.spec.limit_s) | timeouts))
        self.failures += int(np.count_nonzero(chunk["ending"]))

    def progress(self, message: dict[str, Any]) -> None:
        """Remember the child's last report."""
        self.state = message

    @property
    def elapsed_s(self) -> float:
        """Seconds since the first arrival could come."""
        return float(self.state.get("elapsed_s", 0.0))

    def rows(self) -> Rows:
        """Return all requests so far."""
        merged = {
            name: np.concatenate([c[name] for c in self._chunks] or [np.empty(0, np.dtype(code))])
            for name, code in COLUMNS.items()
        }
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
