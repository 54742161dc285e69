"""Read the plan's PromQL queries from a Prometheus server, over the time of a trial.

It receives a few small queries after each trial and no load, so it may be anywhere.
"""

from __future__ import annotations

import http.client
import json
import math
import re
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from capplan.errors import SetupError, UsageError
from capplan.loadtest.target import is_loopback
from capplan.results.base import Note
from capplan.units import format_duration

TIMEOUT_S = 5.0
RANGE = "$__range"
"""Stands in a query for the length of the trial, as in Grafana: ``rate(x[$__range])``."""

SHARES = ("cpu", "memory")
"""Queries of these names are the target's own: shares (0 to 1) of the cores and memory it has."""

_POINTS = 40
_FINEST_S = 0.25
_MOST_SHARE = 1.2  # of a counter that is a little ahead; more is not a share
_CHECKED_OVER_S = 60.0
_COARSE_S = 5.0
_LOOKS_BACK = re.compile(r"\[\s*((?:\d+(?:ms|[smhdwy]))+)\s*[\]:]")
_UNIT_S = {"ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0, "y": 31536000}


class Refused(UsageError):
    """Prometheus does not understand a query."""


@dataclass(frozen=True, slots=True)
class Prometheus:
    """A server at ``url`` and the queries to ask it, by name."""

    url: str
    queries: Mapping[str, str]

    def check(self) -> tuple[Note, ...]:
        """Ask every query once, before any load.

        ``SetupError`` when Prometheus does not answer, ``UsageError`` for a query that it does not
        understand, or that is not one number. A query that returns nothing may still do so under
        load.
        """
        self._now_s()
        for name, query in self.queries.items():
            key = f"service.metrics.queries.{name}"
            try:
                value = self._value(_ranged(query, _CHECKED_OVER_S))
            except Refused as error:
                raise UsageError(f"{key}: {error.message}", error.hint) from None
            if name in SHARES and value is not None and value > _MOST_SHARE:
                raise UsageError(
                    f"{key} is {value:g}: it has to be a share from 0 to 1",
                    "divide it by the number of cores, by the memory there is, or by 100",
                )
        return (*self._coarse(), *_looks_back(self.queries))

    def over(self, from_ago_s: float, until_ago_s: float) -> dict[str, float | None]:
        """Return the mean of each query over a span of time that ended ``until_ago_s`` ago.

        None where a query returned nothing, or no number. A query with ``$__range`` is asked once,
        for the whole span. Raises ``SetupError`` when Prometheus does not answer.
        """
        now_s, span_s = self._now_s(), from_ago_s - until_ago_s
        found = {}
        for name, query in self.queries.items():
            try:
                if RANGE in query:
                    value = self._value(_ranged(query, span_s), now_s - until_ago_s)
                else:
                    value = self._mean(query, now_s - from_ago_s, now_s - until_ago_s)
            except Refused:  # two series where there was one before the load
                value = None
            if name in SHARES and value is not None:
                value = min(value, 1.0) if value <= _MOST_SHARE else None
            found[name] = value
        return found

    def _now_s(self) -> float:
        """Return the time by the clock of Prometheus, which need not agree with ours."""
        return float(self._ask("query", query="time()")["result"][1])

    def _value(self, query: str, at_s: float | None = None) -> float | None:
        data = self._ask("query", query=query, **({} if at_s is None else {"time": at_s}))
        kind, result = data["resultType"], data["result"]
        if kind == "vector":
            _require_one(result)
            return _number(result[0]["value"][1]) if result else None
        if kind != "scalar":
            raise Refused(
                f"it is a {'range of samples' if kind == 'matrix' else kind}, not a number",
                "wrap it: rate(…), or avg_over_time(…)",
            )
        return _number(result[1])

    def _mean(self, query: str, from_s: float, until_s: float) -> float | None:
        step_s = max(_FINEST_S, (until_s - from_s) / _POINTS)
        data = self._ask("query_range", query=query, start=from_s, end=until_s, step=step_s)
        series = data["result"]
        _require_one(series)
        values = [_number(text) for _, text in series[0]["values"]] if series else []
        known = [value for value in values if value is not None]
        return sum(known) / len(known) if known else None

    def _coarse(self) -> tuple[Note, ...]:
        try:
            active = self._ask("targets", state="active")["activeTargets"]
            finest_s = min(_seconds(target["scrapeInterval"]) for target in active)
        except (SetupError, UsageError, KeyError, TypeError, ValueError):
            return ()  # others that speak this protocol do not scrape
        if finest_s <= _COARSE_S:
            return ()
        return (
            Note(
                code="metrics_coarse",
                message=f"Prometheus scrapes every {format_duration(finest_s)}: what its queries "
                "say lags behind the load of trials that last a few seconds",
                advice="let it scrape the target every second while it is loaded: scrape_interval",
            ),
        )

    def _ask(self, what: str, **arguments: Any) -> Any:
        """Return the data of an answer; see prometheus.io/docs/prometheus/latest/querying/api."""
        url = f"{self.url.rstrip('/')}/api/v1/{what}?{urllib.parse.urlencode(arguments)}"
        try:
            with _opener(self.url).open(url, timeout=TIMEOUT_S) as answer:
                told = json.load(answer)
            return told["data"]
        except urllib.error.HTTPError as error:
            raise _error(self.url, error) from error
        except (KeyError, TypeError, ValueError) as error:
            raise SetupError(
                f"what answers at {self.url} is not Prometheus", "check service.metrics.prometheus"
            ) from error
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "reason", None) or error
            raise SetupError(
                f"Prometheus does not answer at {self.url}: {reason}",
                "start it, correct service.metrics.prometheus, or leave service.metrics out",
            ) from error


