"""Keeps Locust's own statistics for scripts that read them, at a tenth of the cost.

Locust updates two entries for each request, as it ends. Nobody looks that often: here requests are
put aside and entered together, a few times a second. Response times keep three digits, not two.
"""

from __future__ import annotations

import time
from collections import Counter
from typing import Any

import gevent
from locust.stats import RequestStats, StatsEntry

EVERY_S = 0.1


class Tally:
    """Enters requests into Locust's statistics together."""

    def __init__(self, stats: RequestStats) -> None:
        self._stats = stats
        self._aside: list[tuple[str, str, float | None, int]] = []
        logged: Any = stats
        logged.log_request = self._log
        gevent.spawn(self._run)

    def settle(self) -> None:
        """Enter what has been put aside."""
        aside, self._aside = self._aside, []
        by_endpoint: dict[tuple[str, str], list[tuple[float | None, int]]] = {}
        for method, name, taken_ms, length in aside:
            by_endpoint.setdefault((name, method), []).append((taken_ms, length))
        for key, requests in by_endpoint.items():
            for entry in (self._stats.total, self._stats.entries[key]):
                _enter(entry, requests)

    def _log(self, method: str, name: str, response_time: Any, content_length: int) -> None:
        self._aside.append((method, name, response_time, content_length))

    def _run(self) -> None:
        while True:
            gevent.sleep(EVERY_S)
            self.settle()


def _enter(entry: StatsEntry, requests: list[tuple[float | None, int]]) -> None:
    now = time.time()
    taken_ms: list[Any] = [taken for taken, _ in requests if taken is not None]
    last = entry.last_request_timestamp
    if entry.use_response_times_cache and last and int(now) > int(last):
        entry._cache_response_times(int(now) - 1)
    entry.num_requests += len(requests)
    entry.num_none_requests += len(requests) - len(taken_ms)
    entry.num_reqs_per_sec[int(now)] += len(requests)
    entry.last_request_timestamp = now
    entry.total_content_length += sum(length for _, length in requests)
    if taken_ms:
        least, before = min(taken_ms), entry.min_response_time
        entry.total_response_time += sum(taken_ms)
        entry.min_response_time = least if before is None else min(least, before)
        entry.max_response_time = max(entry.max_response_time, *taken_ms)
        for rounded, count in Counter(map(round, taken_ms)).items():
            entry.response_times[round(rounded, min(0, 3 - len(str(rounded))))] += count
