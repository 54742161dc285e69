"""What the child is asked for when the search wants a trial. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from capplan.loadtest.job import Job
from capplan.loadtest.protocol import TrialSpec
from capplan.loadtest.search.policy import Next
from capplan.loadtest.visiting import Pace


@dataclass(frozen=True, slots=True)
class Asked:
    """A trial, and how much of its start is warm-up."""

    spec: TrialSpec
    warmup_s: float


def ask(
    job: Job,
    step: Next,
    pace: Pace | None,
    *,
    index: int,
    draw: int,
    pool_factor: float,
    most_users: int,
    requests_left: int | None,
) -> Asked:
    """Return the trial for a step of the search.

    ``draw`` names its arrivals: two runs of one seed get the same for the same draw.
    ``pool_factor`` is how many users there are per arrival that is on its way within the limit.
    """
    rate, warmup_s, duration_s = step.rate, step.warmup_s, step.duration_s
    limits = [limit.limit_s for limit in job.sla.latency] or [job.timeout_s]
    most = int(rate * job.timeout_s) + 50
    if pace:  # the shop is filled first
        warmup_s, most = max(warmup_s, pace.prefill_s), most_users
        duration_s += warmup_s
    spec = TrialSpec(
        index=index,
        arrivals_per_s=rate,
        duration_s=duration_s,
        limit_s=limits[0],
        give_up_s=limits[-1],
        seed=job.seed * 100_003 + draw,
        users=min(most_users, int(rate * limits[-1] * pool_factor) + 20),
        max_users=min(most_users, most),
        most_users=most_users,
        most_requests=requests_left,
    )
    return Asked(spec, warmup_s)