def _opener(url: str) -> urllib.request.OpenerDirector:
    host = urllib.parse.urlsplit(url).hostname or ""
    # a proxy that the environment names cannot reach this machine
    direct = [urllib.request.ProxyHandler({})] if is_loopback(host) else []
    return urllib.request.build_opener(*direct)


def _error(url: str, error: urllib.error.HTTPError) -> SetupError | Refused:
    try:
        told = json.load(error)
        kind, text = str(told["errorType"]), str(told["error"])
    except (KeyError, TypeError, ValueError, OSError):
        return SetupError(
            f"Prometheus at {url} answers {error.code} {error.reason}",
            "check service.metrics.prometheus, and what it asks for to be read",
        )
    if kind in ("bad_data", "execution"):
        return Refused(text, "try it in the expression browser of Prometheus")
    return SetupError(f"Prometheus at {url} fails: {text}", "look at its log")


def _require_one(series: list[Any]) -> None:
    if len(series) > 1:
        raise Refused(
            f"it returns {len(series)} series, not one number",
            "aggregate it: sum(…), avg(…) or max(…)",
        )


def _ranged(query: str, span_s: float) -> str:
    return query.replace(RANGE, f"{max(1, round(span_s * 1000))}ms")


def _number(text: str) -> float | None:
    value = float(text)
    return value if math.isfinite(value) else None


def _seconds(text: str) -> float:
    """Read a duration as Prometheus writes it.

    >>> _seconds("1m30s"), _seconds("500ms")
    (90.0, 0.5)
    """
    return sum(float(n) * _UNIT_S[unit] for n, unit in re.findall(r"(\d+)(ms|[smhdwy])", text))


def _looks_back(queries: Mapping[str, str]) -> tuple[Note, ...]:
    """Note a query that looks back over more than a trial: it mixes several loads."""
    for name, query in queries.items():
        back_s = max((_seconds(text) for text in _LOOKS_BACK.findall(query)), default=0.0)
        if back_s > _COARSE_S * 2:
            return (
                Note(
                    code="metrics_look_back",
                    message=f"the query {name} looks back over {format_duration(back_s)}, which is "
                    "more than a trial lasts: it mixes the loads of several",
                    advice=f"write [{RANGE}], which is the length of the trial",
                ),
            )
    return ()
