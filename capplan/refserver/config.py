"""What a reference server is told: its queue, its failures, where it listens, when it ends."""

from __future__ import annotations

import ipaddress
import json
import math
from dataclasses import asdict, dataclass
from typing import Any

from capplan.errors import UsageError
from capplan.model.service_time import ServiceTime, service_time

_LONGEST_LIFE_S = 86_400.0


@dataclass(frozen=True, slots=True)
class RefServerConfig:
    """A server of ``slots`` equal threads that each take ``service`` for a request.

    ``port`` 0 takes any free port. ``seed`` fixes the services and refusals in order of arrival.
    With ``fail_above_rps`` a request is refused with probability ``fail_share`` when more than that
    many requests, itself included, arrived within the last second. With ``queue`` a request is
    refused when so many already wait for a slot; without, the queue has no end.

    The server ends after ``lifetime_s`` seconds whatever happens, and with ``exit_with_stdin`` also
    when its standard input closes, as it does when the parent that holds the other end dies.

    Raises ``UsageError`` that names the value, also for an address that is not loopback.
    """

    slots: int
    service: ServiceTime
    host: str = "127.0.0.1"
    port: int = 0
    seed: int = 0
    fail_above_rps: float | None = None
    fail_share: float = 0.5
    queue: int | None = None
    lifetime_s: float = 600.0
    exit_with_stdin: bool = False

    def __post_init__(self) -> None:
        _check(_is_whole(self.slots, 1, 100_000), f"{self.slots!r} slots", "use 1 to 100000")
        _check(_is_whole(self.port, 0, 65_535), f"port {self.port!r}", "use 0 (any) to 65535")
        _check(_is_whole(self.seed, 0, 2**63 - 1), f"seed {self.seed!r}", "use 0, 1, 2 …")
        _check(
            self.fail_above_rps is None or 0 < self.fail_above_rps < math.inf,
            f"a failure rate above {self.fail_above_rps} rps",
            "use a rate above zero, or none for a server that never fails",
        )
        _check(0 <= self.fail_share <= 1, f"a failing share of {self.fail_share}", "use 0 to 1")
        _check(
            self.queue is None or _is_whole(self.queue, 0, 1_000_000),
            f"a queue of {self.queue!r}",
            "use 0 to 1000000 places, or none for a queue without an end",
        )
        _check(
            0 < self.lifetime_s <= _LONGEST_LIFE_S,
            f"a lifetime of {self.lifetime_s} s",
            "use more than 0 s and at most one day",
        )
        if not _is_loopback(self.host):
            raise UsageError(
                f"the reference server does not listen on {self.host!r}",
                "it serves only its own machine: use 127.0.0.1, ::1 or localhost",
            )

    @property
    def address(self) -> str:
        """The numeric address to bind; what ``localhost`` means is not left to a resolver."""
        return "127.0.0.1" if self.host == "localhost" else self.host

    def as_data(self) -> dict[str, Any]:
        """Return the configuration as JSON-ready data."""
        service = {"kind": self.service.kind, "mean_s": self.service.mean_s, "cv": self.service.cv}
        return asdict(self) | {"service": service}

    def to_json(self) -> str:
        """Return the configuration as one line of JSON, as :meth:`from_json` reads it."""
        return json.dumps(self.as_data())

    @classmethod
    def from_json(cls, text: str) -> RefServerConfig:
        """Read what ``to_json`` wrote; raises ``UsageError`` for anything else."""
        try:
            data = json.loads(text)
            service = parse_service(**data.pop("service"))
            return cls(service=service, **data)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise UsageError(f"not a reference server's configuration: {error}") from error


def parse_service(kind: str, mean_s: float, cv: float | None = None) -> ServiceTime:
    """Return the named service-time distribution; raises ``UsageError`` that names the value."""
    try:
        return service_time(kind, mean_s, cv)
    except ValueError as error:
        raise UsageError(
            str(error), "a reference server needs a service time it can draw"
        ) from None


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _is_whole(value: object, low: int, high: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def _check(holds: bool, what: str, hint: str) -> None:
    if not holds:
        raise UsageError(f"a reference server cannot have {what}", hint)
