"""Plans, demands and capacities whose risks can be computed by hand.

The peak is lognormal around ``PEAK_RPS``; unless said otherwise nothing is lost by running many
servers, so that P(overload at N) = Φ(ln(peak/fleet)/√(σ_peak² + σ_server²)).
"""

from datetime import UTC, datetime
from typing import Any

import numpy as np
from scipy.special import ndtri

from capplan.plan.schema import Plan
from capplan.plan.sla import parse_sla
from capplan.results.base import PlanRef, Provenance
from capplan.results.capacity import (
    Capacity,
    Health,
    Identity,
    LatencySummary,
    SustainedRate,
    Trial,
)
from capplan.results.demand import Demand, Percentiles, Profile

START = "2026-11-27T12:00:00+01:00"
MADE_AT = datetime(2026, 11, 13, 9, 0, tzinfo=UTC)
PEAK_RPS = 4000.0
PEAK_SIGMA = 0.4
QUANTILES = 4000
REQUESTS_PER_VISIT = 40.0

# at 90 % confidence the ends of an interval are this many standard deviations from its middle
REACH = float(ndtri(0.95))

NO_LOSS = {"scaling_loss": "0%", "imbalance": "0%"}


def plan(
    servers: dict[str, Any] | None = None, policy: dict[str, Any] | None = None, **sections: Any
) -> Plan:
    """A plan as it is written, with a fleet that loses nothing by its size.

    None leaves a key of ``servers`` out.
    """
    base = {"today": "6", "price": "$0.20/h", "boot": "4 min", "warmup": "2 min", "planned": "30"}
    fleet = base | NO_LOSS | (servers or {})
    return Plan.model_validate(
        {
            "sale": {"start": START, "duration": "2 h"},
            "audience": [
                {"channel": "email", "reach": "400k", "visits": "2%", "arrive": "within 1 h"}
            ],
            "visit": {"requests": "40"},
            "servers": {key: value for key, value in fleet.items() if value is not None},
            "policy": policy or {},
        }
        | sections
    )


def provenance(made_at: datetime = MADE_AT) -> Provenance:
    return Provenance(
        plan=PlanRef(name="sale", sections={}), made_at=made_at, seed=1, environment={}
    )


def spread(p50: float) -> Percentiles:
    return Percentiles(p5=p50 / 2, p50=p50, p90=p50 * 2, p95=p50 * 2.2, p99=p50 * 3, mean=p50)


def lognormal(median: float, sigma: float, count: int = QUANTILES) -> tuple[float, ...]:
    """Equally likely values at the probabilities (i + 0.5)/count."""
    u = (np.arange(count) + 0.5) / count
    return tuple(float(value) for value in median * np.exp(sigma * ndtri(u)))


def demand(
    peak_rps: float = PEAK_RPS,
    sigma: float = PEAK_SIGMA,
    count: int = QUANTILES,
    **changes: Any,
) -> Demand:
    """A demand that falls evenly from its peak to nothing, from the start to the end of 2 h."""
    t_s = tuple(float(t) for t in range(0, 7201, 60))
    fall = tuple(peak_rps * (1 - t / 7200) for t in t_s)
    fields: dict[str, Any] = {
        **dict(provenance()),
        "draws": 100_000,
        "sale_start": datetime.fromisoformat(START),
        "window_s": 10.0,
        "peak_rps": spread(peak_rps),
        "peak_at_s": 0.0,
        "peak_visitors": spread(5000.0),
        "visits_total": spread(60_000.0),
        "requests_total": spread(2_400_000.0),
        "requests_per_visit": spread(REQUESTS_PER_VISIT),
        "estimates": (),
        "profile": Profile(
            t_s=t_s,
            rps_p5=fall,
            rps_p50=fall,
            rps_p95=tuple(2 * rate for rate in fall),
        ),
        "peak_quantiles_rps": lognormal(peak_rps, sigma, count),
    }
    return Demand(**fields | changes)


def capacity(
    low: float | None = 372.0, mid: float | None = 386.0, high: float | None = 401.0, **changes: Any
) -> Capacity:
    """A measured capacity of one server, in requests/s."""
    fields: dict[str, Any] = {
        **dict(provenance()),
        "verdict": "measured",
        "reason": "",
        "identity": Identity(
            target="http://127.0.0.1:8899",
            locustfile="shop.py",
            locustfile_hash="0",
            sla="p95<300ms, failures<1%",
            unit="task",
        ),
        "sla": parse_sla("p95<300ms, failures<1%"),
        "sustained_rps": SustainedRate(low=low, mid=mid, high=high, confidence=0.9),
        "max_rate_rps": None,
        "trials": (),
        "load_time_s": 60.0,
        "requests_per_arrival": 1.0,
        "mix": {"GET /": 1.0},
    }
    return Capacity(**fields | changes)


def passed(rate_rps: float, mean_s: float) -> Trial:
    """A trial that held its load with this mean latency."""
    ok = LatencySummary(
        p50=mean_s, p75=mean_s, p90=mean_s, p95=mean_s, p99=mean_s, p999=mean_s, mean=mean_s,
        max=mean_s,
    )  # fmt: skip
    health = Health(
        tickets_due=1, tickets_issued=1, starved=0, lateness_s_p99=0.0, generator_cpu=0.1,
        steal=0.0, users=1,
    )  # fmt: skip
    return Trial(
        purpose="probe", rate_rps=rate_rps, arrivals_per_s=rate_rps, planned_s=10.0,
        duration_s=10.0, warmup_s=1.0, achieved_rps=rate_rps, served_rps=rate_rps, requests=1,
        successes=1, failures=0, timeouts=0, latency_s=ok, latency_actual_s=ok, endpoints=(),
        criteria=(), requests_per_arrival=1.0, ended_early=False, errors={}, health=health,
        outcome="pass",
    )  # fmt: skip


def certain(rate_rps: float, **changes: Any) -> Capacity:
    """A capacity that is known exactly."""
    return capacity(rate_rps, rate_rps, rate_rps, **changes)
