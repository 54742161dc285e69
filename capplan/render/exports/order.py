"""What an export is told: which group, when how many servers, and the trigger beside it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from capplan import __version__
from capplan.errors import UsageError
from capplan.plan.schema import Plan
from capplan.results.recommendation import Autoscaling, Recommendation, Step

UNNAMED = "shop"
"""Stands for the group where ``servers.group`` does not name it."""


@dataclass(frozen=True)
class Order:
    """A schedule to be carried out: by whom it is ordered, for whom, and what.

    ``group`` is the Deployment or the Auto Scaling group, ``named`` whether the plan says so.
    ``ready_s`` is how long a server takes from its order to full speed, ``made_at`` when the
    recommendation was made.
    """

    group: str
    named: bool
    sale: str
    steps: tuple[Step, ...]
    trigger: Autoscaling
    ready_s: float
    made_at: datetime
    prometheus: str | None

    @property
    def slug(self) -> str:
        """The sale's name as a part of other names, of at most 32 lower-case letters and digits."""
        return slug(self.sale)[:32].strip("-") or "sale"


def order(plan: Plan, advice: Recommendation) -> Order:
    """Read the order from a recommendation.

    Raises ``UsageError`` when there is nothing to schedule, and for a time that is past: what is
    ordered for the past is refused by AWS, and by cron it is done a year later.
    """
    if not advice.schedule or advice.autoscaling is None:
        raise UsageError(
            f"there is nothing to export: the {plan.servers.today} servers of today are enough",
            "see: capplan recommend",
        )
    if advice.instance != advice.planned_instance:
        raise UsageError(
            f"the recommendation is {advice.instance}, another kind than today's servers: an "
            "export changes the count of one group, and not its kind",
            "make a group of that kind, give it as servers.instance, and export again",
        )
    for step in advice.schedule:
        if step.at <= advice.made_at:
            raise UsageError(
                f"{step.at:%Y-%m-%d %H:%M %z} is past, when {step.servers} servers should be "
                "ordered: no scheduler does what lies in the past",
                "set sale.start to the next sale, or start the servers by hand now",
            )
    metrics = plan.service.metrics
    return Order(
        group=plan.servers.group or UNNAMED,
        named=plan.servers.group is not None,
        sale=plan.sale.name,
        steps=advice.schedule,
        trigger=advice.autoscaling,
        ready_s=plan.servers.boot + plan.servers.warmup,
        made_at=advice.made_at,
        prometheus=metrics.prometheus if metrics else None,
    )


def header(found: Order, *remarks: str) -> str:
    """Return the head of a file as comments: what it does, when, and what to mind."""
    zone = found.steps[0].at.strftime("%z")
    local = f"sale's zone ({zone[:3]}:{zone[3:]})"
    lines = [
        f"Schedule of {one_line(found.sale)!r} for {one_line(found.group)}, made by capplan "
        f"{__version__}: review it before you apply it.",
        "",
        f"{'UTC':<16}  {local:<20}  servers  why",
        *(
            f"{utc(step.at):%Y-%m-%d %H:%M}  {step.at:%Y-%m-%d %H:%M}      {step.servers:>7}  "
            f"{step.why}"
            for step in found.steps
        ),
        "",
        *([] if found.named else [f"The plan does not name the group (servers.group): {UNNAMED}?"]),
        *remarks,
    ]
    return "".join(f"# {line}".rstrip() + "\n" for line in lines)


def utc(moment: datetime) -> datetime:
    """Return the same moment in UTC."""
    return moment.astimezone(UTC)


def zulu(moment: datetime) -> str:
    """Write a moment in UTC as AWS wants it.

    >>> zulu(datetime.fromisoformat("2026-11-27T11:39:00+01:00"))
    '2026-11-27T10:39:00Z'
    """
    return f"{utc(moment):%Y-%m-%dT%H:%M:%SZ}"


def require_cron_year(order: Order) -> None:
    """Raise ``UsageError`` where cron, which has no year, would do a step a year too early."""
    last = max(step.at for step in order.steps)
    if last - timedelta(days=365) > order.made_at:
        raise UsageError(
            f"{last:%Y-%m-%d} is more than a year away: cron knows no year, and servers would be "
            f"ordered a year too early",
            "export it within the year before the sale, or as aws-asg or terraform",
        )


def cron(moment: datetime) -> str:
    """Write a moment in UTC as cron does: minute, hour, day, month, any weekday.

    It has no year, so that it comes back every year.

    >>> cron(datetime.fromisoformat("2026-11-28T00:30:00+01:00"))
    '30 23 27 11 *'
    """
    at = utc(moment)
    return f"{at.minute} {at.hour} {at.day} {at.month} *"


def slug(text: str) -> str:
    """Return a text as a part of names: lower-case letters, digits and hyphens.

    >>> slug("Black Friday: 50% off!")
    'black-friday-50-off'
    """
    return re.sub("[^a-z0-9]+", "-", text.lower()).strip("-")


def one_line(text: str) -> str:
    """Return a text as it may stand in a comment.

    >>> one_line("a  b")
    'a b'
    """
    return " ".join(text.split())


def require_kubernetes_name(name: str) -> None:
    """Make sure that Kubernetes takes a name; raise a ``UsageError`` that says what it takes."""
    if not re.fullmatch("[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", name):
        raise UsageError(
            f"servers.group: {name!r} cannot be the name of a Deployment",
            "use lower-case letters, digits and hyphens, at most 63",
        )
